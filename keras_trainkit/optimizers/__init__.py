"""Keras optimizers whose momentum and weight decay may be schedules."""

from keras_trainkit.optimizers.adamw import AdamW
from keras_trainkit.optimizers.sgdw import SGDW

__all__ = ["SGDW", "AdamW"]
