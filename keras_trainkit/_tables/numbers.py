"""One array of real numbers, of any shape, whatever type brings it."""

from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._tables.columns import read
from keras_trainkit._tables.objects import numbers_in


def number_array(values: Any, wanted: str) -> np.ndarray:
    """Real numbers as an array, NaN where one is missing.

    What NumPy reads as another type (texts, complex numbers) keeps that type.

    Args:
        values: Tensor, array, frame or column of one, nested lists.
        wanted: First sentence of the error: what the values are for and must be.

    Raises:
        ValueError: Objects that are no numbers, lists of unequal lengths; a column of
            a frame, or a feature of the last axis, is named.
    """
    if ops.is_tensor(values):
        values = ops.convert_to_numpy(values)
    if isinstance(values, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(values), np.nan, values.data)
    if _is_frame(values) and not _has_one_number_type(values):
        return _frame_array(values, wanted)
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"{wanted} Received: {error}") from error
    if array.dtype.kind == "O":
        return _object_numbers(array, wanted)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _is_frame(values: Any) -> bool:
    return all(hasattr(values, name) for name in ("columns", "dtypes", "iloc"))


def _has_one_number_type(frame: Any) -> bool:
    """True if NumPy makes an array of numbers of the frame, not one of objects."""
    kinds = {getattr(dtype, "kind", "O") for dtype in frame.dtypes}
    is_numpy = all(isinstance(dtype, np.dtype) for dtype in frame.dtypes)
    return is_numpy and (kinds <= set("iuf") or kinds == {"b"})


def _frame_array(frame: Any, wanted: str) -> np.ndarray:
    array = np.empty(frame.shape)
    for index, name in enumerate(frame.columns):
        try:
            column = read(name, frame.iloc[:, index])
        except ValueError as error:
            received = str(error).partition("Received: ")[2]
            raise ValueError(f"{wanted} Received: {received}") from error
        if column.holds not in ("number", "boolean", None):
            raise ValueError(
                f"{wanted} (Other columns are left out, or made numbers by "
                "`layers.TableEncoder`.) "
                f"Received: {column.types or column.holds + 's'} in {name!r}."
            )
        array[:, index] = np.nan if column.holds is None else column.values
    return array


def _object_numbers(array: np.ndarray, wanted: str) -> np.ndarray:
    values, wrong = numbers_in(array.ravel())
    if not wrong:
        return values.reshape(array.shape)
    received = ", ".join(wrong)
    if array.ndim > 1:
        features = array.reshape(-1, array.shape[-1]).T
        indices = [i for i, part in enumerate(features) if numbers_in(part)[1]]
        received += f" in feature {', '.join(map(str, indices))} of the last axis"
    raise ValueError(f"{wanted} Received: dtype=object, {received}.")
