"""One column of a table, read."""

import dataclasses

import numpy as np

PURPOSE = "`table` holds one column per name and"


@dataclasses.dataclass(frozen=True)
class Column:
    """What a column holds, whatever type brought it.

    Args:
        holds: "number", "boolean", "text", "datetime", or None where every value is
            missing.
        values: `(rows,)`. Numbers, booleans (0, 1) and datetimes (seconds since
            1970-01-01, UTC) as float64 with NaN for a missing one; texts as objects
            with "" for a missing one.
        declared: Whether its type said that it is a category (pandas).
    """

    holds: str | None
    values: np.ndarray
    declared: bool = False


def of_texts(array) -> Column:
    """Of objects that all are texts."""
    return Column("text" if (array != "").any() else None, array)


def of_numbers(holds, values) -> Column:
    """Of float64, NaN where missing."""
    return Column(None if np.isnan(values).all() else holds, values)


def seconds(array) -> np.ndarray:
    """datetime64 of any unit as seconds since 1970-01-01, NaN for NaT."""
    whole = array.astype("datetime64[us]")
    return np.where(np.isnat(whole), np.nan, whole.astype("int64") / 1e6)
