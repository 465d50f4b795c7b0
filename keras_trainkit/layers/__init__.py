"""Tensors in, tensors out, weights or adapted state inside."""

from keras_trainkit.layers.learnable_swish import LearnableSwish
from keras_trainkit.layers.min_max_scaling import MinMaxScaling
from keras_trainkit.layers.robust_scaling import RobustScaling
from keras_trainkit.layers.standard_scaling import StandardScaling

__all__ = ["LearnableSwish", "MinMaxScaling", "RobustScaling", "StandardScaling"]
