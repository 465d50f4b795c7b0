"""Kinds of columns: what the user says of them, and values converted to a kind.

| kind          | values of a column                                            |
| ------------- | ------------------------------------------------------------- |
| "numeric"     | float64                                                       |
| "boolean"     | float64: 0, 1                                                 |
| "datetime"    | float64: seconds since 1970-01-01                             |
| "categorical" | float64 where levels are numbers, else objects: their texts   |

NaN, or the text "", stands for a missing value.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._checks import check_choice
from keras_trainkit._tables.columns import Column, datetime_texts, seconds
from keras_trainkit._tables.notation import BOOLEANS, MISSING_WORDS, MOMENT, Notation

KINDS = ("numeric", "boolean", "categorical", "datetime")
DEFAULT_NOTATIONS = {  # of texts in a column that held none in `adapt`
    "boolean": Notation("boolean", yes=BOOLEANS[1][0], no=BOOLEANS[1][1]),
    "datetime": MOMENT,
}
_AUTO_KINDS: dict[str | None, str] = {  # by `Column.holds`
    "number": "numeric",
    "boolean": "boolean",
    "text": "categorical",
    "datetime": "datetime",
}
_ACCEPTED = {  # values of `Column.holds` that a column of each kind may send later
    "numeric": ("number", "boolean"),
    "boolean": ("boolean", "number"),
    "datetime": ("datetime",),
}
_ACCEPTED_AS_LEVELS = {  # the same by the type of the levels
    "text": ("text",),
    "number": ("number", "boolean"),
    "datetime": ("datetime", "text"),
    "other": ("other", "text"),
}


def auto_kind(name: str, column: Column) -> str:
    """Kind of a column with at least one value, if the user does not give one."""
    if column.holds == "other" and not column.declared:
        raise ValueError(
            f"The column {name!r} is encoded by its kind and must hold numbers, "
            "booleans, texts or datetimes (a level for each other value: "
            f"`categories=[{name!r}]`; durations as numbers: `.dt.total_seconds()`). "
            f"Received: {column.types}."
        )
    return "categorical" if column.declared else _AUTO_KINDS[column.holds]


def level_type_of(column: Column) -> str:
    """Type of the levels of a categorical column; see `ColumnState.level_type`."""
    is_number = column.holds in _ACCEPTED_AS_LEVELS["number"]
    return "number" if is_number else str(column.holds)


def values_as_kind(
    name: str,
    column: Column,
    kind: str,
    level_type: str | None = None,
    parse_texts: bool = False,
) -> np.ndarray:
    """Values of a column as `kind`, in the form of the table above.

    Args:
        name: Name of the column, for messages.
        level_type: Type of the levels of a categorical column, else None.
        parse_texts: Bool. True reads texts as numbers or datetimes, because the user
            gave the kind.
    """
    as_text = level_type not in (None, "number")
    if column.holds is None:
        rows = len(column.values)
        return np.full(rows, "", object) if as_text else np.full(rows, np.nan)
    if column.holds == "text" and parse_texts and kind in ("numeric", "datetime"):
        return _parsed(name, column.values, kind)
    accepted = _ACCEPTED_AS_LEVELS[level_type] if level_type else _ACCEPTED[kind]
    if column.holds not in accepted:
        refuse_values(name, kind, level_type, column.types or f"{column.holds}s")
    if as_text and column.holds == "datetime":
        return datetime_texts(column.values)
    if kind == "boolean":
        _check_boolean(name, column.values)
    return column.values


def refuse_values(
    name: str, kind: str, level_type: str | None, received: str
) -> NoReturn:
    """Refuses values that do not fit the kind of their column."""
    wanted = {"numeric": "numbers", "boolean": "booleans", "datetime": "datetimes"}
    if level_type == "other":
        _refuse(name, "categories of the adapted types, or their texts", received)
    _refuse(name, wanted.get(kind, f"categories that are {level_type}s"), received)


def _parsed(name: str, texts: np.ndarray, kind: str) -> np.ndarray:
    try:
        if kind == "datetime":
            return seconds(texts.astype("datetime64[us]"))
        return np.where(texts == "", "nan", texts).astype("float64")
    except ValueError as error:
        written = "a number" if kind == "numeric" else "a datetime in ISO 8601"
        _refuse(name, f"texts that each are {written}", str(error))


def _check_boolean(name: str, values: np.ndarray) -> None:
    others = values[~np.isnan(values) & ~np.isin(values, (0.0, 1.0))]
    if len(others):
        received = f"{len(others):,} other numbers, such as {others[0]:.7g}"
        _refuse(name, "True and False, or 0 and 1", received)


def _refuse(name: str, wanted: str, received: str) -> NoReturn:
    raise ValueError(
        f"The column {name!r} is encoded by its kind and must hold {wanted}, or "
        f"missing values. Received: {received}."
    )


def check_categories(categories: Any) -> None:
    """Accepts "auto" or a list of column names."""
    named = isinstance(categories, list | tuple) and all(
        isinstance(name, str) for name in categories
    )
    if not (named or (isinstance(categories, str) and categories == "auto")):
        raise ValueError(
            "`categories` says which columns are categorical besides texts and must be "
            f'"auto" or a list of column names. Received: categories={categories!r}.'
        )


def check_kinds(kinds: Any, categories: Any) -> None:
    """Accepts None or a dict of column names to kinds that `categories` leaves out."""
    if kinds is None:
        return
    if not isinstance(kinds, dict) or not all(isinstance(name, str) for name in kinds):
        raise ValueError(
            "`kinds` says what columns are and must be None or a dict of column names "
            f"to {', '.join(map(repr, KINDS))}. Received: kinds={kinds!r}."
        )
    for name, kind in kinds.items():
        check_choice(f"kinds[{name!r}]", kind, "says what the column is", KINDS)
    twice = [] if categories == "auto" else [n for n in kinds if n in categories]
    if twice:
        raise ValueError(
            "`categories` and `kinds` say what columns are and must not name the same "
            f"one. Received: {twice} in both."
        )


def check_missing_values(missing_values: Any) -> None:
    """Accepts "auto", a list of texts, or a dict of column names to such lists."""
    if missing_values == "auto":
        return
    given = missing_values
    lists = list(given.values()) if isinstance(given, dict) else [given]
    valid = all(isinstance(words, list | tuple) for words in lists) and all(
        isinstance(word, str) for words in lists for word in words
    )
    if not valid or not all(isinstance(name, str) for name in given):
        raise ValueError(
            "`missing_values` says which texts stand for a missing value and must be "
            '"auto", a list of texts, or a dict of column names to such lists '
            "(numbers: `frame.replace(-999, None)`). "
            f"Received: missing_values={missing_values!r}."
        )


def missing_words(missing_values: Any, name: str) -> list[str]:
    """Texts that stand for a missing value in the column `name`."""
    if isinstance(missing_values, dict):
        missing_values = missing_values.get(name, "auto")
    words = MISSING_WORDS if missing_values == "auto" else missing_values
    return [word.strip() for word in words]


def check_saved_kinds(saved: Mapping[str, str], named: Mapping[str, str]) -> None:
    """Refuses a saved encoder whose arguments contradict its columns.

    Args:
        saved: Kinds of the saved columns, by name.
        named: Kinds that `categories` and `kinds` give, by name.
    """
    wrong = [name for name, kind in named.items() if saved.get(name) != kind]
    if wrong:
        raise ValueError(
            "`categories` and `kinds` say what columns are and must agree with the "
            f"columns that were saved, {list(saved)}. Received: {wrong}."
        )
