"""Columns of Python objects, whatever they are."""

import datetime
import decimal
import numbers

import numpy as np

from keras_trainkit._tables.column import (
    PURPOSE,
    Column,
    of_numbers,
    of_texts,
    seconds,
)

ABSENT_TYPES = ("NoneType", "NAType", "NaTType")  # of pandas, which is not imported


def objects(values) -> np.ndarray:
    """A sequence as an array, its items as they are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def of_objects(name, array) -> Column:
    """By the types of the items; ValueError where they are of two kinds."""
    types = set(map(type, array))
    if all(issubclass(kind, str) for kind in types):
        return of_texts(array)
    _check_types(name, types)
    present = ~np.fromiter(map(_is_absent, array), bool, len(array))
    kept = array[present]
    holds = {_holds(kind) for kind in set(map(type, kept))}
    if len(holds) > 1:
        raise ValueError(
            f"{PURPOSE} each must hold values of one kind. "
            f"Received: {' beside '.join(sorted(holds))} in {name!r}."
        )
    if holds == {"text"}:
        texts = np.full(len(array), "", object)
        texts[present] = objects([_decoded(value) for value in kept])
        return of_texts(texts)
    values = np.full(len(array), np.nan)
    if holds == {"datetime"}:
        moments = np.array([_in_utc(value) for value in kept], "datetime64[us]")
        values[present] = seconds(moments)
    elif holds:
        values[present] = kept.astype("float64")
    return of_numbers(holds.pop() if holds else None, values)


def _check_types(name, types):
    unknown = [k.__name__ for k in types if not _holds(k) and not _stands_for_none(k)]
    if unknown:
        raise ValueError(
            f"{PURPOSE} each must hold real numbers, booleans, texts or datetimes. "
            f"Received: {', '.join(sorted(unknown))} in {name!r}."
        )


def _holds(kind):
    if issubclass(kind, str | bytes):
        return "text"
    if issubclass(kind, bool | np.bool_):
        return "boolean"
    if issubclass(kind, numbers.Real | decimal.Decimal):
        return "number"
    return "datetime" if issubclass(kind, datetime.date | np.datetime64) else None


def _stands_for_none(kind):
    return kind.__name__ in ABSENT_TYPES


def _is_absent(value):
    return _stands_for_none(type(value)) or value != value


def _decoded(value):
    """Bytes that are no UTF-8 become a text that no level equals."""
    return value.decode("utf-8", "surrogateescape") if type(value) is bytes else value


def _in_utc(value):
    if getattr(value, "tzinfo", None) is None:
        return value
    return value.astimezone(datetime.UTC).replace(tzinfo=None)
