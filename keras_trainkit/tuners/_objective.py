"""The objective of a search, in the forms that KerasTuner takes, checked."""

from typing import Any, NoReturn

import keras_tuner
from keras_tuner.engine.metrics_tracking import infer_metric_direction

_PURPOSE = "`objective` is the result that trials are compared by"
_FORMS = (
    "a name such as 'val_loss', a `keras_tuner.Objective`, a list of these, or None "
    "for a number that `fit` returns"
)


def check_objective_argument(objective: Any) -> None:
    """Refuses what names no result, or not whether it is to be small or large."""
    if objective is None:
        return
    if not isinstance(objective, list):
        _check_one(objective)
        return
    if not objective:
        _refuse(f"{_FORMS}; the list must hold one", objective)
    for part in objective:
        _check_one(part)


def _check_one(objective: Any) -> None:
    if isinstance(objective, keras_tuner.Objective):
        several = hasattr(objective, "objectives")  # KerasTuner's class for a list
        if not several and objective.direction not in ("min", "max"):
            _refuse("of the direction 'min' or 'max'", objective)
        return
    if not isinstance(objective, str) or not objective:
        _refuse(_FORMS, objective)
    if infer_metric_direction(objective) is None:
        _refuse(
            "the name of a loss or metric of Keras, whose direction is known; for "
            f"another one give keras_tuner.Objective({objective!r}, 'max'), or 'min'",
            objective,
        )


def _refuse(allowed: str, objective: Any) -> NoReturn:
    is_made = isinstance(objective, keras_tuner.Objective)
    shown = str(objective) if is_made else repr(objective)
    raise ValueError(f"{_PURPOSE} and must be {allowed}. Received: objective={shown}.")
