"""Functions that return an uncompiled `keras.Model`."""

from keras_trainkit.models.mlp import mlp

__all__ = [
    "mlp",
]
