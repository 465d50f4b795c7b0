"""A table of the learned columns, to be printed."""

import numpy as np

from keras_trainkit._tables.column_state import Learned

HEADING = ("column", "kind", "missing", "values")
SHOWN_LEVELS = 3


def summary_of(columns, missing_flag) -> str:
    """One line per column, under a heading, each cell as wide as its widest."""
    lines = [HEADING]
    for column in columns:
        share = f"{column.missing / column.rows:.1%}" if column.missing else "-"
        lines.append((column.name, column.kind, share, _values(column, missing_flag)))
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rows = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    rows.insert(1, "  ".join("-" * width for width in widths))
    rows += [f"{c.name!r} {c.remark}." for c in columns if c.remark]
    return "\n".join(row.rstrip() for row in rows)


def _values(column: Learned, missing_flag):
    if column.kind == "categorical":
        return _levels(column)
    show = _moment if column.kind == "datetime" else _number
    if column.written and column.written.of == "time":
        show = _time
    if column.lowest == column.highest:
        text = f"always {show(column.lowest)}"
    else:
        text = f"{show(column.lowest)} to {show(column.highest)}"
    if column.kind != "boolean":
        text += f", median {show(column.fill)}"
    if column.cycles:
        text += f"; cycles: {', '.join(column.cycles)}"
    if column.written:
        text += f"; from {_written(column.written)}"
    return text + ("; flagged where missing" if column.missing and missing_flag else "")


def _written(notation):
    if notation.of == "boolean":
        return f"texts ({'/'.join(notation.yes)}, {'/'.join(notation.no)})"
    if notation.of != "number":
        return "texts"
    comma = "decimal comma" if notation.decimal == "," else ""
    details = ", ".join(filter(None, [notation.unit, comma]))
    return f"texts ({details})" if details else "texts"


def _levels(column: Learned):
    number = len(column.levels)
    text = f"{number} level{'s' * (number != 1)}"
    if column.rare:
        text += f" and {column.rare:,} rare ones merged"
    first = [_shortened(level) for level in column.levels[:SHOWN_LEVELS]]
    return f"{text}: {', '.join(first)}{', ...' if number > SHOWN_LEVELS else ''}"


def _shortened(level):
    text = level if isinstance(level, str) else _number(level)
    return text if len(text) <= 20 else text[:17] + "..."


def _number(value):
    return f"{value:.6g}"


def _time(value):
    return _moment(value)[11:] or "00:00:00"


def _moment(value):
    moment = np.datetime64(round(value), "s")
    return str(moment).replace("T00:00:00", "").replace("T", " ")
