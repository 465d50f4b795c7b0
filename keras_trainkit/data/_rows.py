"""Rows of data: their number, columns with an entry for each, empty parts."""

import numbers
import reprlib
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_count
from keras_trainkit._tables.objects import is_missing


def row_count(data: Any) -> int:
    """Rows of `data`, all of whose arrays must have as many; an int is their number."""
    if isinstance(data, numbers.Integral):
        check_count("data", data, "is the number of rows, or what has them")
        return int(data)
    counts = sorted(set(_counts(data)))
    if len(counts) != 1 or not counts[0]:
        raise ValueError(
            "`data` holds the rows and must have at least one, as many in each of its "
            f"arrays. Received: arrays with {counts} rows."
        )
    return counts[0]


def column_of(name: str, values: Any, rows: int, purpose: str) -> np.ndarray:
    """`values` as an array with one entry for each row, none of them missing.

    Args:
        name: Argument that gives the values, for messages.
        purpose: Its purpose, as in `_checks`.
    """
    try:
        array = as_numpy(values)
    except ValueError as error:
        raise ValueError(
            f"`{name}` {purpose} and must hold one entry for each of the {rows} rows. "
            f"Received: lists of unequal lengths, {reprlib.repr(values)}."
        ) from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != rows:
        raise ValueError(
            f"`{name}` {purpose} and must hold one entry for each of the {rows} rows. "
            f"Received: {name} of shape {array.shape}."
        )
    refuse_missing(name, array, purpose)
    return array


def refuse_missing(name: str, array: np.ndarray, purpose: str) -> None:
    """Refuses entries that are missing; arguments as of `column_of`."""
    missing = sum(map(is_missing, array.ravel() if _may_miss(array) else ()))
    if missing:
        raise ValueError(
            f"`{name}` {purpose}, so none may be missing (drop or name these rows "
            f"first). Received: {name} with {missing} of {len(array)} missing."
        )


def codes_of(column: np.ndarray) -> tuple[list, np.ndarray]:
    """The different entries of a column, and for each row the number of its entry."""
    entries = column.tolist()
    numbers_of: dict = {}
    codes = [
        numbers_of.setdefault(tuple(e) if column.ndim == 2 else e, len(numbers_of))
        for e in entries
    ]
    return list(numbers_of), np.array(codes)


def refuse_empty(name: str, received: str) -> NoReturn:
    """Refuses a split whose part `name` has no rows."""
    raise ValueError(
        f"The {name} part must have at least one row: give other sizes, or more or "
        f"smaller groups or times. Received: {received}."
    )


def _counts(data: Any) -> list[int]:
    if isinstance(data, dict):
        parts = tuple(data.values())
    elif isinstance(data, tuple):
        parts = data
    elif isinstance(data, str | bytes | set | frozenset):
        _refuse_type(data)
    else:
        try:
            return [len(data)]
        except TypeError as error:
            _refuse_type(data, error)
    return [count for part in parts for count in _counts(part)]


def _refuse_type(data: Any, cause: Exception | None = None) -> NoReturn:
    raise ValueError(
        "`data` holds the rows and must be their number, an array, a table, or a dict "
        f"or tuple of them. Received: data of type {type(data).__name__}."
    ) from cause


def _may_miss(array: np.ndarray) -> bool:
    if array.dtype.kind == "f":
        return bool(np.isnan(array).any())
    return array.dtype.kind in "OmM"
