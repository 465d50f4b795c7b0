"""Weights that `adapt` learns, which are NaN before, and the checks around them."""

from concurrent import futures
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._jax import processes
from keras_trainkit._statistics import Extremes
from keras_trainkit._types import Layer, Shape, Tensor


def add_adapted_weight(layer: Layer, name: str, shape: Shape) -> Tensor:
    """Adds a float32 weight that is not trained, and is NaN until it is adapted."""
    return layer.add_weight(
        name=name,
        shape=shape,
        dtype="float32",
        initializer=_not_adapted(),
        trainable=False,
        autocast=False,
    )


def _not_adapted() -> Any:
    """Initializer of NaN."""
    if not processes.train_together():
        return keras.initializers.Constant(float("nan"))
    # JAX compares what its processes put into a variable, and NaN equals nothing.
    return lambda shape, dtype: processes.replicated(np.full(shape, np.nan, dtype))


def check_adapted(
    layer: Layer, weight: Tensor, purpose: str, method: str = "adapt(data)"
) -> bool:
    """Refuses a layer whose weight neither `adapt` nor a file has filled.

    Args:
        weight: Weight that is NaN until then.
        purpose: Words that follow the name of the layer: what it learns, what for.
        method: Call that fills the weight.

    Returns:
        True if the weight has values, so that no later call needs to check it; False
        where Keras only traces shapes and values cannot be read; a layer that was not
        adapted then gives NaN.
    """
    values = _values(weight)
    if values is None:
        return False
    is_empty = values.size == 0  # built by TensorFlow while tracing, filled later
    if is_empty or np.isnan(values).any():
        raise ValueError(
            f"{layer.name} {purpose}: call `{method}`, or load weights, before any "
            "other call. Received: neither."
        )
    return True


def _values(weight: Tensor) -> np.ndarray | None:
    """Values of a weight, or None where Keras only infers shapes.

    Keras 3.15 does so under a stateless scope, also when it builds a model whose
    weights it will load next. A step compiled by JAX runs under one too.
    """
    with keras.StatelessScope(initialize_variables=False) as scope:
        if scope.original_scope is not None:
            return None
    # In another thread, since TensorFlow may be tracing a graph in this one, where the
    # weight is a symbol without values.
    with futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(ops.convert_to_numpy, weight).result()


def check_num_features(
    layer: Layer, purpose: str, expected: int, received: int
) -> None:
    """Refuses data with another number of features than the layer was built for.

    Args:
        purpose: Words that follow the name of the layer: what it has per feature.
    """
    if received != expected:
        raise ValueError(
            f"{layer.name} {purpose} and was built for {expected} of them. "
            f"Received: data with {received} features."
        )


def check_features_seen(
    layer: Layer, learned: str, extremes: Extremes, row: str = "row"
) -> None:
    """Refuses data without rows, and features that are NaN in all rows.

    Args:
        learned: What the layer learns, in the plural.
        extremes: Extremes of the data.
        row: What the data must have at least one of.
    """
    if not extremes.lowest.ndim:
        raise ValueError(
            f"{layer.name} learns its {learned} from `data`, which must hold at least "
            f"one {row}. Received: none."
        )
    is_missing = np.isinf(extremes.lowest)
    if is_missing.any():
        raise ValueError(
            f"{layer.name} learns its {learned} from the values of each feature, so "
            "each must have one that is not NaN (drop the feature or fill it). "
            f"Received: only NaN in feature {numbers_of(is_missing)} of the last axis."
        )


def numbers_of(features: np.ndarray) -> str:
    """Numbers of the features that are True, for messages."""
    return ", ".join(map(str, np.flatnonzero(features)))


def in_float_type(values: Tensor, *weights: Tensor) -> list[Tensor]:
    """Casts all to float64 if the values are float64, else to float32."""
    is_double = keras.backend.standardize_dtype(values.dtype) == "float64"
    dtype = "float64" if is_double else "float32"
    return [ops.cast(tensor, dtype) for tensor in (values, *weights)]
