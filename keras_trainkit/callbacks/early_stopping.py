import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_flag,
    check_number,
)
from keras_trainkit._ewa import RunningAverage
from keras_trainkit._train_state.callback_states import fitting_weights
from keras_trainkit._warnings import warn_user
from keras_trainkit.callbacks._monitor import (
    as_number,
    before_peak,
    check_name,
    find_mode,
    may_follow,
    refuse_missing,
)
from keras_trainkit.callbacks._scored_weights import ScoredWeights

_COUNTS = {
    "patience": "is the number of epochs to wait for an improvement",
    "start_from_epoch": "is the first epoch to look at",
}
_CHOICES = {
    "min_delta_mode": (
        "says what `min_delta` is measured in",
        ("absolute", "relative"),
    ),
    "verbose": (
        "says whether to print why the run was stopped",
        (0, 1, False, True),
    ),
    "mode": (
        "says which way the monitored value gets better",
        ("auto", "min", "max"),
    ),
}
_FLAGS = {
    "restore_best_weights": "decides whether training ends with the best weights",
    "wait_for_peak": "decides whether patience waits for the learning rate's peak",
}


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
    `stop_reason`, as on the progress bar. No run is stopped in its first epoch.

    The weights kept are those that were scored: beside
    `keras.callbacks.SwapEMAWeights`, before or after it in the list, the averaged ones
    for a `val_` key and the trained ones for any other.

    A loop of one's own calls `set_model` (with `get_weights` and `set_weights`, no
    optimizer), `on_train_begin`, `on_epoch_end` until `stop_training`, `on_train_end`.

    Args:
        monitor: String. Key of the epoch's logs.
        min_delta: Float >= 0. Improvement that has to be exceeded to start patience
            again.
        patience: Int >= 0. Epochs in a row without such an improvement. 0 stops at
            the first of them, as 1 does.
        verbose: 0 or 1. 1 prints `stop_reason` and which epoch's weights are restored.
        mode: `"min"`, `"max"`, or `"auto"`: a loss falls, a metric goes the way that
            Keras knows for it, and any other value is an error.
        baseline: Float or None. While no value has been better than this by more
            than `min_delta`, patience is never started again.
        restore_best_weights: Bool. Put the best epoch's weights into the model when
            training ends, also when it ran to its last epoch. The optimizer's state
            stays that of the last epoch.
        start_from_epoch: Int >= 0. Earlier epochs are not looked at: neither best
            nor counted.
        min_delta_mode: `"absolute"` (in units of the value) or `"relative"` (a share
            of the value to improve on).
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
        best_epoch: Int, the epoch of `best`. 0 as long as `best` is None.
        best_weights: List of arrays while training, if they are to be restored.
        stopped_epoch: Int, the epoch that stopped the run. 0 if it was not us.
        stop_reason: String, a sentence on why. None if it was not us.
        monitor_op: `keras.ops.less` or `keras.ops.greater`, the way that is better.
            None before the first value.

    When no epoch had a finite value, or none was looked at, the model keeps the
    weights of the last epoch and a warning says so.

    Raises:
        ValueError: After the first epoch, if the logs have no `monitor`; the message
            lists the keys. A `val_` key may be missing before `start_from_epoch` and
            again after that epoch, as it is with `validation_freq`; such an epoch is
            not counted. In the second epoch, if the key is none of validation and
            `SwapEMAWeights(swap_on_epoch=True)` stands before this in the list: the
            scored weights are gone when an epoch ends.

    Example:

    >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> stopping = EarlyStopping("loss", min_delta=0.01, patience=2)
    >>> x, y = np.zeros((8, 3)), np.zeros((8, 1))
    >>> run = model.fit(x, y, epochs=9, callbacks=[stopping], verbose=0)
    >>> stopping.best_epoch, stopping.stopped_epoch
    (0, 2)

    Source: `keras.callbacks.EarlyStopping` (3.15), whose arguments come first here, in
    its order. There `patience=0` and `restore_best_weights=False` are the defaults,
    `min_delta` also decides which weights are kept, a NaN in the first epoch stays
    best for ever, a missing `monitor` only warns, and beside `SwapEMAWeights` the
    weights kept depend on the order of the list.
    """

    best: float | None
    best_epoch: int
    best_weights: list | None
    stopped_epoch: int
    stop_reason: str | None
    _reference: float | None
    monitor_op: Any
    _scored: ScoredWeights

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
        *,
        min_delta_mode: str = "absolute",
        wait_for_peak: bool = True,
        smoothing: float = 0.0,
    ):
        super().__init__()
        self.monitor = monitor
        self.min_delta = min_delta
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.min_delta_mode = min_delta_mode
        self.wait_for_peak = wait_for_peak
        self.smoothing = smoothing
        self._check_arguments()
        self._reset()

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Forgets the run before, so that one instance serves many fits."""
        self._reset()
        if self.restore_best_weights and not hasattr(self.model, "get_weights"):
            raise ValueError(
                "`restore_best_weights` copies the weights of the model and must be "
                "False for one without `get_weights` and `set_weights`. Received: "
                f"restore_best_weights=True, model of type {type(self.model).__name__}."
            )

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Copies the weights about to be scored, where another callback swaps them."""
        if self.restore_best_weights:
            self._scored.before_validation(self.model)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Checks, once, that the weights kept are those that training goes on with."""
        if self.best_weights is not None:
            self._scored.check_trained(self.model, self.best_weights)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Looks at the value, keeps the weights, stops the run."""
        logs = logs or {}
        self._saw_an_epoch = True
        validated = self._scored.take_validated()
        self._check_monitor(epoch, logs)
        if epoch < self.start_from_epoch or self.monitor not in logs:
            return
        self._looked_at_any = True
        if self.monitor_op is None:
            self.monitor_op = self._find_operation()
        value = as_number(self.monitor, logs[self.monitor])
        if math.isfinite(value):
            value = self._average.update(value)
            self._keep_if_best(epoch, value, validated)
        self._count(value)
        if epoch > 0 and self.wait >= max(self.patience, 1):
            self._stop(epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Restores the best weights and lets go of the copy."""
        if self.verbose and self.stop_reason is not None:
            print(self.stop_reason)
        if not self.restore_best_weights:
            return
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restored the weights of epoch {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
            self.best_weights = None
        elif self._saw_an_epoch:
            self._warn_that_nothing_was_best()

    def get_state(self) -> dict[str, Any]:
        """All that is remembered, for `TrainState`."""
        modes = {ops.less: "min", ops.greater: "max"}
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "stopped_epoch": self.stopped_epoch,
            "stop_reason": self.stop_reason,
            "wait": self.wait,
            "reference": self._reference,
            "average": [self._average.steps, self._average.raw],
            "mode": None if self.monitor_op is None else modes[self.monitor_op],
            "looked_at_any": self._looked_at_any,
            "scored_weights_checked": self._scored.is_checked,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `get_state` has returned."""
        for name in ("best_epoch", "stopped_epoch", "wait"):
            check_count(name, state[name], "is in the state", at_least=0)
            setattr(self, name, state[name])
        check_choice("mode", state["mode"], "is in the state", (None, "min", "max"))
        self.best = state["best"]
        self.best_weights = fitting_weights(state["best_weights"], self.model)
        self.stop_reason = state["stop_reason"]
        self._reference = state["reference"]
        self._average.steps, self._average.raw = state["average"]
        operations = {None: None, "min": ops.less, "max": ops.greater}
        self.monitor_op = operations[state["mode"]]
        self._looked_at_any = state["looked_at_any"]
        self._scored.is_checked = state["scored_weights_checked"]

    def _check_arguments(self) -> None:
        check_name(self.monitor)
        for name, purpose in _COUNTS.items():
            check_count(name, getattr(self, name), purpose, at_least=0)
        for name, (purpose, choices) in _CHOICES.items():
            check_choice(name, getattr(self, name), purpose, choices)
        for name, purpose in _FLAGS.items():
            check_flag(name, getattr(self, name), purpose)
        purpose = "is the improvement that starts patience again"
        check_number("min_delta", self.min_delta, purpose, at_least=0)
        purpose = "is the weight of the past in the average of the monitored value"
        check_number("smoothing", self.smoothing, purpose, at_least=0, below=1)
        if self.baseline is not None:
            purpose = "is the value to beat before patience starts again"
            check_number("baseline", self.baseline, purpose)

    def _reset(self) -> None:
        self.best = None
        self.best_epoch = 0
        self.best_weights = None
        self.stopped_epoch = 0
        self.stop_reason = None
        self.wait = 0
        self._reference = None
        self._average = RunningAverage(self.smoothing)
        self.monitor_op = None
        self._looked_at_any = False
        self._saw_an_epoch = False
        self._scored = ScoredWeights(self.monitor)

    def _check_monitor(self, epoch: int, logs: dict) -> None:
        if self._looked_at_any or self.monitor in logs:
            return
        if epoch < self.start_from_epoch and may_follow(self.monitor, logs):
            return
        refuse_missing(self.monitor, logs)

    def _find_operation(self) -> Callable:
        mode = self.mode
        if mode == "auto":
            mode = find_mode(self.model, self.monitor)
        return {"min": ops.less, "max": ops.greater}[mode]

    def _keep_if_best(self, epoch: int, value: float, validated: list | None) -> None:
        if self.best is None or self._gain(value, self.best) > 0:
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = validated or self.model.get_weights()

    def _gain(self, value: float, reference: float) -> float:
        """Positive where `value` is the better one."""
        sign = -1 if self.monitor_op is ops.less else 1
        return sign * (value - reference)

    def _count(self, value: float) -> None:
        if math.isfinite(value) and self._beats(value, self._reference):
            self._reference = value
            if self._beats(value, self.baseline):
                self.wait = 0
                return
        if not (self.wait_for_peak and before_peak(self.model)):
            self.wait += 1

    def _beats(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        needed = self.min_delta
        if self.min_delta_mode == "relative":
            needed *= abs(reference)
        return self._gain(value, reference) > needed

    def _stop(self, epoch: int) -> None:
        self.model.stop_training = True
        self.stopped_epoch = epoch
        unit = "epoch" if self.patience == 1 else "epochs"
        waited = f"after {self.patience} {unit} of patience, in epoch {epoch + 1}"
        if self.best is None:
            why = f"no value of {self.monitor} has been finite {waited}."
        elif self._reference is None or not self._beats(self._reference, self.baseline):
            why = f"{self.monitor} has not passed baseline={self.baseline} {waited}"
        else:
            needed = ""
            if self.min_delta:
                needed = f" by more than {self.min_delta} ({self.min_delta_mode})"
            why = f"{self.monitor} has not improved{needed} {waited}"
        self.stop_reason = f"Stopped since {why}{self._tell_best()}"

    def _tell_best(self) -> str:
        if self.best is None:
            return ""
        return f"; the best was {self.best:.6g} in epoch {self.best_epoch + 1}."

    def _warn_that_nothing_was_best(self) -> None:
        why = (
            f"no value of {self.monitor} was finite"
            if self._looked_at_any
            else f"no epoch reached start_from_epoch={self.start_from_epoch}"
        )
        warn_user(
            f"EarlyStopping has no best weights to restore, since {why}. "
            "The model keeps the weights of its last epoch.",
        )
