"""Aliases for the types of tensors, layers and models, which Keras does not ship."""

from typing import Any, TypeAlias

import keras

Tensor: TypeAlias = Any
"""Tensor of any backend, NumPy array that stands for one, or `keras.KerasTensor`."""

Layer: TypeAlias = Any
"""`keras.layers.Layer`, or a subclass of it."""

Model: TypeAlias = Any
"""`keras.Model`, or a subclass of it."""

Shape: TypeAlias = tuple[Any, ...]
"""Shape of a tensor, as Keras gives it: ints, and None for a size not known yet."""

Optimizer: TypeAlias = keras.optimizers.Optimizer

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


def is_schedule(value: Any) -> bool:
    """True for a schedule, of Keras or of the kit."""
    return isinstance(value, keras.optimizers.schedules.LearningRateSchedule)
