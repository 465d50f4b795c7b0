"""Tensors in, tensors out, weights or adapted state inside."""

from keras_trainkit.layers.attention_pooling import AttentionPooling
from keras_trainkit.layers.bigrams import Bigrams
from keras_trainkit.layers.categorical_embedding import CategoricalEmbedding
from keras_trainkit.layers.embedding_bag import EmbeddingBag
from keras_trainkit.layers.feature_selection import FeatureSelection
from keras_trainkit.layers.gaussian_feature_noise import GaussianFeatureNoise
from keras_trainkit.layers.head import Head
from keras_trainkit.layers.last_steps import LastSteps
from keras_trainkit.layers.learnable_swish import LearnableSwish
from keras_trainkit.layers.masked_conv1d import MaskedConv1D
from keras_trainkit.layers.member_adapter import MemberAdapter
from keras_trainkit.layers.member_dense import MemberDense
from keras_trainkit.layers.member_mean import MemberMean
from keras_trainkit.layers.min_max_scaling import MinMaxScaling
from keras_trainkit.layers.mini_rocket import MiniRocket
from keras_trainkit.layers.missing_indicator import MissingIndicator
from keras_trainkit.layers.multi_scale import MultiScale
from keras_trainkit.layers.pca_projection import PCAProjection
from keras_trainkit.layers.periodic_embedding import PeriodicEmbedding
from keras_trainkit.layers.piecewise_linear_embedding import PiecewiseLinearEmbedding
from keras_trainkit.layers.piecewise_mean import PiecewiseMean
from keras_trainkit.layers.radial_basis import RadialBasis
from keras_trainkit.layers.robust_scaling import RobustScaling
from keras_trainkit.layers.sequence_mean import SequenceMean
from keras_trainkit.layers.sequence_truncation import SequenceTruncation
from keras_trainkit.layers.standard_scaling import StandardScaling
from keras_trainkit.layers.table_encoder import TableEncoder
from keras_trainkit.layers.temperature_scaling import TemperatureScaling
from keras_trainkit.layers.time_mask import TimeMask
from keras_trainkit.layers.time_shift import TimeShift
from keras_trainkit.layers.time_warp import TimeWarp
from keras_trainkit.layers.token_dropout import TokenDropout
from keras_trainkit.layers.variational_lstm import VariationalLSTM

__all__ = [
    "AttentionPooling",
    "Bigrams",
    "CategoricalEmbedding",
    "EmbeddingBag",
    "FeatureSelection",
    "GaussianFeatureNoise",
    "Head",
    "LastSteps",
    "LearnableSwish",
    "MaskedConv1D",
    "MemberAdapter",
    "MemberDense",
    "MemberMean",
    "MinMaxScaling",
    "MiniRocket",
    "MissingIndicator",
    "MultiScale",
    "PCAProjection",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "PiecewiseMean",
    "RadialBasis",
    "RobustScaling",
    "SequenceMean",
    "SequenceTruncation",
    "StandardScaling",
    "TableEncoder",
    "TemperatureScaling",
    "TimeMask",
    "TimeShift",
    "TimeWarp",
    "TokenDropout",
    "VariationalLSTM",
]
