"""Python objects in a column: which type counts as what, as numbers and as texts."""

import datetime
import decimal
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

EXACT = 2.0**53  # float64 tells all integers apart below this one
PURPOSE = "`table` holds one column per name and"  # begins errors about columns
MISSING_TYPES = ("NoneType", "NAType", "NaTType", "MaskedConstant")  # pandas', NumPy's
OTHER_TYPES = (tuple, datetime.time, datetime.timedelta, np.timedelta64)
OTHER_TYPE_NAMES = ("Interval", "Period")  # of pandas


def object_array(values: Sequence) -> np.ndarray:
    """A sequence as an array of its items, unchanged."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def unmasked(array: np.ma.MaskedArray) -> np.ndarray:
    """A masked array as objects, None where it is masked."""
    values = np.array(array.data, object)
    values[np.ma.getmaskarray(array)] = None
    return values


def value_type(type_: type) -> str | None:
    """`Column.holds` for values of this type; None if no column may hold them."""
    if issubclass(type_, str | bytes):
        return "text"
    if issubclass(type_, OTHER_TYPES) or type_.__name__ in OTHER_TYPE_NAMES:
        return "other"  # NumPy counts a timedelta among the integers
    if issubclass(type_, bool | np.bool_):
        return "boolean"
    if issubclass(type_, numbers.Real | decimal.Decimal):
        return "number"
    return "datetime" if issubclass(type_, datetime.date | np.datetime64) else None


def type_names(types: Iterable[type]) -> list[str]:
    """Names of types, for messages."""
    return sorted(type_.__name__ for type_ in types)


def check_types(name: str, types: Iterable[type]) -> None:
    """Refuses types that no column may hold."""
    unknown = [t for t in types if not value_type(t) and not _is_missing_type(t)]
    if unknown:
        refuse_types(f"{', '.join(type_names(unknown))} in {name!r}")


def refuse_types(received: str) -> NoReturn:
    """Refuses a column whose values are of a type that no column may hold."""
    raise ValueError(
        f"{PURPOSE} each must hold real numbers, booleans, texts or datetimes "
        f"(others as texts: `.astype(str)`). Received: {received}."
    )


def is_missing(value: Any) -> bool:
    """True for None, NaN, NaT and the missing values of pandas and decimal."""
    if isinstance(value, decimal.Decimal):
        return value.is_nan()  # a signaling NaN cannot be compared
    return _is_missing_type(type(value)) or value != value


def is_infinite(value: Any) -> bool:
    """True for an infinite number, also for one beyond the range of float64."""
    return not isinstance(value, str | bytes) and math.isinf(_float(value))


def is_whole(value: Any) -> bool:
    """True for an integer, a boolean, or a decimal written without a point."""
    if isinstance(value, decimal.Decimal):
        return value.is_finite() and int(value.as_tuple().exponent) >= 0
    return isinstance(value, numbers.Integral | np.bool_)


def is_rounded(value: Any) -> bool:
    """True for an integer that is another number in float64."""
    number = _float(value)
    if abs(number) < EXACT or not is_whole(value):
        return False
    return math.isinf(number) or int(number) != int(value)


def real_numbers(array: np.ndarray) -> np.ndarray:
    """Objects that are real numbers as float64; infinity beyond its range."""
    try:
        return array.astype("float64")
    except OverflowError:
        return np.array([_float(value) for value in array])


def numbers_in(array: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Objects as float64, NaN where missing, and names of types that are no numbers."""
    values = np.full(len(array), np.nan)
    types = {type_ for type_ in set(map(type, array)) if not _is_missing_type(type_)}
    wrong = [t for t in types if value_type(t) not in ("number", "boolean")]
    if not wrong:
        present = ~np.fromiter(map(is_missing, array), bool, len(array))
        values[present] = real_numbers(array[present])
    return values, type_names(wrong)


def in_utc(moment: Any) -> Any:
    """A date or datetime without zone as it is; one with a zone in UTC.

    Pandas' is a datetime64, Python's the seconds since 1970-01-01 as float: by
    `astimezone` moments at both ends of the calendar fail.
    """
    if getattr(moment, "tzinfo", None) is None:
        return moment
    if hasattr(moment, "to_datetime64"):
        return moment.to_datetime64()
    known = moment.utcoffset() is not None
    return moment.timestamp() if known else moment.replace(tzinfo=None)


def object_text(name: str, value: Any) -> str:
    """The text of a text or of an "other" value, in the column `name`.

    Bytes that are not UTF-8 become a text that equals no level.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return str.__str__(value)  # an Enum of texts writes its own name otherwise
    if isinstance(value, tuple):
        return _tuple_text(name, value)
    if type(value).__name__ == "Interval":
        return _interval_text(value)
    if isinstance(value, np.timedelta64):
        value = value.astype("timedelta64[us]").item()
    if isinstance(value, datetime.timedelta) and not getattr(value, "nanoseconds", 0):
        return datetime.timedelta.__str__(value)  # pandas writes its own otherwise
    return str(value)


def mixed_text(name: str, value: Any) -> str:
    """The text of a value in a column of texts and numbers.

    The decimal point of a number is written so that it cannot be mistaken for a
    thousands separator. That of an infinite one is "": it counts as missing.
    """
    if isinstance(value, str | bytes):
        return object_text(name, value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if is_infinite(value):
        return ""
    number = _float(value)
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    text = repr(float(number))
    return text if "e" in text else f"{text}0000"


def _is_missing_type(type_: type) -> bool:
    return type_.__name__ in MISSING_TYPES


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _tuple_text(name: str, values: tuple) -> str:
    """A tuple as Python writes it, NumPy's numbers as Python's."""
    items: list[Any] = [v.item() if isinstance(v, np.generic) else v for v in values]
    check_types(name, set(map(type, items)))
    parts = [
        object_text(name, item) if isinstance(item, tuple) else _repr(item)
        for item in items
    ]
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def _interval_text(interval: Any) -> str:
    """An interval as pandas writes it, but without a point in whole bounds.

    A missing interval in the column turns integer bounds into floats.
    """
    left, right = (
        _repr(bound) if isinstance(bound, numbers.Real) else str(bound)
        for bound in (interval.left, interval.right)
    )
    closed = interval.closed
    start = "[" if closed in ("left", "both") else "("
    return f"{start}{left}, {right}{']' if closed in ('right', 'both') else ')'}"


def _repr(value: Any) -> str:
    """Like `repr`, but equal for 1 and 1.0, which are equal."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return repr((float if value % 1 else int)(value) if is_number else value)
