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
    | its views and runs of      | their values one by one: no row can be taken of     |
    | values                     | them otherwise                                      |
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
            if _is_packed(field.type):
                values = readable(data.column(number))
                data = data.set_column(number, field.name, values)
    if isinstance(data, pyarrow.Array):
        data = pyarrow.chunked_array([data])
    if isinstance(data, pyarrow.ChunkedArray) and _is_packed(data.type):
        return _unpacked(data)
    return data


def _is_packed(type_: Any) -> bool:
    """True for a type of pyarrow of whose arrays others do not read value by value."""
    kind = str(type_)
    return kind.startswith(("dictionary", "run_end_encoded")) or "_view" in kind


def _unpacked(column: Any) -> Any:
    """A chunked array of pyarrow with its values one by one."""
    import pyarrow
    from pyarrow import compute

    kind = str(column.type)
    if kind.startswith("run_end_encoded"):
        chunks = [compute.run_end_decode(chunk) for chunk in column.chunks]
        return readable(pyarrow.chunked_array(chunks, column.type.value_type))
    if kind.startswith("dictionary"):
        return readable(column.cast(column.type.value_type))
    views = {"string_view": pyarrow.string(), "binary_view": pyarrow.binary()}
    return column.cast(views[kind]) if kind in views else column


def long_integers(column: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Integers of 64 bits of polars or pyarrow, and where they are missing.

    NumPy would make floats of them, which have no longer their last digits. None for
    another column.
    """
    kind = str(getattr(column, "type", getattr(column, "dtype", ""))).lower()
    if kind not in ("int64", "uint64") or not hasattr(column, "fill_null"):
        return None
    return np.asarray(column.fill_null(0)), np.asarray(column.is_null()).astype(bool)
