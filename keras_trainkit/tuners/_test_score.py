"""Score of the best model on rows that the search has not seen."""

import functools
import math
import statistics
from collections.abc import Callable
from typing import Any

import keras_tuner

from keras_trainkit._arrays import take_rows
from keras_trainkit._types import Model
from keras_trainkit._warnings import warn_user
from keras_trainkit.tuners._cross_validation import row_count
from keras_trainkit.tuners._results import best_record
from keras_trainkit.tuners._search import Tuner
from keras_trainkit.tuners._trial_record import TrialRecord

_PARTS = 10
_STANDARD_ERRORS = 2


def evaluate_best(
    tuner: Tuner,
    model: Model | None,
    data: tuple[Any, Any, Any],
    options: dict[str, Any],
) -> dict[str, float]:
    """Metrics of the model; warns where the search has fitted its validation rows.

    Args:
        tuner: `Tuner`; of its hypermodel `encode` is used if there is such a method.
        model: Model of the best trial, or None for the one that the search kept.
        data: `(x, y, sample_weight)`, the test rows; the last two may be None.
        options: Other arguments of `Model.evaluate`.
    """
    if tuner.folds > 1 and model is None:
        raise ValueError(
            "`model` is the best configuration trained on all rows and must be "
            "given after a search with folds: tuner.refit_best(x, y). "
            "Received: model=None."
        )
    objective = tuner.oracle.objective
    purpose = "`evaluate_best` evaluates the best trial's model"
    best = best_record(tuner.oracle.records(), objective.direction, purpose)
    if model is None:
        model = tuner.get_best_models()[0]
    encode = getattr(tuner.hypermodel, "encode", lambda x: x)
    evaluate = functools.partial(_evaluate, model, encode)
    metrics = evaluate(options, *data)
    shown = ("verbose", "callbacks")  # once only, not for each part of the rows
    quiet = {name: value for name, value in options.items() if name not in shown}
    evaluate_quietly = functools.partial(evaluate, quiet)
    _warn_if_overfitted(best, metrics, evaluate_quietly, data, objective)
    return metrics


def _evaluate(
    model: Model,
    encode: Callable[[Any], Any],
    options: dict[str, Any],
    x: Any,
    y: Any,
    weights: Any,
) -> dict[str, float]:
    options = {"verbose": 0, **options, "return_dict": True}
    if weights is not None:
        options["sample_weight"] = weights
    return model.evaluate(encode(x), y, **options)


def _warn_if_overfitted(
    best: TrialRecord,
    metrics: dict[str, float],
    evaluate: Callable[[Any, Any, Any], dict[str, float]],
    data: tuple[Any, Any, Any],
    objective: keras_tuner.Objective,
) -> None:
    """Warns when the best trial's score is better than on test rows by its spread.

    Args:
        best: Record of the best trial.
        metrics: Metrics of the test rows.
        evaluate: Function of x, y and sample weights that returns metrics.
        data: `(x, y, sample_weight)`, the test rows; the last two may be None.
        objective: KerasTuner's objective.
    """
    test = _value(metrics, objective)
    if test is None or best.score is None:
        return  # it came from a `fit` that computes it in its own way
    spread = best.spread
    if spread is None:
        spread = _spread_by_chance(evaluate, data, objective)
    gap = (test - best.score) * (-1 if objective.direction == "max" else 1)
    if spread is None or gap <= spread:
        return
    warn_user(
        f"The search has fitted its validation rows: {objective.name} of the best "
        f"trial was {best.score:.5g} there and is {test:.5g} on rows that the search "
        f"has not seen, worse by {gap:.2g}, where its spread is {spread:.2g}. Report "
        "the latter; `folds`, `executions_per_trial` and more validation rows help.",
    )


def _value(metrics: dict[str, float], objective: keras_tuner.Objective) -> float | None:
    """The objective among metrics of `evaluate`, which lack the prefix `val_`."""
    for logs in ({f"val_{name}": v for name, v in metrics.items()}, metrics):
        if objective.has_value(logs):
            return float(objective.get_value(logs))
    return None


def _spread_by_chance(
    evaluate: Callable[[Any, Any, Any], dict[str, float]],
    data: tuple[Any, Any, Any],
    objective: keras_tuner.Objective,
) -> float | None:
    """Standard errors of the test score, by parts of the rows; None for a data set."""
    x, y, weights = data
    if y is None or row_count(x) < 2 * _PARTS:
        return None
    numbers = range(row_count(x))
    found: list[Any] = []
    for first in range(_PARTS):
        part = list(numbers[first::_PARTS])
        metrics = evaluate(
            take_rows(x, part), take_rows(y, part), take_rows(weights, part)
        )
        found.append(_value(metrics, objective))
    if not all(map(math.isfinite, found)):  # a part whose weights are all 0
        return None
    return _STANDARD_ERRORS * statistics.stdev(found) / math.sqrt(_PARTS)
