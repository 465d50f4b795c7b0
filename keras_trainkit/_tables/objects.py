"""Columns of Python objects, whatever they are."""

import datetime
import decimal
import numbers
from typing import Any

import numpy as np

from keras_trainkit._tables.column import (
    PURPOSE,
    Column,
    of_numbers,
    of_texts,
    seconds,
)

ABSENT_TYPES = ("NoneType", "NAType", "NaTType")  # of pandas, which is not imported
OTHER_TYPES = (tuple, datetime.time, datetime.timedelta, np.timedelta64)
OTHER_NAMES = ("Interval", "Period")  # of pandas


def objects(values) -> np.ndarray:
    """A sequence as an array, its items as they are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def of_objects(name, array) -> Column:
    """By the types of the items; ValueError where they are of two kinds."""
    types = set(map(type, array))
    if types <= {str}:
        return of_texts(array)
    _check_types(name, types)
    present = ~np.fromiter(map(is_absent, array), bool, len(array))
    kept = array[present]
    types = set(map(type, kept))
    holds = set(map(_holds, types))
    if holds == {"text", "other"}:  # intervals beside a word for what is in none
        holds = {"other"}
    if holds in ({"number", "text"}, {"boolean", "text"}):
        texts = np.full(len(array), "", object)
        texts[present] = [_as_text(name, value) for value in kept]
        return Column("text", texts, mixed=True)
    if len(holds) > 1:
        refuse_mixed(name, holds)
    if holds and holds <= {"text", "other"}:
        texts = np.full(len(array), "", object)
        texts[present] = [_text(name, value) for value in kept]
        column = of_texts(texts)
        if holds != {"other"}:
            return column
        return Column("other", texts, types=", ".join(_names(types)))
    values = np.full(len(array), np.nan)
    if holds == {"datetime"}:
        values[present] = seconds(np.array(list(map(_in_utc, kept)), "datetime64[us]"))
    elif holds:
        values[present] = real_numbers(kept)
    return of_numbers(holds.pop() if holds else None, values)


def real_numbers(array) -> np.ndarray:
    """Objects that are real numbers as float64; infinity beyond its range."""
    try:
        return array.astype("float64")
    except OverflowError:
        return np.array([_float(value) for value in array])


def numbers_in(array) -> tuple[np.ndarray, list[str]]:
    """Objects as float64, NaN where missing, and the types that are no real numbers."""
    values = np.full(len(array), np.nan)
    types = {kind for kind in set(map(type, array)) if not _stands_for_none(kind)}
    wrong = [kind for kind in types if _holds(kind) not in ("number", "boolean")]
    if not wrong:
        present = ~np.fromiter(map(is_absent, array), bool, len(array))
        values[present] = real_numbers(array[present])
    return values, _names(wrong)


def is_whole(value) -> bool:
    """An integer or boolean, or a decimal that is written without a point."""
    if isinstance(value, decimal.Decimal):
        return value.is_finite() and int(value.as_tuple().exponent) >= 0
    return isinstance(value, numbers.Integral | np.bool_)


def is_absent(value) -> bool:
    """None, NaN, NaT and what pandas and decimal have of the kind."""
    if isinstance(value, decimal.Decimal):
        return value.is_nan()  # one that signals cannot be compared
    return _stands_for_none(type(value)) or value != value


def refuse_mixed(name, holds=("number", "text")):
    """Of a column that has no meaning as a whole."""
    raise ValueError(
        f"{PURPOSE} each must hold (`.astype(str)` makes texts) values of one "
        f"kind. Received: {' beside '.join(sorted(holds))} in {name!r}."
    )


def _check_types(name, types):
    unknown = [k for k in types if not _holds(k) and not _stands_for_none(k)]
    if unknown:
        raise ValueError(
            f"{PURPOSE} each must hold real numbers, booleans, texts or datetimes "
            "(others as texts: `.astype(str)`). "
            f"Received: {', '.join(_names(unknown))} in {name!r}."
        )


def _holds(kind):
    if issubclass(kind, str | bytes):
        return "text"
    if issubclass(kind, OTHER_TYPES) or kind.__name__ in OTHER_NAMES:
        return "other"  # NumPy counts a timedelta among the integers
    if issubclass(kind, bool | np.bool_):
        return "boolean"
    if issubclass(kind, numbers.Real | decimal.Decimal):
        return "number"
    return "datetime" if issubclass(kind, datetime.date | np.datetime64) else None


def _stands_for_none(kind):
    return kind.__name__ in ABSENT_TYPES


def _names(types):
    return sorted(kind.__name__ for kind in types)


def _float(value):
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _as_text(name, value) -> str:
    """Of a number one whose point is not mistaken for a mark of thousands."""
    if isinstance(value, str | bytes):
        return _text(name, value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    number = _float(value)
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    text = repr(float(number))
    return text if "e" in text else f"{text}0000"


def _text(name, value) -> str:
    """Bytes that are no UTF-8 become a text that no level equals."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return str.__str__(value)  # an Enum of texts has words of its own
    if isinstance(value, tuple):
        return _tuple_text(name, value)
    if type(value).__name__ == "Interval":
        return _interval_text(value)
    if isinstance(value, np.timedelta64):
        value = value.astype("timedelta64[us]").item()
    if isinstance(value, datetime.timedelta) and not getattr(value, "nanoseconds", 0):
        return datetime.timedelta.__str__(value)  # pandas writes its own otherwise
    return str(value)


def _tuple_text(name, values):
    """As Python writes it, whether a number in it is NumPy's or not."""
    items: list[Any] = [v.item() if isinstance(v, np.generic) else v for v in values]
    _check_types(name, set(map(type, items)))
    parts = [_text(name, v) if isinstance(v, tuple) else _repr(v) for v in items]
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def _interval_text(interval):
    """As pandas writes it, but for whole bounds, which a gap turns to floats."""
    left, right = (
        _repr(bound) if isinstance(bound, numbers.Real) else str(bound)
        for bound in (interval.left, interval.right)
    )
    closed = interval.closed
    start = "[" if closed in ("left", "both") else "("
    return f"{start}{left}, {right}{']' if closed in ('right', 'both') else ')'}"


def _repr(value: Any) -> str:
    """The same of 1 and 1.0, which are equal."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return repr((float if value % 1 else int)(value) if is_number else value)


def _in_utc(value):
    """Without astimezone, which fails at both ends of the calendar."""
    if getattr(value, "tzinfo", None) is None:
        return value
    moment = np.datetime64(value.replace(tzinfo=None), "us")
    return moment - np.timedelta64(value.utcoffset(), "us")
