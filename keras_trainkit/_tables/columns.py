"""Columns of a table, whatever type brings them, each as one plain NumPy array."""

import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from keras import ops

from keras_trainkit._libraries import is_lazy, long_integers, names_of, readable
from keras_trainkit._row_labels import check_columns_in_order
from keras_trainkit._tables.objects import (
    PURPOSE,
    check_types,
    in_utc,
    is_infinite,
    is_missing,
    is_rounded,
    mixed_text,
    object_array,
    object_text,
    real_numbers,
    refuse_types,
    type_names,
    unmasked,
    value_type,
)


@dataclasses.dataclass(frozen=True)
class Column:
    """Values of one column.

    Args:
        holds: Type of the values: "number", "boolean", "text", "datetime", "other"
            (values that can be levels and nothing else, such as intervals), or None
            where every value is missing.
        values: `(rows,)`. Numbers, booleans (0, 1) and datetimes (seconds since
            1970-01-01, UTC) as float64, NaN where missing; texts, and the texts of
            other values, as objects, "" where missing.
        declared: Bool. True if pandas' category type says that it is categorical.
        types: Names of the types of other values, for messages.
        mixed: Bool. True if some of the texts came as numbers or booleans.
        infinite: Int. How many of these numbers were infinite; their text is "".
        rounded: Bool. True if an integer beyond 2^53 is another one in float64.
        coarse: Bool. True if a float is so large that its type has no fractions there.
    """

    holds: str | None
    values: np.ndarray
    declared: bool = False
    types: str = ""
    mixed: bool = False
    infinite: int = 0
    rounded: bool = False
    coarse: bool = False


def is_table(data: Any) -> bool:
    """True for one table: a mapping, or a frame, told by its columns."""
    return isinstance(data, Mapping) or hasattr(data, "columns")


def chunks_of(data: Any) -> Iterator[Any]:
    """Yields `data` itself if it is one table, else the tables that it yields."""
    if is_lazy(data) or is_table(data):
        _check_table(data)
        yield data
        return
    if isinstance(data, str | bytes | np.ndarray) or not hasattr(data, "__iter__"):
        _refuse_table(data, ", or an iterable of these")
    for chunk in data:
        _check_table(chunk, ", or an iterable of these")
        yield chunk


def raw_columns(table: Any) -> dict[str, Any]:
    """The columns of one table by name, in its order, not read yet."""
    _check_table(table, " (in `adapt` also an iterable of these)")
    names = list(table) if isinstance(table, Mapping) else names_of(table)
    wrong = [name for name in names if not isinstance(name, str) or not name]
    if wrong or len(set(names)) < len(names) or not names:
        raise ValueError(
            f"{PURPOSE} each name must be a non-empty string that occurs once "
            "(numbers: `frame.rename(columns=str)`), at least one of them. "
            f"Received: columns {names}."
        )
    if isinstance(table, Mapping):
        check_columns_in_order(table, PURPOSE)
    return {name: table[name] for name in names}


def read_columns(columns: dict[str, Any], names: Sequence[str]) -> dict[str, Column]:
    """Reads raw columns, which must have these names and be equally long."""
    check_names(names, columns)
    found = {name: read(name, columns[name]) for name in names}
    rows = {name: len(column.values) for name, column in found.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(
            "`table` holds one value per row and column, so its columns must be "
            f"equally long. Received: rows {rows}."
        )
    return found


def check_names(expected: Sequence[str], received: Iterable[str]) -> None:
    """Refuses other names than the expected ones; their order is free."""
    known, there = dict.fromkeys(expected), dict.fromkeys(received)
    missing = [name for name in known if name not in there]
    unknown = [name for name in there if name not in known]
    if missing or unknown:
        raise ValueError(
            "`table` is encoded by the columns of the adapted one and must have "
            f"exactly these. Received: {missing} missing, {unknown} unknown."
        )


def read(name: str, column: Any) -> Column:
    """The column as a `Column`; ValueError naming it where it is none."""
    if ops.is_tensor(column):
        column = ops.convert_to_numpy(column)
    if isinstance(column, np.ma.MaskedArray):
        column = unmasked(column)
    if isinstance(column, Sequence) and not isinstance(column, str | bytes):
        column = object_array(column)
    column = readable(column)
    found = long_integers(column)
    if found is not None:
        values, missing = found
        return _number_column("number", np.where(missing, np.nan, values), values)
    if _is_read_by_numpy(column):
        column = np.asarray(column)
    dtype = getattr(column, "dtype", None)
    if dtype is None or np.ndim(column) != 1:
        raise ValueError(
            f"{PURPOSE} each must be a sequence of one value per row. Received: "
            f"{type(column).__name__} of shape {np.asarray(column).shape} for {name!r}."
        )
    if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):
        return _category_column(name, getattr(column, "cat", column))
    if isinstance(dtype, np.dtype):
        return _array_column(name, np.asarray(column))
    return _extension_column(name, column)


