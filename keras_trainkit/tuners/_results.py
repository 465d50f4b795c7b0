"""What a search found: the part of a tuner's interface that reads."""

import math
import statistics
import warnings

import keras_tuner
import numpy as np
from optuna.trial import TrialState

from keras_trainkit.tuners._cross_validation import row_count, rows
from keras_trainkit.tuners._oracle import as_keras_tuner_trial
from keras_trainkit.tuners._training import Training
from keras_trainkit.tuners._trial_queue import (
    finished,
    ranked,
)


class SearchResults(keras_tuner.Tuner):
    """Reads the study of `StudyTuner`, which is the subclass that makes it."""

    def trials_frame(self):
        """A pandas DataFrame with a row per trial.

        Columns: `state` (COMPLETE, PRUNED for stopped, FAIL), `score`, `spread` (the
        standard deviation over folds and executions), `best_epoch`, `epochs`,
        `seconds`, `attempts`, `reason`, and `hp:` with each hyperparameter's name.
        """
        return trials_frame(self._store.records())

    def histories(self, trial_id) -> list[dict[str, list[float]]]:
        """Every epoch's logs of a trial, a dict for each of its trainings.

        Folds come one after the other, within each its executions. Trials that were
        stopped or failed have what they came to.

        Args:
            trial_id: String, as in `trials_frame`.
        """
        for record in self._store.records():
            if record.name == trial_id:
                return record.histories
        raise ValueError(
            "`trial_id` names a trial of the search and must be in the index of "
            f"`trials_frame()`. Received: trial_id={trial_id!r}."
        )

    def refit_best(self, *fit_args, **fit_kwargs):
        """Trains the best trial again, with its own seed, and returns the model.

        With the data of the search the model, at its best epoch, has the score that is
        recorded (of the best execution; to the last bit on a CPU). After a search with
        `folds` it is trained on all rows given: leave out callbacks that watch
        validation rows.

        Args:
            *fit_args: As for `search`; those of the last `search` if left out.
            **fit_kwargs: Likewise.
        """
        if not fit_args and not fit_kwargs:
            if self._last_search is None:
                raise ValueError(
                    "`refit_best` trains on the data of the last `search` of this "
                    "object, or on what it is given. Received: neither."
                )
            fit_args, fit_kwargs = self._last_search
        return refit(self, fit_args, fit_kwargs)

    def evaluate_best(self, x, y=None, *, model=None, **kwargs):
        """Evaluates the best model on test rows, which the search must not have seen.

        The best of many trials is good on the validation rows partly by chance. Where
        its score there is better than here by more than its spread, a warning says so.
        The spread is that of the trial's executions and folds; of a trial with one
        training, two standard errors of the score here, from ten parts of the rows
        (20 at least; for a data set and for fewer rows there is no warning).

        Args:
            x: As in `Model.evaluate`; taken through `hypermodel.encode` if there is
                such a method.
            y: Likewise.
            model: `keras.Model` to evaluate in place of the one that the search kept;
                needed after a search with `folds`, from `refit_best`.
            **kwargs: Passed on to `Model.evaluate`.

        Returns:
            Dict of metrics.
        """
        if self.folds > 1 and model is None:
            raise ValueError(
                "`model` is the best configuration trained on all rows and must be "
                "given after a search with folds: tuner.refit_best(x, y). "
                "Received: model=None."
            )
        if model is None:
            model = self.get_best_models()[0]
        encode = getattr(self.hypermodel, "encode", lambda x: x)

        def evaluate(x, y, **kwargs):
            kwargs = {"verbose": 0, **kwargs, "return_dict": True}
            return model.evaluate(encode(x), y, **kwargs)

        metrics = evaluate(x, y, **kwargs)
        best = ranked(self._store.records(), self.oracle.objective.direction)[0]
        warn_of_gap(best, metrics, evaluate, (x, y), self.oracle.objective)
        return metrics

    def get_best_hyperparameters(self, num_trials=1, *, robust=False):
        """Configurations from the best on.

        Args:
            num_trials: Int. How many.
            robust: Bool. Rank by the mean score of the five nearest trials in place of
                a trial's own.
        """
        if not robust:
            return super().get_best_hyperparameters(num_trials)
        space, objective = self.oracle.get_space(), self.oracle.objective
        best = ranked_by_neighbours(self._store.records(), space, objective.direction)
        found = [
            as_keras_tuner_trial(record, space, objective)
            for record in best[:num_trials]
        ]
        return [trial.hyperparameters for trial in found]

    def results_summary(self, num_trials=10):
        """Prints the best trials, then how many were stopped or failed."""
        super().results_summary(num_trials)
        print_others(self._store.records())

    def load_model(self, trial):
        """The model of a trial at its best epoch; see KerasTuner."""
        path = self._weights_path(trial.trial_id)
        if not path.exists():
            raise ValueError(
                f"The weights of trial {trial.trial_id} are in the directory of the "
                f"machine that ran it and must be at {path}. Received: no such file."
            )
        model = self._try_build(trial.hyperparameters)
        if not model.built:
            records = self._store.records()
            record = next(r for r in records if r.name == trial.trial_id)
            model.build_from_config(record.build_config)
        with warnings.catch_warnings():
            # The new model's optimizer has no slots yet to put the saved ones into.
            message = "Skipping variable loading for optimizer"
            warnings.filterwarnings("ignore", message, UserWarning)
            model.load_weights(path)
        return model


