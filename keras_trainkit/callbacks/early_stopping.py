"""Stopping a run that no longer gets better."""

import math
import warnings

import keras

from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_flag,
    check_number,
)
from keras_trainkit._ewa import RunningAverage
from keras_trainkit.callbacks._monitor import (
    as_number,
    before_peak,
    check_name,
    find_mode,
    may_follow,
    refuse_missing,
)

_MIN_DELTA = "is the improvement that starts patience again"
_UNIT = "says what `min_delta` is measured in"
_UNITS = ("absolute", "relative")
_PATIENCE = "is the number of epochs to wait for an improvement"
_MODE = "says which way the monitored value gets better"
_BASELINE = "is the value to beat before patience starts again"
_RESTORE = "decides whether training ends with the best weights"
_START = "is the first epoch to look at"
_PEAK = "decides whether patience waits for the learning rate's peak"
_SMOOTHING = "is the weight of the past in the average of the monitored value"


class EarlyStopping(keras.callbacks.Callback):
    """Stops a run that no longer gets better, and keeps the best weights.

    What is best and how long to wait are two questions here:

    | an epoch's value                           | kept as best | patience       |
    | ------------------------------------------ | ------------ | -------------- |
    | better by more than `min_delta` *          | yes          | starts again   |
    | better than the best, but not by that much | yes          | one less       |
    | not better                                 | no           | one less       |
    | NaN, inf or -inf                           | never        | one less       |
    | any, before the peak of the learning rate  | as above     | stays full     |

    (*) than the value that last started patience again, so small steps add up: with
    `min_delta=0.1`, the values 1, 0.95, 0.9, 0.85 start it again at 0.85.

    Epochs are counted from 0 in attributes, as in `History.epoch`, and from 1 in
    `stop_reason`, as on the progress bar.

    Args:
        monitor: String. Key of the epoch's logs.
        min_delta: Float >= 0. Improvement that has to be exceeded to start patience
            again.
        min_delta_mode: `"absolute"` (in units of the value) or `"relative"` (a share
            of the value to improve on).
        patience: Int >= 1. Epochs in a row without such an improvement.
        mode: `"min"`, `"max"`, or `"auto"`: a loss falls, a metric goes the way that
            Keras knows for it, and any other value is an error.
        baseline: Float or None. While no value has been better than this by more
            than `min_delta`, patience is never started again.
        restore_best_weights: Bool. Put the best epoch's weights into the model when
            training ends, also when it ran to its last epoch. The optimizer's state
            stays that of the last epoch.
        start_from_epoch: Int >= 0. Earlier epochs are not looked at: neither best
            nor counted.
        wait_for_peak: Bool. With a learning rate schedule that has a `peak_step`
            (in batches on the optimizer's clock), an epoch that ends before or on
            that step leaves patience full. Without such a schedule: no effect.
        smoothing: Float in [0, 1). Weight of the past in an exponentially weighted
            average (`keras_trainkit.analysis.ewa`) that takes the place of the value
            everywhere above, in `best` too; the weights kept are those of the epoch
            that made the average best. 0 takes the value itself. A value that is
            not finite does not enter the average.

    Attributes, from `on_train_begin` on:
        best: Float, the best value (or average). None before a finite one.
        best_epoch: Int, the epoch of `best`. None before a finite one.
        best_weights: List of arrays while training, if they are to be restored.
        stopped_epoch: Int, the epoch that stopped the run. None if it was not us.
        stop_reason: String, a sentence on why. None if it was not us.

    When no epoch had a finite value, or none was looked at, the model keeps the
    weights of the last epoch and a warning says so.

    Raises:
        ValueError: After the first epoch, if the logs have no `monitor`; the message
            lists the keys. A `val_` key may be missing before `start_from_epoch` and
            again after that epoch, as it is with `validation_freq`; such an epoch is
            not counted.

    Example:

    >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> stopping = EarlyStopping("loss", min_delta=0.01, patience=2)
    >>> x, y = np.zeros((8, 3)), np.zeros((8, 1))
    >>> run = model.fit(x, y, epochs=9, callbacks=[stopping], verbose=0)
    >>> stopping.best_epoch, stopping.stopped_epoch
    (0, 2)

    Source: `keras.callbacks.EarlyStopping` (3.15). There `min_delta` also decides
    which weights are kept, a NaN in the first epoch stays best for ever, a missing
    `monitor` only warns, and patience 0 means 1.
    """

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0.0,
        min_delta_mode="absolute",
        patience=10,
        mode="auto",
        baseline=None,
        *,
        restore_best_weights=True,
        start_from_epoch=0,
        wait_for_peak=True,
        smoothing=0.0,
    ):
        super().__init__()
        self.monitor = monitor
        self.min_delta = min_delta
        self.min_delta_mode = min_delta_mode
        self.patience = patience
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait_for_peak = wait_for_peak
        self.smoothing = smoothing
        self._check_arguments()
        self._reset()

    def on_train_begin(self, logs=None):
        """Forgets the run before, so that one instance serves many fits."""
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the value, keeps the weights, stops the run."""
        logs = logs or {}
        self._check_monitor(epoch, logs)
        if epoch < self.start_from_epoch or self.monitor not in logs:
            return
        self._looked_at_any = True
        if self._sign is None:
            self._sign = self._find_sign()
        value = as_number(self.monitor, logs[self.monitor])
        if math.isfinite(value):
            value = self._average.update(value)
            self._keep_if_best(epoch, value)
        self._count(value)
        if self.wait >= self.patience:
            self._stop(epoch)

    def on_train_end(self, logs=None):
        """Restores the best weights and lets go of the copy."""
        if not self.restore_best_weights:
            return
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
            self.best_weights = None
        else:
            self._warn_that_nothing_was_best()

    def _check_arguments(self):
        check_name(self.monitor)
        for check, name, purpose, bounds in (
            (check_number, "min_delta", _MIN_DELTA, {"at_least": 0}),
            (check_choice, "min_delta_mode", _UNIT, {"choices": _UNITS}),
            (check_count, "patience", _PATIENCE, {}),
            (check_choice, "mode", _MODE, {"choices": ("auto", "min", "max")}),
            (check_flag, "restore_best_weights", _RESTORE, {}),
            (check_count, "start_from_epoch", _START, {"at_least": 0}),
            (check_flag, "wait_for_peak", _PEAK, {}),
            (check_number, "smoothing", _SMOOTHING, {"at_least": 0, "below": 1}),
        ):
            check(name, getattr(self, name), purpose, **bounds)
        if self.baseline is not None:
            check_number("baseline", self.baseline, _BASELINE)

    def _reset(self):
        self.best = None
        self.best_epoch = None
        self.best_weights = None
        self.stopped_epoch = None
        self.stop_reason = None
        self.wait = 0
        self._reference = None
        self._average = RunningAverage(self.smoothing)
        self._sign = None
        self._looked_at_any = False

    def _check_monitor(self, epoch, logs):
        if self._looked_at_any or self.monitor in logs:
            return
        if epoch < self.start_from_epoch and may_follow(self.monitor, logs):
            return
        refuse_missing(self.monitor, logs)

    def _find_sign(self):
        mode = self.mode
        if mode == "auto":
            mode = find_mode(self.model, self.monitor)
        return {"min": -1, "max": 1}[mode]

    def _keep_if_best(self, epoch, value):
        if self.best is None or self._sign * (value - self.best) > 0:
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()

    def _count(self, value):
        if math.isfinite(value) and self._beats(value, self._reference):
            self._reference = value
            if self._beats(value, self.baseline):
                self.wait = 0
                return
        if not (self.wait_for_peak and before_peak(self.model.optimizer)):
            self.wait += 1

    def _beats(self, value, reference):
        if reference is None:
            return True
        needed = self.min_delta
        if self.min_delta_mode == "relative":
            needed *= abs(reference)
        return self._sign * (value - reference) > needed

    def _stop(self, epoch):
        self.model.stop_training = True
        self.stopped_epoch = epoch
        waited = f"after {self.patience} epochs of patience, in epoch {epoch + 1}"
        if self.best is None:
            why = f"no value of {self.monitor} has been finite {waited}."
        elif not self._beats(self._reference, self.baseline):
            why = f"{self.monitor} has not passed baseline={self.baseline} {waited}"
        else:
            needed = ""
            if self.min_delta:
                needed = f" by more than {self.min_delta} ({self.min_delta_mode})"
            why = f"{self.monitor} has not improved{needed} {waited}"
        self.stop_reason = f"Stopped since {why}{self._tell_best()}"

    def _tell_best(self):
        if self.best is None:
            return ""
        return f"; the best was {self.best:.6g} in epoch {self.best_epoch + 1}."

    def _warn_that_nothing_was_best(self):
        why = (
            f"no value of {self.monitor} was finite"
            if self._looked_at_any
            else f"no epoch reached start_from_epoch={self.start_from_epoch}"
        )
        warnings.warn(
            f"EarlyStopping has no best weights to restore, since {why}. The model "
            f"keeps the weights of its last epoch.",
            stacklevel=2,
        )
