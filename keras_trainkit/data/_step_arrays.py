"""Sequences of unequal length, read into arrays of the same kind of steps."""

import reprlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._libraries import names_of
from keras_trainkit._resolution import (
    LEAST_EXTENT,
    changes,
    check_finite,
    keeps_all,
    small_features,
)


def step_arrays(sequences: Iterable) -> list[np.ndarray]:
    """An array `(time, ...)` of each sequence, all with steps of the same shape.

    Raises:
        ValueError: No sequence, no step, unequal features, text, frames with other
            columns.
    """
    if not isinstance(sequences, Iterable):
        raise ValueError(
            "`sequences` are what is padded and must be a list or another iterable of "
            f"sequences. Received: sequences={reprlib.repr(sequences)}."
        )
    arrays, columns = [], None
    for number, steps in enumerate(sequences):
        columns = _same_columns(columns, number, steps)
        arrays.append(_as_array(number, steps))
    shape = _shape_of_a_step(arrays)
    return [array if len(array) else np.zeros((0, *shape)) for array in arrays]


def _same_columns(known: list | None, number: int, steps: Any) -> list | None:
    """The columns that frames have, which are the features of their steps."""
    found = names_of(steps) if hasattr(steps, "columns") else known
    if known is not None and found != known:
        raise ValueError(
            "`sequences` become one array by position, so frames must have the same "
            "columns in the same order. "
            f"Received: columns {known}, then {found} in sequences[{number}]."
        )
    return found


def _as_array(number: int, steps: Any) -> np.ndarray:
    try:
        array = as_numpy(steps.as_py() if hasattr(steps, "as_py") else steps)
    except ValueError:  # rows of unequal length
        array = np.array("no array")
    if array.ndim == 0 or (len(array) and array.dtype.kind not in "biuf"):
        raise ValueError(
            "`sequences` become one array of numbers, so each must be an array or a "
            "nested list of numbers, time first, every step of the same shape. "
            f"Received: sequences[{number}]={reprlib.repr(steps)}."
        )
    return array


def _shape_of_a_step(arrays: list[np.ndarray]) -> tuple[int, ...]:
    shapes = {array.shape[1:] for array in arrays if len(array)}
    if not shapes:
        raise ValueError(
            "`sequences` are what is padded and at least one must have a step. "
            f"Received: {len(arrays)} sequences without any."
        )
    if len(shapes) > 1:
        raise ValueError(
            "`sequences` are to become one array, so their steps must have the same "
            f"shape. Received: steps of the shapes {sorted(shapes)}."
        )
    return shapes.pop()


def common_dtype(arrays: list[np.ndarray], value: float) -> str:
    """The type that holds all steps and the padding.

    Raises:
        ValueError: A `value` that is none of the whole numbers of `arrays`, numbers
            beyond int64, infinite ones, or too large for Keras' float type.
    """
    arrays = [array for array in arrays if len(array)]
    if any(array.dtype.kind == "f" for array in arrays):
        return _float_type(arrays, value)
    if value != int(value):
        raise ValueError(
            "`value` fills the padding and must be a whole number where the sequences "
            f"hold integers. Received: value={value!r}."
        )
    lowest = min(int(value), *(int(array.min()) for array in arrays))
    highest = max(int(value), *(int(array.max()) for array in arrays))
    for dtype in ("int32", "int64"):
        limits = np.iinfo(dtype)
        if limits.min <= lowest and highest <= limits.max:
            return dtype
    raise ValueError(
        "`sequences` and `value` become one array of whole numbers and must fit into "
        f"int64. Received: numbers from {lowest} to {highest}."
    )


def _float_type(arrays: list[np.ndarray], value: float) -> str:
    dtype, together = keras.config.floatx(), np.concatenate(arrays)
    purpose = "`sequences` become one array of numbers and"
    check_finite(together, purpose, dtype)
    with np.errstate(over="ignore"):
        if np.isinf(np.float64(value).astype(dtype)):
            raise ValueError(
                f"`value` fills the padding and must be finite in {dtype}. "
                f"Received: value={value!r}."
            )
    if dtype == "float64" or all(keeps_all(array.dtype) for array in arrays):
        return dtype
    wide = together.reshape(len(together), -1)
    small = small_features([wide])
    if small:
        raise ValueError(
            f"{purpose} must reach further than {LEAST_EXTENT:g} in each feature, "
            "which networks in float32 take for 0, or nearly so (give it in a smaller "
            f"unit). Received: smaller numbers in feature {small}."
        )
    starts = np.cumsum([len(array) for array in arrays])[:-1]
    found, lost = changes(wide, wide.astype("float32"), starts)
    features = np.flatnonzero(2 * lost > found).tolist()
    if features:
        raise ValueError(
            f"{purpose} must change from step to step by more than 6e-8 of their "
            "size, which networks in float32 cannot tell apart otherwise (of times "
            "take those since the first step). "
            f"Received: smaller changes in feature {features}."
        )
    return dtype
