"""Choices of a recipe with their reasons, and those that recipes share."""

import math
from collections.abc import Mapping
from typing import Any

from keras_trainkit._checks import check_count

PRESETS = ("default", "fast")
FOLDS = 5
LEAST_EPOCHS, MOST_EPOCHS = 30, 135
MIN_EPOCH_STEPS = 16


def choice(value: Any, reason: str) -> dict[str, Any]:
    return {"value": value, "reason": reason}


def with_given(
    found: dict[str, tuple[Any, str]], given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """A `choice` for each pair of value and reason, or what the user gave instead.

    Args:
        given: By name; None leaves it to the recipe. "optimizer" and "loss" have
            numbers of their own.
    """
    parts = {
        "optimizer": ("learning_rate", "weight_decay", "global_clipnorm"),
        "loss": ("label_smoothing",),
    }
    for part, names in parts.items():
        if given.get(part) is not None:
            own = (None, f"the given {part} has its own")
            found |= {name: own for name in names if name in found}
    for name in found:
        if given.get(name) is not None:
            found[name] = (given[name], "given")
    return {name: choice(*pair) for name, pair in found.items()}


def lengths_of(
    rows: int, seen: int, batch_size: int, min_epoch_steps: int = MIN_EPOCH_STEPS
) -> dict[str, tuple[int, str]]:
    """The epochs of a training, at most, and how many steps one has at least.

    Args:
        rows: Int. Training rows.
        seen: Int. Rows times epochs, at most.
        batch_size: Int. Rows per step.
        min_epoch_steps: Int. As in `callbacks.CooldownOnPlateau`.
    """
    steps = math.ceil(rows / batch_size)
    times = math.ceil(min_epoch_steps / steps)
    most = min(MOST_EPOCHS, max(LEAST_EPOCHS, seen // rows))
    why = (
        f"the most: {rows:,} training rows are seen {seen:,} times in all, from "
        f"{LEAST_EPOCHS} to {MOST_EPOCHS} epochs; ended where validation gets no better"
    )
    if times > 1:
        why += f"; {times} times as many, since the steps of an epoch are {steps}"
    waits = f"the plateau is waited for in epochs of at least {min_epoch_steps} steps"
    return {"epochs": (times * most, why), "min_epoch_steps": (min_epoch_steps, waits)}


def folds_for(
    rows: int,
    units: int,
    what: str,
    *,
    preset: str,
    folds: int | None,
    validation: Any,
    order: Any,
    few_rows: int,
) -> dict[str, Any]:
    """The number of folds, each of which one network does not train on.

    None: there is one network, and one part of the rows that it does not train on.

    Args:
        rows: Int. Rows there are.
        units: Int. Rows or groups that may be in any fold.
        what: "rows" or "groups".
        preset: One of `PRESETS`.
        folds: What the user gave, like `validation` and `order`.
        few_rows: Int. Rows that there are at most, where the recipe takes folds; 0 for
            a recipe without.

    Raises:
        ValueError: Folds together with one part, or more of them than `units`.
    """
    if folds is not None:
        _check_folds(folds, units, what, validation, order)
        return choice(folds, "given")
    if validation is not None:
        return choice(None, "`validation` is given")
    if order is not None:
        return choice(None, "the last rows in time are validated")
    if preset == "fast":
        return choice(None, 'not by the preset "fast"')
    if not few_rows:
        return choice(None, "the recipe's: folds cost more than they bring")
    if rows > few_rows:
        return choice(None, f"{rows:,} rows, which are more than {few_rows:,}")
    if units < 4 * FOLDS:
        why = f"{units} {what} that may be validated, fewer than {4 * FOLDS}"
        return choice(None, why)
    return choice(FOLDS, f"{rows:,} rows, all of which are needed")


def _check_folds(
    folds: int, units: int, what: str, validation: Any, order: Any
) -> None:
    purpose = "is the number of networks, each of which leaves out another part"
    if validation is not None or order is not None:
        name = "validation" if validation is not None else "order"
        raise ValueError(
            f"`folds` {purpose}, and must be None beside `{name}`. "
            f"Received: folds={folds} and {name}."
        )
    check_count("folds", folds, f"{purpose} of the {what},", at_least=2)
    if folds > units:
        raise ValueError(
            f"`folds` {purpose}, and must be at most the number of {what} that may be "
            f"validated (no class has only one). Received: folds={folds}, with {units} "
            f"such {what}."
        )
