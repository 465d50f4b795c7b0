"""KerasTuner search spaces around `models`; imported by name."""

from keras_trainkit.hypermodels.hyper_bilstm_attention import HyperBiLSTMAttention
from keras_trainkit.hypermodels.hyper_mlp import HyperMLP

__all__ = [
    "HyperBiLSTMAttention",
    "HyperMLP",
]
