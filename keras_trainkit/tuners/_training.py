"""The trainings of one trial: every fold, every execution, each with a callback.

A trial is stopped here: after each epoch the callback asks `judge`, see `Hyperband`,
and after each fold `report` tells, see `wilcoxon_test`.
"""

import dataclasses
import inspect
import math
import pathlib
import statistics
from collections.abc import Callable
from typing import Any

import keras
import optuna
from keras_tuner.engine.trial import Trial

from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._types import Model
from keras_trainkit.tuners._cross_validation import data_of, folded, training_rows
from keras_trainkit.tuners._fit_checks import has_own_fit, logs_are_known
from keras_trainkit.tuners._score import (
    Score,
    as_floats,
    check_objective,
    mean_metrics,
    scores_of,
)
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._training_callbacks import (
    StopIgnored,
    TrainingCallback,
    batch_callbacks,
)
from keras_trainkit.tuners._trial_weights import save_weights


class Training:
    """Trains one trial, and keeps what the trainings leave.

    Args:
        search: `Search`.
        trial: KerasTuner's trial.
        index: Int. Index of the trial in the search.
        retry: Int. How often this trial has failed before.
        judge: Function of epochs and best value, for the first training; see
            `TrainingCallback`. Or None.
        report: Function of a fold and its score; False stops the trial. Or None.
        settle: Function to be called when the first model is built, or None.
        show_epoch: Function of epochs and the objective, for the first training; see
            `TrainingCallback`. Or None.
        weights: Path for the best weights, or None.

    Attributes:
        histories: Logs of every epoch, a dict for each training.
        build_config: Shapes of a model that `fit` built, or None.
        model: The best model.
        stopped_at: Epochs and best value at which `judge` stopped it, or None.
    """

    def __init__(
        self,
        search: Search,
        trial: Trial,
        index: int,
        *,
        retry: int = 0,
        judge: Callable[[int, float | None], bool] | None = None,
        report: Callable[[int, float], bool] | None = None,
        settle: Callable[[], None] | None = None,
        show_epoch: Callable[[int, float], None] | None = None,
        weights: pathlib.Path | None = None,
    ):
        self.retry = retry
        self.histories: list[dict[str, list[float]]] = []
        self.build_config: dict[str, Any] | None = None
        self.model: Model | None = None
        self.stopped_at: tuple[int, float] | None = None
        self._search = search
        self._tuner = search.tuner
        self._objective = search.tuner.oracle.objective
        self._trial = trial
        self._index = index
        self._judge = judge
        self._report = report
        self._settle = settle
        self._show_epoch = show_epoch
        self._weights = weights
        self._best = math.nan

    @property
    def epochs(self) -> int:
        """Epochs of all trainings so far."""
        return sum(len(next(iter(h.values()), ())) for h in self.histories)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Score]:
        """Runs all trainings; raises TrialPruned where one was stopped."""
        kwargs = dict(kwargs)
        callbacks = kwargs.pop("callbacks", None) or []
        folds = self._tuner.folds
        if folds == 1:
            return self._executions(0, args, kwargs, callbacks)
        scores = []
        cut = folded(args, kwargs, folds, derive(self._tuner.seed, "folds"))
        for fold, (fold_args, fold_kwargs) in enumerate(cut):
            prepare(self._tuner.hypermodel, fold_args, fold_kwargs)
            found = self._executions(fold, fold_args, fold_kwargs, callbacks)
            scores.extend(found)
            mean = statistics.fmean(score.value for score in found)
            if self._report is not None and not self._report(fold, mean):
                raise optuna.TrialPruned
        return scores

    def train(
        self,
        fold: int,
        execution: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        callbacks: list[Any],
    ) -> Score:
        """Runs one training; keeps the model at its best epoch if none was better."""
        fitted = self._fit(fold, execution, args, kwargs, callbacks)
        model, result = fitted.model, _aligned(fitted.result, fitted.logs)
        scores = scores_of(result, self._objective)
        value = statistics.fmean(score.value for score in scores)
        score = scores[0] if len(scores) == 1 else Score(value, mean_metrics(scores))
        if isinstance(result, keras.callbacks.History):
            self.histories[-1] = as_floats(result.history)
        if model.built and not fitted.was_built:
            self.build_config = model.get_build_config()
        self._keep(model, fitted.best_weights, score)
        return score

    def train_to_last_epoch(
        self,
        execution: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        callbacks: list[Any],
    ) -> None:
        """Runs one training without a score; keeps the model as it is at the end."""
        self.model = self._fit(0, execution, args, kwargs, callbacks).model

    def _executions(
        self,
        fold: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        callbacks: list[Any],
    ) -> list[Score]:
        return [
            self.train(fold, execution, args, kwargs, callbacks)
            for execution in range(self._tuner.executions_per_trial)
        ]

    def _fit(
        self,
        fold: int,
        execution: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        callbacks: list[Any],
    ) -> "_Fitted":
        tuner, trial = self._tuner, self._trial
        keras.utils.set_random_seed(self._seed(fold, execution))
        release_graphs()
        model = self._search.build(trial.hyperparameters)
        if self._settle is not None:
            self._settle()
        was_built = model.built
        callback = self._callback(callbacks, is_first=fold == execution == 0)
        number = fold * tuner.executions_per_trial + execution
        watched = self._search.copy_callbacks(callbacks, trial, number)
        watched += [callback, *batch_callbacks(tuner, trial)]
        try:
            result = tuner.hypermodel.fit(
                trial.hyperparameters,
                model,
                *args,
                callbacks=watched,
                **_quiet(tuner.hypermodel.fit, kwargs),
            )
        except StopIgnored:
            result = None
        finally:
            self.histories.append(callback.history())
        if callback.is_stopped:
            self._note_stop(callback)
            raise optuna.TrialPruned
        return _Fitted(model, was_built, result, callback.best_weights, callback.logs)

    def _callback(self, others: list[Any], *, is_first: bool) -> TrainingCallback:
        """The callback of one training; the first of a trial may be stopped by it."""
        tuner = self._tuner
        is_known = logs_are_known(others) and not has_own_fit(tuner.hypermodel)
        watching = (self._judge, self._show_epoch) if is_first else ()
        return TrainingCallback(
            tuner, self._trial, self._objective, *watching, logs_are_known=is_known
        )

    def _note_stop(self, callback: TrainingCallback) -> None:
        """Keeps where a training was stopped; refuses logs without the objective."""
        if callback.best is not None:
            self.stopped_at = (callback.epochs, callback.best)
            return
        seen = {name: value for log in callback.logs for name, value in log.items()}
        check_objective(seen, self._objective)

    def _seed(self, fold: int, execution: int) -> int:
        """A function of the search's seed, the trial's index and the training."""
        parts = [self._tuner.seed, self._index, execution]
        # Left out where they are 0, so that a plain search keeps its numbers.
        parts += [number for number in (fold, self.retry) if fold or self.retry]
        return derive(*parts)

    def _keep(self, model: Model, best_weights: list | None, score: Score) -> None:
        is_better = math.isnan(self._best) or self._objective.better_than(
            score.value, self._best
        )
        if not is_better:
            return
        self._best = score.value
        if best_weights is not None and model.built:
            model.set_weights(best_weights)
        self.model = model
        if self._weights is not None and model.built and model.weights:
            save_weights(model, self._weights)


