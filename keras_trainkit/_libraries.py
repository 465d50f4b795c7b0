"""Data of polars, pyarrow and torch, in forms that narwhals and NumPy read."""

from typing import Any

import numpy as np


def names_of(frame: Any) -> list[Any]:
    """Names of the columns, of which pyarrow's `columns` has the values."""
    return list(getattr(frame, "column_names", frame.columns))


def is_lazy(data: Any) -> bool:
    """True for a query that reads its rows when `collect` is called."""
    return hasattr(type(data), "collect")


def readable(data: Any) -> Any:
    """Data that narwhals, or NumPy, reads as it is; others are returned unchanged.

    | data                       | what becomes of them                                |
    | -------------------------- | --------------------------------------------------- |
    | pyarrow's batch of rows    | a table, which narwhals reads                       |
    | pyarrow's array            | an array in chunks, which narwhals reads            |
    | pyarrow's dictionaries     | their values: NumPy takes a null for the last of    |
    |                            | them                                                |
    | integers of 128 bits       | an array of objects: polars makes no other          |
    | torch's tensor             | one without gradient, float32 for bfloat16          |
    """
    if str(getattr(data, "dtype", "")) in ("Int128", "UInt128"):
        array = np.empty(len(data), object)
        array[:] = data.to_list()
        return array
    library = type(data).__module__.partition(".")[0]
    if library == "torch" and hasattr(data, "detach"):
        data = data.detach().cpu()
        return data.float() if str(data.dtype) == "torch.bfloat16" else data
    if library != "pyarrow":
        return data
    import pyarrow

    if isinstance(data, pyarrow.RecordBatch):
        data = pyarrow.Table.from_batches([data])
    if isinstance(data, pyarrow.Table):
        for number, field in enumerate(data.schema):
            if pyarrow.types.is_dictionary(field.type):
                values = readable(data.column(number))
                data = data.set_column(number, field.name, values)
    if isinstance(data, pyarrow.Array):
        data = pyarrow.chunked_array([data])
    if isinstance(data, pyarrow.ChunkedArray):
        is_coded = pyarrow.types.is_dictionary(data.type)
        return data.cast(data.type.value_type) if is_coded else data
    return data


def long_integers(column: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Integers of 64 bits of polars or pyarrow, and where they are missing.

    NumPy would make floats of them, which have no longer their last digits. None for
    another column.
    """
    kind = str(getattr(column, "type", getattr(column, "dtype", ""))).lower()
    if kind not in ("int64", "uint64") or not hasattr(column, "fill_null"):
        return None
    return np.asarray(column.fill_null(0)), np.asarray(column.is_null()).astype(bool)
