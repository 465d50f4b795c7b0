"""Tasks, and the names of the classes that a model tells apart."""

import math
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._checks import check_choice

LABELLED = ("classification", "binary")
TASKS = (*LABELLED, "regression")
_KINDS = (str, int, bool, float)


def check_task(task: Any) -> None:
    check_choice("task", task, "says what the outputs stand for", TASKS)


def checked_classes(classes: Any, task: str | None, outputs: int) -> list | None:
    """`classes` in plain Python values, in their order; None stays None."""
    if classes is None:
        return None
    values = plain_classes(classes, task)
    count = 2 if task == "binary" and outputs == 1 else outputs
    if len(values) != count:
        words = f"{count} of them, in the order of the label codes 0, 1, ..."
        _refuse(words, classes)
    return values


def plain_classes(classes: Any, task: str | None) -> list:
    """The same, of any number."""
    if task not in LABELLED:
        _refuse("None where the task has no classes", classes, f"task={task!r}")
    values = [_plain(value) for value in _listed(classes)]
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= set(_KINDS) or not all(map(_fits, values)):
        allowed = "strings, integers, True and False, or finite numbers, all alike"
        _refuse(allowed, classes)
    if len(set(values)) != len(values):
        _refuse("different ones", classes)
    return values


def _listed(classes: Any) -> list:
    if isinstance(classes, list | tuple):
        return list(classes)
    listed = classes.tolist() if hasattr(classes, "tolist") else None  # NumPy, pandas
    if not isinstance(listed, list):
        _refuse("a list, tuple or array", classes)
    return listed


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _fits(value: Any) -> bool:
    """Whether a SavedModel and JSON hold it."""
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
