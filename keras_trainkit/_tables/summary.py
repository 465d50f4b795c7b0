"""Summary of the column states as a table of text, to be printed."""

from collections.abc import Sequence

import numpy as np

from keras_trainkit._tables.column_state import ColumnState
from keras_trainkit._tables.notation import Notation

HEADING = ("column", "kind", "missing", "values")
SHOWN_LEVELS = 3


def summary_of(states: Sequence[ColumnState], has_flags: bool) -> str:
    """One line per column under a heading, then the remarks.

    Args:
        has_flags: Bool. True if missing numbers are flagged.
    """
    lines = [HEADING]
    for state in states:
        share = f"{state.missing / state.rows:.1%}" if state.missing else "-"
        lines.append((state.name, state.kind, share, _values(state, has_flags)))
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rows = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    rows.insert(1, "  ".join("-" * width for width in widths))
    rows += [f"{state.name!r} {state.remark}." for state in states if state.remark]
    return "\n".join(row.rstrip() for row in rows)


def _values(state: ColumnState, has_flags: bool) -> str:
    if state.kind == "categorical":
        return _levels(state)
    notation = state.text_notation
    show = _moment if state.kind == "datetime" else _number
    if notation is not None and notation.of == "time":
        show = _time
    if state.lowest == state.highest:
        text = f"always {show(state.lowest)}"
    else:
        text = f"{show(state.lowest)} to {show(state.highest)}"
    if state.kind != "boolean":
        text += f", median {show(state.fill)}"
    if state.cycles:
        text += f"; cycles: {', '.join(state.cycles)}"
    if notation is not None:
        text += f"; from {_notation(notation)}"
    return text + ("; flagged where missing" if state.missing and has_flags else "")


def _notation(notation: Notation) -> str:
    if notation.of == "boolean":
        return f"texts ({'/'.join(notation.yes)}, {'/'.join(notation.no)})"
    if notation.of != "number":
        return "texts"
    comma = "decimal comma" if notation.decimal == "," else ""
    details = ", ".join(filter(None, [notation.unit, comma]))
    return f"texts ({details})" if details else "texts"


def _levels(state: ColumnState) -> str:
    number = len(state.levels)
    text = f"{number} level{'s' * (number != 1)}"
    if state.rare:
        text += f" and {state.rare:,} rare ones merged"
    first = [_shortened(level) for level in state.levels[:SHOWN_LEVELS]]
    return f"{text}: {', '.join(first)}{', ...' if number > SHOWN_LEVELS else ''}"


def _shortened(level: str | float) -> str:
    text = level if isinstance(level, str) else _number(level)
    return text if len(text) <= 20 else text[:17] + "..."


def _number(value: float) -> str:
    return f"{value:.6g}"


def _time(value: float) -> str:
    return _moment(value)[11:] or "00:00:00"


def _moment(value: float) -> str:
    moment = np.datetime64(round(value), "s")
    return str(moment).replace("T00:00:00", "").replace("T", " ")
