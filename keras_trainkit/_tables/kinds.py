"""What a column counts as, and its values in the form that this kind is computed in."""

import numpy as np

from keras_trainkit._tables.column import Column, datetime_texts, seconds
from keras_trainkit._tables.notation import (
    BOOLEANS,
    MOMENT,
    PLAIN,
    Notation,
    compiled,
    words_pattern,
)
from keras_trainkit._tables.objects import refuse_mixed

KINDS = ("numeric", "boolean", "categorical", "datetime")
NOTATIONS = {  # of texts for a column that held no texts in `adapt`
    "boolean": Notation("boolean", yes=BOOLEANS[1][0], no=BOOLEANS[1][1]),
    "datetime": MOMENT,
}
AUTOMATIC: dict[str | None, str] = {
    "number": "numeric",
    "boolean": "boolean",
    "text": "categorical",
    "datetime": "datetime",
}
SUITS = {
    "numeric": ("number", "boolean"),
    "boolean": ("boolean", "number"),
    "datetime": ("datetime",),
}
SUITS_LEVELS = {
    "text": ("text",),
    "number": ("number", "boolean"),
    "datetime": ("datetime", "text"),
    "other": ("other", "text"),
}


def kind_of(name, column: Column) -> str:
    """The kind that "auto" gives a column with at least one value."""
    if column.holds == "other" and not column.declared:
        raise ValueError(
            f"The column {name!r} is encoded by its kind and must hold numbers, "
            "booleans, texts or datetimes (a level for each other value: "
            f"`categories=[{name!r}]`; durations as numbers: `.dt.total_seconds()`). "
            f"Received: {column.types}."
        )
    return "categorical" if column.declared else AUTOMATIC[column.holds]


def levels_of(column: Column) -> str:
    """What the levels of a categorical column are: a key of `SUITS_LEVELS`."""
    return "number" if column.holds in SUITS_LEVELS["number"] else str(column.holds)


def values_as(name, column: Column, kind, levels=None, parsed=False) -> np.ndarray:
    """The values of a column, for a column that was adapted as `kind`.

    Args:
        levels: What the levels of a categorical column are, else None.
        parsed: Whether the user asked for this kind, so that texts are read as it.

    Returns:
        Objects with "" for a missing one where levels are texts, also those of
        datetimes and other values, else float64 with NaN for it.
    """
    as_text = levels not in (None, "number")
    if column.holds is None:
        rows = len(column.values)
        return np.full(rows, "", object) if as_text else np.full(rows, np.nan)
    if column.holds == "text" and parsed and kind in ("numeric", "datetime"):
        return _parsed(name, column.values, kind)
    if column.holds not in (SUITS_LEVELS[levels] if levels else SUITS[kind]):
        _refuse(name, _wanted(kind, levels), column.types or f"{column.holds}s")
    if as_text and column.holds == "datetime":
        return datetime_texts(column.values)
    if kind == "boolean":
        _check_boolean(name, column.values)
    return column.values


def values_of_texts(name, column: Column, learned) -> np.ndarray:
    """The same of a column of texts, for one whose missing words are known.

    Args:
        learned: `Learned`.
    """
    if learned.written is not None:
        values = learned.written.values(column.values)
        if column.mixed and learned.written.of == "number":
            values = np.where(np.isnan(values), PLAIN.values(column.values), values)
        return values
    if learned.has_texts:
        if column.mixed:
            refuse_mixed(name)
        return column.values
    notation = NOTATIONS.get(learned.kind, PLAIN)
    blank = compiled(words_pattern(("", *learned.absent)))
    texts = column.values
    values = notation.values(texts)
    odd = [t for t in texts[np.isnan(values)] if not blank.fullmatch(t)]
    if odd:
        received = f"texts, such as {odd[0]!r}"
        refuse_kind(name, learned.kind, learned.levels_are, received)
    return values


def refuse_kind(name, kind, levels, received):
    """Of a column with values of another kind."""
    _refuse(name, _wanted(kind, levels), received)


def _parsed(name, texts, kind):
    try:
        if kind == "datetime":
            return seconds(texts.astype("datetime64[us]"))
        return np.where(texts == "", "nan", texts).astype("float64")
    except ValueError as error:
        written = "a number" if kind == "numeric" else "a datetime in ISO 8601"
        _refuse(name, f"texts that each are {written}", str(error))


def _check_boolean(name, values):
    if not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
        _refuse(name, "True and False, or 0 and 1", "other numbers")


def _wanted(kind, levels):
    words = {"numeric": "numbers", "boolean": "booleans", "datetime": "datetimes"}
    if levels == "other":
        return "categories of the adapted types, or their texts"
    return words.get(kind, f"categories that are {levels}s")


def _refuse(name, wanted, received):
    raise ValueError(
        f"The column {name!r} is encoded by its kind and must hold {wanted}, or "
        f"missing values. Received: {received}."
    )
