"""The callback that watches every training of a search."""

import math

import keras

from keras_trainkit.tuners._score import as_floats_once


class Stopped(Exception):
    """A training that was told to stop went on."""


class Recorder(keras.callbacks.Callback):
    """Keeps every epoch's logs and the best weights, and stops at a rung.

    Args:
        tuner: Tuner whose epoch hooks are called.
        trial: KerasTuner's trial, passed to the hooks.
        objective: KerasTuner's objective.
        judge: Function of the number of epochs done and the best value so far that
            says whether to go on. None never stops.
        curve: Function of the number of epochs done and the objective, called after
            each but the one that ends with a stop. None for none.
    """

    def __init__(self, tuner, trial, objective, judge=None, curve=None):
        super().__init__()
        self._tuner = tuner
        self._trial = trial
        self._objective = objective
        self._judge = judge
        self._curve = curve
        self.history: dict[str, list[float]] = {}
        self.epochs = 0
        self.best: float | None = None
        self.best_weights: list | None = None
        self.stopped = False

    def on_epoch_begin(self, epoch, logs=None):
        """KerasTuner's hook."""
        self._tuner.on_epoch_begin(self._trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        """Records, keeps the weights, judges."""
        if self.stopped:
            raise Stopped
        self._tuner.on_epoch_end(self._trial, self.model, epoch, logs=logs)
        logs = as_floats_once(logs or {})
        self.epochs += 1
        for name, values in logs.items():
            self.history.setdefault(name, []).extend(values)
        value = self._value({name: values[0] for name, values in logs.items()})
        self._keep_if_best(value)
        if self._judge is not None and not self._judge(self.epochs, self.best):
            self.stopped = True
            self.model.stop_training = True
        elif self._curve is not None and value is not None:
            self._curve(self.epochs, value)

    def _value(self, logs):
        if not self._objective.has_value(logs):
            return None
        return float(self._objective.get_value(logs))

    def _keep_if_best(self, value):
        if value is None:
            self.best_weights = None  # computed after training, by the last weights
            return
        if not math.isfinite(value):
            return
        if self.best is None or self._objective.better_than(value, self.best):
            self.best = value
            self.best_weights = _weights(self.model)


def _weights(model):
    return model.get_weights() if isinstance(model, keras.Model) else None


class BatchHooks(keras.callbacks.Callback):
    """KerasTuner's hooks around batches, for tuners that override them."""

    def __init__(self, tuner, trial):
        super().__init__()
        self._tuner = tuner
        self._trial = trial

    def on_batch_begin(self, batch, logs=None):
        """KerasTuner's hook."""
        self._tuner.on_batch_begin(self._trial, self.model, batch, logs)

    def on_batch_end(self, batch, logs=None):
        """KerasTuner's hook."""
        self._tuner.on_batch_end(self._trial, self.model, batch, logs)
