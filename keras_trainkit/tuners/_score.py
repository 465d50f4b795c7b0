"""Score of a training: what it returned, as one number and its metrics."""

import dataclasses
import math
import statistics
from collections.abc import Iterable
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.errors import FatalTypeError, FatalValueError


class NotFinite(Exception):
    """The objective never had a finite value."""


@dataclasses.dataclass
class Score:
    """One training: the objective, all metrics at its best epoch, every epoch."""

    value: float
    metrics: dict[str, float]
    best_step: int = 0
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)


def scores_of(results: Any, objective: keras_tuner.Objective) -> list[Score]:
    """The trainings behind a number, a dict, a History, or a list of these."""
    if isinstance(results, list):
        return [score for part in results for score in scores_of(part, objective)]
    return [_score(results, objective)]


def mean_metrics(scores: Iterable[Score]) -> dict[str, float]:
    """The mean of each metric that all trainings have."""
    metrics = [score.metrics for score in scores]
    names = set.intersection(*map(set, metrics))
    return {name: statistics.fmean(m[name] for m in metrics) for name in sorted(names)}


def best_epoch(
    history: dict[str, list[float]], objective: keras_tuner.Objective
) -> int | None:
    """The epoch with the best finite objective; None if there is none."""
    best, best_value = None, math.nan
    length = min(map(len, history.values()), default=0)
    for epoch in range(length):
        logs = {name: values[epoch] for name, values in history.items()}
        if not objective.has_value(logs):
            return None
        value = float(objective.get_value(logs))
        if math.isfinite(value) and (
            best is None or objective.better_than(value, best_value)
        ):
            best, best_value = epoch, value
    return best


def as_floats(history: dict[str, Any]) -> dict[str, list[float]]:
    """A history as JSON holds it; metrics of more than one number are left out."""
    found = {}
    for name, values in history.items():
        arrays = [keras.ops.convert_to_numpy(value) for value in values]
        if all(array.size == 1 for array in arrays):
            found[name] = [float(array.reshape(())) for array in arrays]
    return found


def logs_as_floats(logs: dict[str, Any]) -> dict[str, float]:
    """The logs of one epoch as JSON holds them, likewise."""
    history = as_floats({name: [value] for name, value in logs.items()})
    return {name: values[0] for name, values in history.items()}


def check_objective(
    metrics: dict[str, float], objective: keras_tuner.Objective
) -> None:
    """Ends the search where the results lack the objective."""
    if not objective.has_value(metrics):
        raise FatalValueError(
            "`objective` names the result to search by and must be one of "
            f"{sorted(metrics)}. Received: objective={objective.name!r}."
        )


def _score(results: Any, objective: keras_tuner.Objective) -> Score:
    if isinstance(results, Score):
        return results
    if isinstance(results, keras.callbacks.History):
        return _score_of_history(results, objective)
    if isinstance(results, dict):
        return _score_of_metrics(results, objective)
    if isinstance(results, int | float | np.number) and not isinstance(results, bool):
        return _finite(float(results), {objective.name: float(results)}, objective)
    raise FatalTypeError(
        "What HyperModel.fit() or Tuner.run_trial() returns is the result of the trial "
        "and must be a number, a dict of metrics, a History, or a list of these. "
        f"Received: {results!r} of type {type(results).__name__}."
    )


def _score_of_history(
    results: keras.callbacks.History, objective: keras_tuner.Objective
) -> Score:
    history = as_floats(results.history)
    if not history:
        raise FatalValueError(
            "`epochs` is the length of a training, which must have an epoch to have a "
            "result. Received: a training without one."
        )
    last = {name: values[-1] for name, values in history.items()}
    check_objective(last, objective)
    epoch = best_epoch(history, objective)
    if epoch is None:
        raise NotFinite(f"{objective.name} was not finite in any epoch.")
    metrics = {name: values[epoch] for name, values in history.items()}
    return Score(float(objective.get_value(metrics)), metrics, epoch, history)


def _score_of_metrics(
    results: dict[str, Any], objective: keras_tuner.Objective
) -> Score:
    metrics = logs_as_floats(results)
    check_objective(metrics, objective)
    return _finite(float(objective.get_value(metrics)), metrics, objective)


def _finite(
    value: float, metrics: dict[str, float], objective: keras_tuner.Objective
) -> Score:
    if not math.isfinite(value):
        raise NotFinite(f"{objective.name} was {value}.")
    return Score(value, metrics)
