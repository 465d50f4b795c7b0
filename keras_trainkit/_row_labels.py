"""Labels of rows (the index of pandas), which tell that two parts are in other orders.

Rows belong together by position everywhere in the kit; labels are not followed.
"""

from collections.abc import Mapping
from typing import Any


def check_row_order(name: str, values: Any, table: Any, of: str = "X") -> None:
    """Refuses a Series of pandas that has the labels of the table in another order.

    Args:
        name: Argument that gives the values, for the message.
        values: A Series or a frame, or a dict of them; others have no labels and pass.
        table: Likewise; of a dict the first column that has labels counts.
        of: Argument that gives the table, for the message.
    """
    if isinstance(values, Mapping):
        for key, part in values.items():
            check_row_order(f"{name}[{key!r}]", part, table, of)
        return
    place, labels = _labels_of(table)
    if _are_reordered(getattr(values, "index", None), labels):
        raise ValueError(
            f"`{name}` belongs to the rows of `{of}` by position and must be in their "
            f"order: `{name}.loc[{of}{place}.index]` brings it there, "
            f"`{name}.to_numpy()` leaves it as it is. "
            f"Received: the labels of `{of}{place}` in another order."
        )


def check_row_orders(table: Any, of: str = "X", **parts: Any) -> None:
    """`check_row_order` of several arguments by name; those that are None pass."""
    for name, values in parts.items():
        check_row_order(name, values, table, of)


def check_columns_in_order(columns: Mapping, purpose: str) -> None:
    """Refuses columns whose labels are those of the first column in another order.

    Args:
        purpose: Beginning of the message: what the table is for.
    """
    place, labels = _labels_of(columns)
    for name, column in columns.items():
        if _are_reordered(getattr(column, "index", None), labels):
            raise ValueError(
                f"{purpose} must hold its rows in one order in all columns "
                "(`pandas.DataFrame(columns)` brings them there, by their labels; "
                "`.to_numpy()` of each leaves them as they are). Received: the labels "
                f"of {place} in another order in {name!r}."
            )


def _labels_of(table: Any) -> tuple[str, Any]:
    """The labels of a table, and the part that has them, "" or "[name]"."""
    for name, part in table.items() if isinstance(table, Mapping) else ():
        if _is_index(getattr(part, "index", None)):
            return f"[{name!r}]", part.index
    return "", getattr(table, "index", None)


def _is_index(labels: Any) -> bool:
    return hasattr(labels, "is_unique") and hasattr(labels, "equals")


def _are_reordered(own: Any, other: Any) -> bool:
    if not (_is_index(own) and _is_index(other)):
        return False
    if own.equals(other) or not (own.is_unique and other.is_unique):
        return False
    return len(own) == len(other) and bool(own.isin(other).all())
