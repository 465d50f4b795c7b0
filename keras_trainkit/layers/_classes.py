"""Tasks of a model, and the names of its classes."""

import math
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._checks import check_choice

LABELLED = ("classification", "binary")
TASKS = (*LABELLED, "regression")
_TYPES = {str, int, bool, float}


def check_task(task: Any) -> None:
    check_choice("task", task, "says what the outputs stand for", TASKS)


def checked_classes(classes: Any, task: str | None, outputs: int) -> list | None:
    """`classes` as a list of plain Python values; None stays None.

    Args:
        classes: List, tuple or array of names, or None.
        task: Task of the model.
        outputs: Int. Outputs of the model, which must fit the number of names.
    """
    if classes is None:
        return None
    values = plain_classes(classes, task)
    count = 2 if task == "binary" and outputs == 1 else outputs
    if len(values) != count:
        words = f"{count} of them, in the order of the label codes 0, 1, ..."
        _refuse(words, classes)
    return values


def plain_classes(classes: Any, task: str | None) -> list:
    """`classes` as a list of plain Python values, where their number is not known."""
    if task not in LABELLED:
        _refuse("None where the task has no classes", classes, f"task={task!r}")
    values = [_plain(value) for value in _listed(classes)]
    types = {type(value) for value in values}
    if len(types) != 1 or not types <= _TYPES or not all(map(can_be_saved, values)):
        allowed = "strings, integers, True and False, or finite numbers, all alike"
        _refuse(allowed, classes)
    if len(set(values)) != len(values):
        _refuse("different ones", classes)
    return values


def _listed(classes: Any) -> list:
    if isinstance(classes, list | tuple):
        return list(classes)
    if getattr(getattr(classes, "dtype", None), "kind", None) in ("m", "M"):
        return list(classes)  # `tolist` makes integers of nanoseconds
    listed = classes.tolist() if hasattr(classes, "tolist") else None  # NumPy, pandas
    if not isinstance(listed, list):
        _refuse("a list, tuple or array", classes)
    return listed


def _plain(value: Any) -> Any:
    is_time = isinstance(value, np.datetime64 | np.timedelta64)
    return value.item() if isinstance(value, np.generic) and not is_time else value


def can_be_saved(value: Any) -> bool:
    """True if both a SavedModel and JSON can hold the value."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return -(2**63) <= value < 2**63


def _refuse(allowed: str, classes: Any, also: str = "") -> NoReturn:
    raise ValueError(
        f"`classes` names what the outputs stand for and must be {allowed}. "
        f"Received: classes={classes!r}{', ' * bool(also)}{also}."
    )
