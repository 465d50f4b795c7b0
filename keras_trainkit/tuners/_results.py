"""Results of a search: table, best configuration and its model."""

from typing import Any

import keras_tuner
import numpy as np
from optuna.trial import TrialState

from keras_trainkit._types import Model
from keras_trainkit.tuners._oracle import StudyOracle, as_keras_tuner_trial
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._training import Training, prepare
from keras_trainkit.tuners._trial_record import TrialRecord, finished, ranked

_NEIGHBOURS = 5


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


def check_one_completed(records: list[TrialRecord]) -> None:
    """Raises an error with the first reason where no trial of a search completed."""
    states = [record.state for record in records]
    if TrialState.COMPLETE in states:
        return
    failed = states.count(TrialState.FAIL)
    first = f", the first with {first_reason(records)}" if failed else ""
    raise RuntimeError(
        f"No trial of the search completed. Received: {len(records)} trials, "
        f"{states.count(TrialState.PRUNED)} stopped and {failed} failed{first}"
    )


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


def robust_configurations(
    oracle: StudyOracle, num_trials: int
) -> list[keras_tuner.HyperParameters]:
    """Configurations from the best on, by the mean score of the nearest trials."""
    space, objective = oracle.get_space(), oracle.objective
    best = _ranked_by_neighbours(oracle.records(), space, objective.direction)
    trials = [as_keras_tuner_trial(r, space, objective) for r in best[:num_trials]]
    return [trial.hyperparameters for trial in trials]


def _ranked_by_neighbours(
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