class RunningTrial(Trial):
    """KerasTuner's trial, with the training that `run_trial` is to carry out."""

    training: Training


def training_of(trial: Trial) -> Training:
    """The training of a trial that is running; refused for any other trial."""
    if not isinstance(trial, RunningTrial):
        raise ValueError(
            "`run_trial` is called by `search`, one trial after the other, and "
            "must not be called otherwise. Received: a call outside of a search."
        )
    return trial.training


def prepare(hypermodel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Calls the hypermodel's `prepare` with the training rows, if it has one."""
    method = getattr(hypermodel, "prepare", None)
    data = data_of(args, kwargs)
    if method is not None and data is not None:
        method(*training_rows(*data, kwargs))


@dataclasses.dataclass(frozen=True)
class _Fitted:
    """A model after `fit`, and what `fit` returned."""

    model: Model
    was_built: bool
    result: Any
    best_weights: list[Any] | None
    logs: list[dict[str, float]]


def _aligned(result: Any, logs: list[dict[str, float]]) -> Any:
    """The result of `fit`; a History has NaN for epochs without validation.

    Under `validation_freq` Keras leaves such epochs out of the lists of a History.
    """
    if not isinstance(result, keras.callbacks.History):
        return result
    lengths = {name: len(values) for name, values in result.history.items()}
    if len(set(lengths.values())) < 2:
        return result
    own = logs[-max(lengths.values()) :]  # `fit` may have trained more than once
    names = [name for name in lengths if any(name in log for log in own)]
    if any(sum(name in log for log in own) != lengths[name] for name in names):
        return result
    aligned = keras.callbacks.History()
    aligned.history = {n: [log.get(n, math.nan) for log in own] for n in names}
    return aligned


def _quiet(fit: Callable, kwargs: dict[str, Any]) -> dict[str, Any]:
    """`verbose=0` for a `fit` that takes it; 2 prints a line per epoch."""
    shown = 2 if kwargs.get("verbose") == 2 else 0
    parameters = inspect.signature(fit).parameters.values()
    takes = any(p.kind is p.VAR_KEYWORD or p.name == "verbose" for p in parameters)
    return {**kwargs, "verbose": shown} if takes else kwargs
