"""Checks of what `TableEncoder` is given."""

from keras_trainkit._checks import check_choice
from keras_trainkit._tables.kinds import KINDS
from keras_trainkit._tables.notation import ABSENT


def check_categories(categories):
    """ "auto", or different names."""
    named = isinstance(categories, list | tuple) and all(
        isinstance(name, str) for name in categories
    )
    if not (categories == "auto" or named):
        raise ValueError(
            "`categories` says which columns are categorical besides texts and must be "
            f'"auto" or a list of column names. Received: categories={categories!r}.'
        )


def check_kinds(kinds, categories):
    """None, or a dict that does not contradict `categories`."""
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


def check_as_named(kinds, named):
    """Of a saved encoder: each named column is there, of the kind it was named to be.

    Args:
        kinds: Dict of the saved columns to their kinds.
        named: The same of the columns in `categories` and `kinds`.
    """
    wrong = [name for name, kind in named.items() if kinds.get(name) != kind]
    if wrong:
        raise ValueError(
            "`categories` and `kinds` say what columns are and must agree with the "
            f"columns that were saved, {list(kinds)}. Received: {wrong}."
        )


def check_missing_values(missing_values):
    """ "auto", texts, or a dict of column names to texts."""
    if missing_values == "auto":
        return
    given = missing_values
    lists = list(given.values()) if isinstance(given, dict) else [given]
    sound = all(isinstance(words, list | tuple) for words in lists) and all(
        isinstance(word, str) for words in lists for word in words
    )
    if not sound or not all(isinstance(name, str) for name in given):
        raise ValueError(
            "`missing_values` says which texts stand for a missing value and must be "
            '"auto", a list of texts, or a dict of column names to such lists '
            "(numbers: `frame.replace(-999, None)`). "
            f"Received: missing_values={missing_values!r}."
        )


def absent_texts(missing_values, name) -> list[str]:
    """Those of one column."""
    if isinstance(missing_values, dict):
        missing_values = missing_values.get(name, "auto")
    words = ABSENT if missing_values == "auto" else missing_values
    return [word.strip() for word in words]


def check_named(expected, received):
    """The same names, in any order."""
    absent = [name for name in expected if name not in received]
    unknown = [name for name in received if name not in expected]
    if absent or unknown:
        raise ValueError(
            "`table` is encoded by the columns of the adapted one and must have "
            f"exactly these. Received: {absent} missing, {unknown} unknown."
        )


def check_rows(rows):
    """The same number in each column."""
    if len(set(rows.values())) > 1:
        raise ValueError(
            "`table` holds one value per row and column, so its columns must be "
            f"equally long. Received: rows {rows}."
        )