def trials_frame(records):
    """A pandas DataFrame with a row per record; see `RandomSearch.trials_frame`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "`trials_frame` returns a pandas DataFrame: "
            "pip install keras-trainkit[examples]."
        ) from error
    rows = [_row(record) for record in records]
    return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()


def _row(record):
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


def refit(tuner, args, kwargs):
    """The model of the best trial's best training, with the same seed."""
    best = ranked(tuner._store.records(), tuner.oracle.objective.direction)
    if not best:
        raise ValueError(
            "`refit_best` trains the best trial again, so the search must have "
            "completed one. Received: a search with none."
        )
    trial = as_keras_tuner_trial(
        best[0], tuner.oracle.get_space(), tuner.oracle.objective
    )
    training = Training(tuner, trial, best[0].index, attempt=best[0].retry)
    kwargs = tuner._fit_kwargs(dict(kwargs))
    callbacks = kwargs.pop("callbacks", None) or []
    tuner._prepare(args, kwargs)
    execution = 0 if tuner.folds > 1 else _best_execution(best[0].scores, tuner)
    training.train(0, execution, args, kwargs, callbacks, scored=tuner.folds == 1)
    return training.model


def _best_execution(scores, tuner):
    pick = max if tuner.oracle.objective.direction == "max" else min
    return scores.index(pick(scores))


_NEIGHBOURS = 5


def ranked_by_neighbours(records, space, direction):
    """The completed records by the mean score of the nearest ones, themselves included.

    Distances are between cumulative probabilities (so a logarithmic range counts in
    its logarithm), choices without an order are 0 or 1 apart, and an entry that only
    one of two trials has is 1 apart.
    """
    done = ranked(records, direction)
    values = [record.values for record in done]
    definitions = {hp.name: hp for hp in space.space}
    scores = np.array([record.score for record in done])
    means = []
    for mine in values:
        distances = [_distance(mine, other, definitions) for other in values]
        nearest = np.argsort(distances, kind="stable")[:_NEIGHBOURS]
        means.append(scores[nearest].mean())
    sign = -1 if direction == "max" else 1
    order = np.argsort(sign * np.array(means), kind="stable")
    return [done[index] for index in order]


def _distance(mine, other, definitions):
    total = 0.0
    for name in mine.keys() | other.keys():
        if name not in mine or name not in other:
            total += 1
        elif mine[name] != other[name]:
            total += _apart(definitions.get(name), mine[name], other[name]) ** 2
    return total


def _apart(hp, mine, other):
    if hp is None or not getattr(hp, "ordered", hasattr(hp, "min_value")):
        return 1.0
    return hp.value_to_prob(mine) - hp.value_to_prob(other)


_PARTS = 10
_STANDARD_ERRORS = 2


def warn_of_gap(best, metrics, evaluate, data, objective):
    """Warns when the best trial's score is better than on test rows by its spread.

    Args:
        best: `TrialRecord`.
        metrics: Dict of the test rows.
        evaluate: Function of x and y that returns such a dict.
        data: `(x, y)`, the test rows.
        objective: KerasTuner's objective.
    """
    test = _value(metrics, objective)
    if test is None:  # it came from a `fit` that computes it in its own way
        return
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


def _value(metrics, objective):
    """The objective among metrics of `evaluate`, which lack the prefix `val_`."""
    for logs in ({f"val_{name}": v for name, v in metrics.items()}, metrics):
        if objective.has_value(logs):
            return float(objective.get_value(logs))
    return None


def _spread_by_chance(evaluate, data, objective):
    """Standard errors of the test score, by parts of the rows; None for a data set."""
    x, y = data
    if y is None or row_count(x) < 2 * _PARTS:
        return None
    numbers = range(row_count(x))
    found = []
    for first in range(_PARTS):
        part = list(numbers[first::_PARTS])
        found.append(_value(evaluate(rows(x, part), rows(y, part)), objective))
    return _STANDARD_ERRORS * statistics.stdev(found) / math.sqrt(_PARTS)


def print_others(records):
    """Prints how many trials were stopped or failed, and why the first one did."""
    states = [record.state for record in finished(records)]
    stopped, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
    if stopped:
        print(f"\n{stopped} trials were stopped before their end")
    if failed:
        print(f"\n{failed} trials failed, the first with {first_reason(records)}")


def first_reason(records) -> str:
    """Why the first failed trial failed."""
    reasons = (record.reason for record in finished(records))
    return next((reason for reason in reasons if reason), "no reason")
