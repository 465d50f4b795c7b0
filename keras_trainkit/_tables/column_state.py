"""What `TableEncoder` remembers of each column."""

import dataclasses
import functools
import sys
from typing import NoReturn

from keras_trainkit._tables.kinds import KINDS
from keras_trainkit._tables.notation import Notation

DAY = 86400.0
EXACT = 2.0**53  # float64 tells all integers apart below this one
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}  # seconds


@dataclasses.dataclass(frozen=True)
class Learned:
    """One adapted column. Plain values only, so that JSON holds it.

    Args:
        name: Of the column.
        kind: "numeric", "boolean", "categorical" or "datetime".
        rows: Int. Adapted rows.
        missing: Int. Those without a value.
        fill: Float. What a missing value counts as; datetimes here in seconds.
        center: Float. Subtracted before scaling.
        spread: Float. Divided by; 0 for a column that was constant.
        lowest: Float. Smallest value.
        highest: Float. Largest value.
        cycles: List of the keys of `CYCLES` that a datetime goes round.
        levels: List of the known texts or numbers, the most frequent first.
        rare: Int. Levels that share a code with the unseen ones.
        texts_of: "datetime" or "other" where levels are the texts of such values.
        absent: List of the texts that count as missing, in any case, besides blank
            ones. None in a file of a version that knew none: texts are as they are.
        notation: Dict of the fields of a `Notation`, of a column of texts that stand
            for numbers, datetimes or booleans; else None.
        remark: Text on the column for the summary.
    """

    name: str
    kind: str
    rows: int
    missing: int
    fill: float = 0.0
    center: float = 0.0
    spread: float = 1.0
    lowest: float = 0.0
    highest: float = 0.0
    cycles: list = dataclasses.field(default_factory=list)
    levels: list = dataclasses.field(default_factory=list)
    rare: int = 0
    texts_of: str = ""
    absent: list | None = None
    notation: dict | None = None
    remark: str = ""

    @functools.cached_property
    def written(self) -> Notation | None:
        """The notation of its texts."""
        if self.notation is None:
            return None
        return Notation.from_plain(self.notation)

    @property
    def levels_are(self):
        """ "text", "number", "datetime" or "other" if categorical, else None."""
        if not self.levels:
            return None
        is_text = isinstance(self.levels[0], str)
        return (self.texts_of or "text") if is_text else "number"

    @property
    def has_texts(self) -> bool:
        """Whether its levels are texts."""
        return self.levels_are not in (None, "number")


FIELDS = {field.name for field in dataclasses.fields(Learned)}
NUMBERS = ("fill", "center", "spread", "lowest", "highest")
MOST_ROWS = 2**53
MOST_SECONDS = 2**63 / 1e6  # of datetime64[us]


def saved_columns(config, max_categories) -> list[Learned]:
    """From a file, which anyone may have written.

    Args:
        config: What `get_build_config` of the encoder gave.
        max_categories: Int, the most levels that a column can have learned.
    """
    if not isinstance(config, dict):
        _refuse(config)
    columns = config.get("columns")
    if not isinstance(columns, list | tuple) or not columns:
        _refuse(config)
    learned = [_saved_column(values, max_categories) for values in columns]
    names = [column.name for column in learned]
    if len(set(names)) < len(names) or len({column.rows for column in learned}) > 1:
        _refuse(config)
    return learned


def _saved_column(values, max_categories) -> Learned:
    if not isinstance(values, dict) or not set(values) <= FIELDS:
        _refuse(values)
    if not {"name", "kind", "rows", "missing"} <= set(values):
        _refuse(values)
    column = Learned(**values)
    sound = (
        isinstance(column.name, str)
        and bool(column.name)
        and isinstance(column.kind, str)
        and column.kind in KINDS
        and all(_is_count(n) for n in (column.rows, column.missing, column.rare))
        and 0 < column.rows >= column.missing
        and all(_is_number(getattr(column, name)) for name in NUMBERS)
        and column.spread >= 0
        and column.lowest <= column.fill <= column.highest
        and _are_cycles(column)
        and _are_levels(column, max_categories)
        and isinstance(column.remark, str)
        and _are_words(column.absent)
        and (column.written is None or column.written.kind == column.kind)
    )
    if not sound or (column.kind == "datetime" and not _are_datetimes(column)):
        _refuse(values)
    return _of_floats(column)


def _of_floats(column) -> Learned:
    """As it was before JSON."""
    made = {name: float(getattr(column, name)) for name in NUMBERS}
    levels = column.levels if column.has_texts else list(map(float, column.levels))
    return dataclasses.replace(column, **made, levels=levels)


def _is_count(value):
    return type(value) is int and 0 <= value <= MOST_ROWS


def _is_number(value):
    if type(value) not in (int, float):
        return False
    return abs(value) <= sys.float_info.max  # exact for any integer; False for NaN


def _are_datetimes(column):
    return column.lowest >= -MOST_SECONDS and column.highest <= MOST_SECONDS


def _are_cycles(column):
    cycles = column.cycles
    if not isinstance(cycles, list | tuple):
        return False
    texts = all(isinstance(cycle, str) for cycle in cycles)
    known = texts and set(cycles) <= set(CYCLES) and len(set(cycles)) == len(cycles)
    return known and (not cycles or column.kind == "datetime")


def _are_levels(column, max_categories):
    levels = column.levels
    if not isinstance(levels, list | tuple) or len(levels) > max_categories:
        return False
    if column.texts_of not in ("", "datetime", "other"):
        return False
    if column.kind != "categorical":
        return not levels and not column.rare and not column.texts_of
    texts = all(type(level) is str for level in levels)
    fit = _is_text if texts else _is_code
    different = all(map(fit, levels)) and len(set(levels)) == len(levels)
    return bool(levels) and different and (texts or not column.texts_of)


def _is_text(level):
    try:
        return bool(level.encode())
    except UnicodeEncodeError:
        return False


def _is_code(level):
    return _is_number(level) and abs(level) <= EXACT  # as older versions learned


def _refuse(values) -> NoReturn:
    raise ValueError(
        "A saved column holds what `adapt` learned and must be one that it can learn, "
        f"as the others under its own name. Received: {_shortened(values)}."
    )


def _shortened(values):
    try:
        return repr(values)[:200]
    except ValueError:  # of integers beyond 4300 digits
        return f"{type(values).__name__} of very large integers"


def _are_words(absent):
    if absent is None:
        return True
    return isinstance(absent, list | tuple) and all(
        isinstance(word, str) for word in absent
    )