def number_of_infinite(column: Column, values: np.ndarray | None = None) -> int:
    """Infinite numbers of a column, or of what its texts stand for.

    Args:
        values: The column as its kind, or None.
    """
    numbers = column.values if column.values.dtype.kind == "f" else values
    if numbers is None or numbers.dtype.kind != "f":
        return column.infinite
    return column.infinite + int(np.count_nonzero(np.isinf(numbers)))


def _is_read_by_numpy(column: Any) -> bool:
    """True for pyarrow's arrays, and for pandas' sparse ones, which become dense."""
    if not hasattr(column, "dtype"):
        return hasattr(column, "__array__")
    return hasattr(column.dtype, "fill_value")


def seconds(array: np.ndarray) -> np.ndarray:
    """datetime64 of any unit as seconds since 1970-01-01, NaN for NaT.

    Infinity for what int64 cannot count in microseconds (the year 300,000).
    """
    lost = np.zeros(array.shape, bool)
    if np.datetime_data(array.dtype)[0] in ("Y", "M", "W", "D", "h", "m", "s", "ms"):
        last = np.array(2**63 - 1).view("datetime64[us]").astype(array.dtype)
        # NaT, the lowest integer, has no absolute value and stays below.
        lost = np.abs(array.astype("int64")) >= last.astype("int64")
    whole = np.where(lost, np.zeros(1, array.dtype), array).astype("datetime64[us]")
    values = np.where(np.isnat(whole), np.nan, whole.astype("int64") / 1e6)
    values[lost] = np.inf
    return values


def datetime_texts(values: np.ndarray) -> np.ndarray:
    """Seconds since 1970-01-01 as texts in ISO 8601, as short as possible.

    `2020-01-31` at midnight, else `2020-01-31T12:00:00`, with microseconds where there
    are any; "" for NaN and infinity.
    """
    different, rows = np.unique(values, return_inverse=True)
    texts = np.full(len(different), "", object)
    for index in np.flatnonzero(np.isfinite(different)):
        moment = np.datetime64(round(different[index] * 1e6), "us")
        text = str(moment).removesuffix(".000000").removesuffix("T00:00:00")
        texts[index] = text
    return texts[rows]


def refuse_mixed(name: str, types: Iterable[str] = ("number", "text")) -> NoReturn:
    """Refuses a column whose values have several types."""
    raise ValueError(
        f"{PURPOSE} each must hold values of one kind (`.astype(str)` makes texts of "
        f"all). Received: {' beside '.join(sorted(types))} in {name!r}."
    )


def _category_column(name: str, column: Any) -> Column:
    """Column of pandas' category; only categories that occur decide what it holds."""
    categories = list(column.categories)
    codes, rows = np.unique(np.asarray(column.codes), return_inverse=True)
    occurring = [None if code < 0 else categories[code] for code in codes]
    levels = read(name, occurring)
    if levels.mixed:
        refuse_mixed(name)
    holds = levels.holds
    if holds == "text" and "other" in map(value_type, map(type, categories)):
        holds = "other"  # a word for no interval, which other chunks hold
    return Column(holds, levels.values[rows], declared=True, types=levels.types)


def _extension_column(name: str, column: Any) -> Column:
    """Column of pandas' nullable, text and time zone types, or of what NumPy reads."""
    kind = getattr(column.dtype, "kind", "O")
    if not hasattr(column.dtype, "na_value"):
        return _array_column(name, np.asarray(column))
    if kind in "biuf":
        values = column.to_numpy("float64", na_value=np.nan)
        if kind == "b":
            return _number_column("boolean", values)
        own = column.to_numpy(column.dtype.numpy_dtype, na_value=0)
        return _number_column("number", values, own)
    if kind == "M" and column.dtype.type is datetime.date:  # pyarrow's days
        column = getattr(column, "array", column).__arrow_array__()
        return _array_column(name, np.asarray(column))
    if kind == "M":
        return _array_column(name, column.to_numpy("datetime64[us]"))
    try:
        return _array_column(name, column.to_numpy(object, na_value=None))
    except NotImplementedError:  # pyarrow's views of texts
        return _array_column(name, object_array(list(column)))


