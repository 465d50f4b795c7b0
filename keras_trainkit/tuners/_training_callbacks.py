"""Callbacks of one training: they keep logs and best weights, stop it, call hooks."""

import math
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError

from keras_trainkit.tuners._score import check_objective, logs_as_floats
from keras_trainkit.tuners._search import Tuner


class StopIgnored(Exception):
    """A training that was told to stop went on."""


class TrainingCallback(keras.callbacks.Callback):
    """Keeps every epoch's logs and the best weights, and stops the training.

    Args:
        tuner: Tuner whose epoch hooks are called.
        trial: KerasTuner's trial, passed to the hooks.
        objective: KerasTuner's objective.
        judge: Function of the number of epochs done and the best value so far; False
            stops the training. None never stops.
        show_epoch: Function of the number of epochs done and the objective, called
            after each but the one that ends with a stop. None for none.
        logs_are_known: Bool. Logs have what Keras measures alone: the search ends
            after an epoch that lacks the objective, not after a whole training.

    Attributes:
        logs: Those of every epoch.
        epochs: Epochs done.
        best: Best finite value of the objective, or None.
        best_weights: Weights at that epoch, or None.
        is_stopped: True if `judge` stopped the training.
    """

    def __init__(
        self,
        tuner: Tuner,
        trial: Trial,
        objective: keras_tuner.Objective,
        judge: Callable[[int, float | None], bool] | None = None,
        show_epoch: Callable[[int, float], None] | None = None,
        *,
        logs_are_known: bool = False,
    ):
        super().__init__()
        self._tuner = tuner
        self._trial = trial
        self._objective = objective
        self._judge = judge
        self._show_epoch = show_epoch
        self._logs_are_known = logs_are_known
        self.logs: list[dict[str, float]] = []
        self.epochs = 0
        self.best: float | None = None
        self.best_weights: list[Any] | None = None
        self.is_stopped = False
        self._has_seen_objective = False

    def history(self) -> dict[str, list[float]]:
        """A list for each metric, with NaN for epochs that lack it."""
        names = dict.fromkeys(name for log in self.logs for name in log)
        return {name: [log.get(name, math.nan) for log in self.logs] for name in names}

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins one of the calls of `Model.fit` that a training may have."""
        self._has_seen_objective = False

    def on_train_end(self, logs: Any = None) -> None:
        """Leaves the last weights, where the objective is computed after training."""
        if not self._has_seen_objective:
            self.best_weights = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """KerasTuner's hook."""
        self._tuner.on_epoch_begin(self._trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps logs and weights, then asks `judge`."""
        if self.is_stopped:
            raise StopIgnored
        self._tuner.on_epoch_end(self._trial, self.model, epoch, logs=logs)
        self._check_size()
        logs = logs_as_floats(logs or {})
        self.epochs += 1
        self.logs.append(logs)
        if self._logs_are_known and _is_validated(logs):
            check_objective(logs, self._objective)
        value = self._value(logs)
        self._keep_if_best(value)
        if self._judge is not None and not self._judge(self.epochs, self.best):
            self.is_stopped = True
            self.model.stop_training = True
        elif self._show_epoch is not None and value is not None:
            self._show_epoch(self.epochs, value)

    def _check_size(self) -> None:
        """Fails the trial of a large model that `fit` has built.

        KerasTuner looks before that, when such a model has no weights.
        """
        limit = self._tuner.max_model_size
        if limit is None or not isinstance(self.model, keras.Model):
            return
        size = sum(math.prod(w.shape) for w in self.model.trainable_weights)
        if size > limit:
            raise FailedTrialError(f"Oversized model: {size} parameters. Skip model.")

    def _value(self, logs: dict[str, float]) -> float | None:
        if not self._objective.has_value(logs):
            return None
        return float(self._objective.get_value(logs))

    def _keep_if_best(self, value: float | None) -> None:
        if value is None:
            return
        self._has_seen_objective = True
        if not math.isfinite(value):
            return
        if self.best is None or self._objective.better_than(value, self.best):
            self.best = value
            is_model = isinstance(self.model, keras.Model)
            self.best_weights = self.model.get_weights() if is_model else None


def _is_validated(logs: dict[str, float]) -> bool:
    """True after an epoch with validation, which not every one has."""
    return any(name.startswith("val_") for name in logs)


def batch_callbacks(tuner: Tuner, trial: Trial) -> list[keras.callbacks.Callback]:
    """A callback that calls KerasTuner's hooks around batches, if they are used."""
    base = keras_tuner.Tuner
    is_overridden = any(
        getattr(type(tuner), name) is not getattr(base, name)
        for name in ("on_batch_begin", "on_batch_end")
    )
    return [_BatchCallback(tuner, trial)] if is_overridden else []


class _BatchCallback(keras.callbacks.Callback):
    """Calls KerasTuner's hooks around batches, for tuners that override them."""

    def __init__(self, tuner: Tuner, trial: Trial):
        super().__init__()
        self._tuner = tuner
        self._trial = trial

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """KerasTuner's hook."""
        self._tuner.on_batch_begin(self._trial, self.model, batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """KerasTuner's hook."""
        self._tuner.on_batch_end(self._trial, self.model, batch, logs)
