"""Columns as users have them, each read as one plain NumPy array of one type."""

import datetime
from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from keras_trainkit._tables.column import (
    PURPOSE,
    Column,
    of_numbers,
    of_texts,
    seconds,
)
from keras_trainkit._tables.objects import objects, of_objects, refuse_mixed


def is_table(data) -> bool:
    """Whether it is one table: a mapping, or a frame, told by its columns."""
    return isinstance(data, Mapping) or hasattr(data, "columns")


def chunks_of(data):
    """`data` itself, or the tables that it yields."""
    if is_table(data):
        yield data
        return
    if isinstance(data, str | bytes | np.ndarray) or not hasattr(data, "__iter__"):
        _refuse_table(data)
    for chunk in data:
        if not is_table(chunk):
            _refuse_table(chunk)
        yield chunk


def raw_columns(table) -> dict:
    """The columns of one table by name, as they are, in order."""
    if not is_table(table):
        _refuse_table(table)
    names = list(table if isinstance(table, Mapping) else table.columns)
    wrong = [name for name in names if not isinstance(name, str) or not name]
    if wrong or len(set(names)) < len(names) or not names:
        raise ValueError(
            f"{PURPOSE} each name must be a non-empty string that occurs once "
            "(numbers: `frame.rename(columns=str)`), at least one of them. "
            f"Received: columns {names}."
        )
    return {name: table[name] for name in names}


def read(name, column) -> Column:
    """The column as a `Column`; ValueError naming it where it is none."""
    if ops.is_tensor(column):
        column = ops.convert_to_numpy(column)
    if isinstance(column, np.ma.MaskedArray):
        column = unmasked(column)
    if isinstance(column, Sequence) and not isinstance(column, str | bytes):
        column = objects(column)
    elif not hasattr(column, "dtype") and hasattr(column, "__array__"):  # pyarrow
        column = np.asarray(column)
    dtype = getattr(column, "dtype", None)
    if dtype is None or np.ndim(column) != 1:
        raise ValueError(
            f"{PURPOSE} each must be a sequence of one value per row. Received: "
            f"{type(column).__name__} of shape {np.shape(column)} for {name!r}."
        )
    if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):
        return _of_category(name, getattr(column, "cat", column))
    if isinstance(dtype, np.dtype):
        return _of_array(name, np.asarray(column))
    return _of_extension(name, column)


def unmasked(column) -> np.ndarray:
    """A masked array as objects, None where it is masked."""
    values = np.array(column.data, object)
    values[np.ma.getmaskarray(column)] = None
    return values


def _of_category(name, column):
    """By the codes in the rows; categories that no row has play no part."""
    codes = np.asarray(column.codes)
    levels = read(name, [*column.categories, None])
    if levels.mixed:
        refuse_mixed(name)
    holds = levels.holds if (codes >= 0).any() else None
    values = levels.values[codes]  # code -1 is the None
    return Column(holds, values, declared=True, types=levels.types)


def _of_extension(name, column):
    """pandas' nullable, text and time zone types; whatever else NumPy can read."""
    kind = getattr(column.dtype, "kind", "O")
    if not hasattr(column.dtype, "na_value"):
        return _of_array(name, np.asarray(column))
    if kind in "biuf":
        values = column.to_numpy("float64", na_value=np.nan)
        return of_numbers("boolean" if kind == "b" else "number", values)
    if kind == "M" and column.dtype.type is datetime.date:  # pyarrow's days
        column = getattr(column, "array", column).__arrow_array__()
        return _of_array(name, np.asarray(column))
    if kind == "M":
        return _of_array(name, column.to_numpy("datetime64[us]"))
    try:
        return _of_array(name, column.to_numpy(object, na_value=None))
    except NotImplementedError:  # pyarrow's views of texts
        return _of_array(name, objects(list(column)))


def _of_array(name, array):
    kind = array.dtype.kind
    if kind == "b":
        return Column("boolean", array.astype("float64"))
    if kind in "iuf":
        return of_numbers("number", array.astype("float64", copy=False))
    if kind == "M":
        return of_numbers("datetime", seconds(array))
    if kind in "US":
        array = array.astype(object)
        return of_texts(array) if kind == "U" else of_objects(name, array)
    if kind == "m":
        array = objects(array.astype("timedelta64[us]").tolist())
    if array.dtype.kind == "O":
        return of_objects(name, array)
    raise ValueError(
        f"{PURPOSE} each must hold real numbers, booleans, texts or datetimes "
        "(others as texts: `.astype(str)`). "
        f"Received: dtype={array.dtype} for {name!r}."
    )


def _refuse_table(data):
    raise ValueError(
        "`table` is what the columns are read from and must be a DataFrame, a dict of "
        "column names to arrays (in `adapt` also an iterable of these). "
        f"Received: {type(data).__name__}."
    )
