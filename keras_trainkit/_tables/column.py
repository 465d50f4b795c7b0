"""One column of a table, read."""

import dataclasses

import numpy as np

PURPOSE = "`table` holds one column per name and"


@dataclasses.dataclass(frozen=True)
class Column:
    """What a column holds, whatever type brought it.

    Args:
        holds: "number", "boolean", "text", "datetime", "other" (values that can be
            levels and nothing else, such as intervals), or None where every value is
            missing.
        values: `(rows,)`. Numbers, booleans (0, 1) and datetimes (seconds since
            1970-01-01, UTC) as float64 with NaN for a missing one; texts, and the texts
            of other values, as objects with "" for a missing one.
        declared: Whether its type said that it is a category (pandas).
        types: The types of other values, for messages.
        mixed: Whether some of the texts came as numbers or booleans.
    """

    holds: str | None
    values: np.ndarray
    declared: bool = False
    types: str = ""
    mixed: bool = False


def of_texts(array) -> Column:
    """Of objects that all are texts."""
    return Column("text" if (array != "").any() else None, array)


def of_numbers(holds, values) -> Column:
    """Of float64, NaN where missing."""
    return Column(None if np.isnan(values).all() else holds, values)


def seconds(array) -> np.ndarray:
    """datetime64 of any unit as seconds since 1970-01-01, NaN for NaT.

    Infinity for what int64 cannot count in microseconds (the year 300,000).
    """
    whole = array.astype("datetime64[us]")
    values = np.where(np.isnat(whole), np.nan, whole.astype("int64") / 1e6)
    if np.datetime_data(array.dtype)[0] in ("Y", "M", "W", "D", "h", "m", "s", "ms"):
        lost = (whole.astype(array.dtype) != array) & ~np.isnat(array)
        values[lost] = np.inf
    return values


def datetime_texts(values) -> np.ndarray:
    """Seconds since 1970-01-01 as texts in ISO 8601, as short as they can be.

    `2020-01-31` at midnight, else `2020-01-31T12:00:00`, with microseconds where there
    are any; "" for NaN and infinity.
    """
    different, places = np.unique(values, return_inverse=True)
    texts = np.full(len(different), "", object)
    for place in np.flatnonzero(np.isfinite(different)):
        moment = np.datetime64(round(different[place] * 1e6), "us")
        text = str(moment).removesuffix(".000000").removesuffix("T00:00:00")
        texts[place] = text
    return texts[places]
