"""State of a column: what `adapt` learned of it, and its check when read from a file.

A `.keras` file holds the fields of `ColumnState`, so their names never change.
"""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from keras_trainkit._tables.kinds import KINDS
from keras_trainkit._tables.notation import Notation
from keras_trainkit._tables.objects import EXACT

DAY = 86400.0
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}  # seconds


@dataclasses.dataclass(frozen=True)
class ColumnState:
    """State of one adapted column, in plain values that JSON can hold.

    Args:
        name: Name of the column.
        kind: "numeric", "boolean", "categorical" or "datetime".
        rows: Int. Adapted rows.
        missing: Int. Adapted rows without a value.
        fill: Float. Value that stands in for a missing one; of datetimes in seconds,
            as the four below.
        center: Float. Subtracted before scaling.
        spread: Float. Divisor of the scaling; 0 for a column that was constant.
        lowest: Float. Smallest value.
        highest: Float. Largest value.
        cycles: List of keys of `CYCLES`: of a datetime those that are encoded.
        levels: List of the known levels, texts or numbers, the most frequent first.
        rare: Int. Levels that share a code with the unseen ones.
        texts_of: "datetime" or "other" if the levels are the texts of such values.
        absent: List of the texts that count as missing, in any case of letters, beside
            blank ones. None in a file of a version before these were known: texts are
            then as they are.
        notation: Dict of the fields of a `Notation` if texts stand for numbers,
            datetimes or booleans, else None.
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
    def text_notation(self) -> Notation | None:
        """`notation` as a `Notation`."""
        return None if self.notation is None else Notation.from_plain(self.notation)

    @property
    def level_type(self) -> str | None:
        """Type of the levels: "text", "number", "datetime", "other"; None without."""
        if not self.levels:
            return None
        is_text = isinstance(self.levels[0], str)
        return (self.texts_of or "text") if is_text else "number"

    @property
    def has_text_levels(self) -> bool:
        """True for texts, also those of datetimes and of other values."""
        return self.level_type not in (None, "number")


FIELDS = (
    *("name", "kind", "rows", "missing", "fill", "center", "spread", "lowest"),
    *("highest", "cycles", "levels", "rare", "texts_of", "absent", "notation"),
    "remark",
)
REQUIRED_FIELDS = ("name", "kind", "rows", "missing")
NUMBER_FIELDS = ("fill", "center", "spread", "lowest", "highest")
MAX_ROWS = 2**53
MAX_SECONDS = 2**63 / 1e6  # of datetime64[us]


def states_from_config(config: Any, max_categories: int) -> list[ColumnState]:
    """Checked column states from a file, which anyone may have edited.

    Args:
        config: What `get_build_config` of the encoder gave.
        max_categories: Int, the most levels that a column can have learned.
    """
    if not isinstance(config, dict):
        _refuse(config)
    columns = config.get("columns")
    if not isinstance(columns, list | tuple) or not columns:
        _refuse(config)
    states = [_state_from_config(fields, max_categories) for fields in columns]
    names = [state.name for state in states]
    if len(set(names)) < len(names) or len({state.rows for state in states}) > 1:
        _refuse(config)
    return states


def _state_from_config(fields: Any, max_categories: int) -> ColumnState:
    if not isinstance(fields, dict) or not set(fields) <= set(FIELDS):
        _refuse(fields)
    if not set(REQUIRED_FIELDS) <= set(fields):
        _refuse(fields)
    state = ColumnState(**fields)
    valid = (
        isinstance(state.name, str)
        and bool(state.name)
        and isinstance(state.kind, str)
        and state.kind in KINDS
        and all(_is_count(n) for n in (state.rows, state.missing, state.rare))
        and 0 < state.rows >= state.missing
        and all(_is_number(getattr(state, name)) for name in NUMBER_FIELDS)
        and state.spread >= 0
        and state.lowest <= state.fill <= state.highest
        and _has_valid_cycles(state)
        and _has_valid_levels(state, max_categories)
        and isinstance(state.remark, str)
        and _are_words(state.absent)
        and (state.text_notation is None or state.text_notation.kind == state.kind)
    )
    if not valid or (state.kind == "datetime" and not _is_in_calendar(state)):
        _refuse(fields)
    return _with_floats(state)


def _with_floats(state: ColumnState) -> ColumnState:
    """Turns numbers that JSON gives back as integers into floats again."""
    floats: dict[str, Any] = {
        name: float(getattr(state, name)) for name in NUMBER_FIELDS
    }
    if not state.has_text_levels:
        floats["levels"] = list(map(float, state.levels))
    return dataclasses.replace(state, **floats)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_ROWS


def _is_number(value: Any) -> bool:
    if type(value) not in (int, float):
        return False
    return abs(value) <= sys.float_info.max  # exact for any integer; False for NaN


def _is_in_calendar(state: ColumnState) -> bool:
    return state.lowest >= -MAX_SECONDS and state.highest <= MAX_SECONDS


def _has_valid_cycles(state: ColumnState) -> bool:
    cycles = state.cycles
    if not isinstance(cycles, list | tuple):
        return False
    are_texts = all(isinstance(cycle, str) for cycle in cycles)
    if not are_texts or not set(cycles) <= set(CYCLES):
        return False
    return len(set(cycles)) == len(cycles) and (not cycles or state.kind == "datetime")


def _has_valid_levels(state: ColumnState, max_categories: int) -> bool:
    levels = state.levels
    if not isinstance(levels, list | tuple) or len(levels) > max_categories:
        return False
    if state.texts_of not in ("", "datetime", "other"):
        return False
    if state.kind != "categorical":
        return not levels and not state.rare and not state.texts_of
    are_texts = all(type(level) is str for level in levels)
    is_level = _is_text_level if are_texts else _is_number_level
    if not levels or not all(map(is_level, levels)):
        return False
    return len(set(levels)) == len(levels) and (are_texts or not state.texts_of)


def _is_text_level(level: str) -> bool:
    try:
        return bool(level.encode())
    except UnicodeEncodeError:
        return False


def _is_number_level(level: Any) -> bool:
    # Today below `EXACT`; older versions learned this one too.
    return _is_number(level) and abs(level) <= EXACT


def _are_words(absent: Any) -> bool:
    if absent is None:
        return True
    return isinstance(absent, list | tuple) and all(
        isinstance(word, str) for word in absent
    )


def _refuse(fields: Any) -> NoReturn:
    raise ValueError(
        "A saved column holds what `adapt` learned and must be one that it can learn, "
        f"as the others under its own name. Received: {_shortened(fields)}."
    )


def _shortened(fields: Any) -> str:
    try:
        return repr(fields)[:200]
    except ValueError:  # of integers beyond 4300 digits
        return f"{type(fields).__name__} of very large integers"


def numeric_names(
    measured: Sequence[ColumnState], flagged: Sequence[ColumnState]
) -> tuple[str, ...]:
    """Names of the encoded numbers: the columns, their cycles, their flags.

    A column may have the name that is made for a cycle or a flag of another one, which
    then gets a number behind it.

    Args:
        measured: States of the columns that become numbers.
        flagged: Those of them with a flag.
    """
    names = dict.fromkeys(state.name for state in measured)
    parts = ("sin", "cos")
    made = [
        f"{s.name}_{c}_{part}" for s in measured for c in s.cycles for part in parts
    ]
    for name in (*made, *(f"{state.name}_missing" for state in flagged)):
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        free = (n for n in itertools.chain([name], numbered) if n not in names)
        names[next(free)] = None
    return tuple(names)
