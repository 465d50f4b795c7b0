"""Types of what Keras passes around and ships no types for."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""Tensor of any backend, NumPy array that stands for one, or `keras.KerasTensor`."""

Layer: TypeAlias = Any
"""`keras.layers.Layer`, or a subclass of it."""

Model: TypeAlias = Any
"""`keras.Model`, or a subclass of it."""

Shape: TypeAlias = tuple[int | None, ...]
"""Shape of a tensor, as Keras gives it; None is a size that is not known yet."""
