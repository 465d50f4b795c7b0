"""A table in chunks, each divided into inputs and columns of their own."""

from collections.abc import Mapping

import numpy as np


def chunks_of(table):
    """The table itself, or the tables that it yields."""
    if _is_table(table):
        yield table
        return
    if isinstance(table, str | bytes | np.ndarray) or not hasattr(table, "__iter__"):
        _refuse(table)
    for chunk in table:
        if not _is_table(chunk):
            _refuse(chunk)
        yield chunk


def divided(chunk, names):
    """The chunk without the columns `names`, these columns, and the number of rows.

    Args:
        names: Dict of argument to the column that it names, None for no column.
    """
    columns = list(chunk if isinstance(chunk, Mapping) else chunk.columns)
    for argument, name in names.items():
        if name is not None and name not in columns:
            raise ValueError(
                f"`{argument}` names a column of the table and must be one of "
                f"{columns}. Received: {argument}={name!r}."
            )
    kept = [name for name in columns if name not in names.values()]
    if isinstance(chunk, Mapping):
        inputs = {name: chunk[name] for name in kept}
    else:
        inputs = chunk[kept]
    taken = {a: None if name is None else chunk[name] for a, name in names.items()}
    rows = len(chunk[columns[0]]) if columns else 0
    return inputs, taken, rows


def _is_table(data):
    return isinstance(data, Mapping) or hasattr(data, "columns")


def _refuse(data):
    raise ValueError(
        "`table` is what batches are made of and must be a DataFrame, a dict of column "
        "names to arrays, or an iterable of these. "
        f"Received: {type(data).__name__}."
    )