def _array_column(name: str, array: np.ndarray) -> Column:
    kind = array.dtype.kind
    if kind == "b":
        return Column("boolean", array.astype("float64"))
    if kind in "iuf":
        return _number_column("number", array.astype("float64", copy=False), array)
    if kind == "M":
        return _number_column("datetime", seconds(array))
    if kind in "UST":  # T: NumPy's texts of any length, which may be missing
        array = array.astype(object)
        return _text_column(array) if kind == "U" else _object_column(name, array)
    if kind == "m":
        array = object_array(array.astype("timedelta64[us]").tolist())
    if array.dtype.kind == "O":
        return _object_column(name, array)
    refuse_types(f"dtype={array.dtype} for {name!r}")


def _object_column(name: str, array: np.ndarray) -> Column:
    """Column of Python objects, by their types, which must go together."""
    types = set(map(type, array))
    if types <= {str}:
        return _text_column(array)
    check_types(name, types)
    present = ~np.fromiter(map(is_missing, array), bool, len(array))
    objects = array[present]
    types = set(map(type, objects))
    holds = set(map(value_type, types))
    if holds == {"text", "other"}:  # such as intervals and a word
        holds = {"other"}
    texts = np.full(len(array), "", object)
    if holds in ({"number", "text"}, {"boolean", "text"}):
        texts[present] = [mixed_text(name, value) for value in objects]
        infinite = sum(map(is_infinite, objects))
        return Column("text", texts, mixed=True, infinite=infinite)
    if len(holds) > 1:
        refuse_mixed(name, map(str, holds))
    if holds == {"text"}:
        texts[present] = [object_text(name, value) for value in objects]
        return _text_column(texts)
    if holds == {"other"}:
        texts[present] = [object_text(name, value) for value in objects]
        return Column("other", texts, types=", ".join(type_names(types)))
    values = np.full(len(array), np.nan)
    if holds == {"datetime"}:
        values[present] = _seconds_of_moments(objects)
    elif holds:
        values[present] = real_numbers(objects)
    return _number_column(holds.pop() if holds else None, values, objects)


def _seconds_of_moments(moments: np.ndarray) -> np.ndarray:
    """Seconds since 1970-01-01 of dates and datetimes, UTC where they have a zone."""
    found = object_array([in_utc(moment) for moment in moments])
    known = np.fromiter((isinstance(m, float) for m in found), bool, len(found))
    values = np.empty(len(found))
    values[known] = found[known].astype("float64")
    values[~known] = seconds(found[~known].astype("datetime64[us]"))
    return values


def _text_column(texts: np.ndarray) -> Column:
    return Column("text" if (texts != "").any() else None, texts)


def _number_column(
    holds: str | None, values: np.ndarray, given: np.ndarray | None = None
) -> Column:
    if np.isnan(values).all():
        holds = None
    if holds != "number" or given is None:
        return Column(holds, values)
    rounded, coarse = _is_rounded(given), _is_coarse(given)
    return Column(holds, values, rounded=rounded, coarse=coarse)


def _is_rounded(given: np.ndarray) -> bool:
    """True if one of the integers is another number in float64."""
    if given.dtype.kind == "O":
        return any(map(is_rounded, given))
    if given.dtype.kind not in "iu" or given.dtype.itemsize < 8:
        return False
    with np.errstate(invalid="ignore"):  # the largest float64 is beyond the largest int
        return bool((given.astype("float64").astype(given.dtype) != given).any())


def _is_coarse(given: np.ndarray) -> bool:
    """True if one of the floats is whole because no other number is near it."""
    if given.dtype.kind == "O":
        floats = [value for value in given.tolist() if isinstance(value, float)]
        return any(2.0**53 <= abs(value) < np.inf for value in floats)
    if given.dtype.kind != "f":
        return False
    limit = 2.0 ** (np.finfo(given.dtype).nmant + 1)
    return bool(np.fmax.reduce(given) >= limit or np.fmin.reduce(given) <= -limit)


def _check_table(data: Any, also: str = "") -> None:
    if is_lazy(data):
        raise ValueError(
            "`table` is what the columns are read from and must hold its rows "
            f"(`.collect()` reads them). Received: {type(data).__name__}."
        )
    if not is_table(data):
        _refuse_table(data, also)


def _refuse_table(data: Any, also: str) -> NoReturn:
    raise ValueError(
        "`table` is what the columns are read from and must be a DataFrame, a dict of "
        f"column names to arrays{also}. Received: {type(data).__name__}."
    )
