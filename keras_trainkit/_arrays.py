"""NumPy arrays: made of tensors, checked as labels, regrouped into blocks."""

import reprlib
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._libraries import readable


def as_numpy(values: Any) -> np.ndarray:
    """`values` as an array, without masks; a tensor may lie on another device.

    bfloat16, which NumPy does not take for a number, becomes float32.
    """
    if ops.is_tensor(values):
        array = ops.convert_to_numpy(values)
    else:
        array = np.asarray(readable(without_masks(values)))
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def without_masks(values: Any) -> Any:
    """Masked arrays, and lists of them, with NaN where a number is masked, else None.

    Other values stay as they are. NumPy drops masks: the number below is taken instead.
    """
    if isinstance(values, list | tuple):
        if any(isinstance(value, np.ma.MaskedArray) for value in values):
            return [without_masks(value) for value in values]
        return values
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values is np.ma.masked:
        return np.nan
    mask, array = np.ma.getmaskarray(values), values.data
    if array.dtype.kind == "V" or not mask.any():
        return array
    if array.dtype.kind in "biuf":
        return np.where(mask, np.nan, array)
    array = array.astype(object)
    array[mask] = None
    return array


def take_rows(data: Any, numbers: Any) -> Any:
    """These rows of an array or a DataFrame, or of each in a dict, list or tuple."""
    if data is None:
        return None
    if isinstance(data, dict):
        return {name: take_rows(part, numbers) for name, part in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(take_rows(part, numbers) for part in data)
    if hasattr(data, "iloc"):
        return data.iloc[numbers]
    if type(data).__module__.split(".")[0] in ("polars", "pyarrow"):
        import narwhals

        given = readable(data)
        frame = narwhals.from_native(given, eager_only=True, allow_series=True)
        return frame[numbers].to_native()
    return as_numpy(data)[numbers]


def float_array(values: Any, purpose: str) -> np.ndarray:
    """`values` as float64, NaN where one is masked.

    Raises:
        ValueError: Texts, or lists of unequal lengths; begins with `purpose`.
    """
    try:
        return as_numpy(values).astype("float64")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{purpose} and must be numbers, in lists of one length. Received: "
            f"{reprlib.repr(values)}."
        ) from error


def class_labels(y: np.ndarray, rows: int, classes: int) -> np.ndarray:
    """`y` as int64 `(rows,)`: one class number for each row.

    Args:
        y: Array `(rows,)` or `(rows, 1)`.
        rows: Int, how many there must be.
        classes: Int. 1 is one output for two classes, 0 and 1.

    Raises:
        ValueError: Another shape, a number that is no class.
    """
    highest = max(classes, 2) - 1
    is_fit = y.shape in ((rows,), (rows, 1)) and y.dtype.kind in "biuf"
    if not is_fit or not np.isin(y, np.arange(highest + 1)).all():
        values = f": {np.unique(y)[:9]}" if is_fit else ""
        raise ValueError(
            f"`y` are the labels and must hold one for each of the {rows} rows "
            f"(one-hot: `argmax`), whole numbers from 0 to {highest}. "
            f"Received: {y.dtype} of shape {y.shape}{values}."
        )
    return y.reshape(-1).astype("int64")


class BlockBuffer:
    """Regroups arrays of any number of rows into blocks of `size` rows.

    Results computed block by block then do not depend on how the data were cut.
    """

    def __init__(self, size: int):
        self.size = size
        self.num_rows = 0  # waiting for a block to be full
        self._parts: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> list[np.ndarray]:
        """Takes in `rows`; returns the blocks that are full now, views of one array."""
        self._parts.append(rows)
        self.num_rows += len(rows)
        if self.num_rows < self.size:
            return []
        rows = np.concatenate(self._parts)
        whole = len(rows) // self.size * self.size
        self._parts = [rows[whole:].copy()]
        self.num_rows = len(rows) - whole
        return [rows[i : i + self.size] for i in range(0, whole, self.size)]

    def take_rest(self) -> np.ndarray:
        """The rows of the block that is not full, which the buffer then forgets."""
        rest = np.concatenate(self._parts)
        self._parts, self.num_rows = [], 0
        return rest
