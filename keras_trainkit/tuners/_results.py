"""Results of a search: table, best configuration, its model and its test score."""

import math
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from optuna.trial import TrialState

from keras_trainkit._arrays import rows_of
from keras_trainkit._types import Model
from keras_trainkit.tuners._cross_validation import row_count
from keras_trainkit.tuners._oracle import as_keras_tuner_trial
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._training import Training, prepare
from keras_trainkit.tuners._trial_queue import TrialRecord, finished, ranked

_NEIGHBOURS = 5
_PARTS = 10
_STANDARD_ERRORS = 2


def trials_frame(records: list[TrialRecord]) -> Any:
    """A pandas DataFrame with a row per record; see `StudyTuner.trials_frame`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "`trials_frame` returns a pandas DataFrame: "
            "pip install keras-trainkit[examples]."
        ) from error
    table = [_row(record) for record in records]
    return pd.DataFrame(table).set_index("trial") if table else pd.DataFrame()


def _row(record: TrialRecord) -> dict[str, Any]:
    return {
        "trial": record.name,
        "state": record.state.name,
        "score": record.score if record.scores else None,
        "spread": record.spread,
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "attempts": len(record.attempts),
        "reason": record.reason,
        **{f"hp:{name}": value for name, value in record.values.items()},
    }


def find_record(records: list[TrialRecord], trial_id: str) -> TrialRecord:
    """The record of a trial; refused if there is none."""
    for record in records:
        if record.name == trial_id:
            return record
    raise ValueError(
        "`trial_id` names a trial of the search and must be in the index of "
        f"`trials_frame()`. Received: trial_id={trial_id!r}."
    )


def print_failures(records: list[TrialRecord]) -> None:
    """Prints how many trials were stopped or failed, and why the first one failed."""
    states = [record.state for record in finished(records)]
    stopped, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
    if stopped:
        print(f"\n{stopped} trials were stopped before their end")
    if failed:
        print(f"\n{failed} trials failed, the first with {first_reason(records)}")


def first_reason(records: list[TrialRecord]) -> str:
    """Reason of the first failed trial."""
    reasons = (record.reason for record in finished(records))
    return next((reason for reason in reasons if reason), "no reason")


def refit(search: Search, records: list[TrialRecord]) -> Model:
    """The model of the best trial's best training, trained again with the same seed."""
    tuner = search.tuner
    oracle = tuner.oracle
    purpose = "`refit_best` trains the best trial again"
    best = best_record(records, oracle.objective.direction, purpose)
    trial = as_keras_tuner_trial(best, oracle.get_space(), oracle.objective)
    training = Training(search, trial, best.index, retry=best.retry)
    kwargs = tuner.fit_arguments(dict(search.kwargs))
    callbacks = kwargs.pop("callbacks", None) or []
    prepare(tuner.hypermodel, search.args, kwargs)
    if tuner.folds > 1:
        training.train_to_last_epoch(0, search.args, kwargs, callbacks)
    else:
        pick = max if oracle.objective.direction == "max" else min
        execution = best.scores.index(pick(best.scores))
        training.train(0, execution, search.args, kwargs, callbacks)
    return training.model


def best_record(
    records: list[TrialRecord], direction: str, purpose: str
) -> TrialRecord:
    """The best completed record; refused if there is none, for this purpose."""
    best = ranked(records, direction)
    if not best:
        raise ValueError(
            f"{purpose}, so the search must have completed one. "
            "Received: a search with none."
        )
    return best[0]


def ranked_by_neighbours(
    records: list[TrialRecord], space: keras_tuner.HyperParameters, direction: str
) -> list[TrialRecord]:
    """The completed records by the mean score of the nearest ones, themselves included.

    Distances are between cumulative probabilities (so a logarithmic range counts in
    its logarithm), choices without an order are 0 or 1 apart, and an entry that only
    one of two trials has is 1 apart.
    """
    done = ranked(records, direction)
    definitions = {hp.name: hp for hp in space.space}
    scores = np.array([record.score for record in done])
    means = []
    for record in done:
        distances = [_distance(record.values, r.values, definitions) for r in done]
        nearest = np.argsort(distances, kind="stable")[:_NEIGHBOURS]
        means.append(scores[nearest].mean())
    sign = -1 if direction == "max" else 1
    order = np.argsort(sign * np.array(means), kind="stable")
    return [done[index] for index in order]


def _distance(
    first: dict[str, Any], second: dict[str, Any], definitions: dict[str, Any]
) -> float:
    total = 0.0
    for name in first.keys() | second.keys():
        if name not in first or name not in second:
            total += 1
        elif first[name] != second[name]:
            hp = definitions.get(name)
            total += _difference(hp, first[name], second[name]) ** 2
    return total


def _difference(hp: Any, first: Any, second: Any) -> float:
    if hp is None or not getattr(hp, "ordered", hasattr(hp, "min_value")):
        return 1.0
    return hp.value_to_prob(first) - hp.value_to_prob(second)


def warn_if_overfitted(
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
    warnings.warn(
        f"The search has fitted its validation rows: {objective.name} of the best "
        f"trial was {best.score:.5g} there and is {test:.5g} on rows that the search "
        f"has not seen, worse by {gap:.2g}, where its spread is {spread:.2g}. Report "
        "the latter; `folds`, `executions_per_trial` and more validation rows help.",
        stacklevel=3,
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
        metrics = evaluate(rows_of(x, part), rows_of(y, part), rows_of(weights, part))
        found.append(_value(metrics, objective))
    if not all(map(math.isfinite, found)):  # a part whose weights are all 0
        return None
    return _STANDARD_ERRORS * statistics.stdev(found) / math.sqrt(_PARTS)
