import math
from typing import Any

import keras

from keras_trainkit._checks import check_choice, check_count, check_number
from keras_trainkit._optimizer_access import (
    averages_weights,
    learning_rate_object,
    unwrapped,
)
from keras_trainkit._train_state.callback_states import fitting_weights
from keras_trainkit._warnings import warn_user
from keras_trainkit.callbacks._monitor import (
    as_number,
    check_name,
    find_mode,
    refuse_missing,
)


class CooldownOnPlateau(keras.callbacks.Callback):
    """Holds the learning rate until validation gets no better, then lets it fall to 0.

    For data of which nobody knows how many epochs they need: the epochs of `fit` are
    the most that it takes.

    | epochs                            | learning rate, in steps of an epoch          |
    | --------------------------------- | -------------------------------------------- |
    | the first `warmup_epochs`         | rises evenly                                 |
    | up to the plateau                 | that of the optimizer                        |
    | the cooldown                      | falls evenly, and would reach 0 after it     |

    The plateau is reached when the best epoch lies `patience` epochs back, and
    `patience_fraction` of all epochs so far. Then the weights of the best epoch return,
    and the cooldown goes on from them: `cooldown_fraction` of the epochs that the best
    had taken, at least `min_cooldown_epochs`. It begins without a plateau where `fit`
    would end before it. Training ends with the cooldown, with the best weights of all
    epochs. Between the epochs, and afterwards, the optimizer has its own learning rate,
    also in the files of callbacks that stand behind this one.

    Every epoch must be validated. A value that is not finite is never the best. The
    optimizer's moments are not restored with the weights. A `fit` from a later
    `initial_epoch` on begins to look anew, and warms up only as far as that epoch is
    one of the first; with `TrainState` it goes on where it was. An interrupt within an
    epoch leaves the rate of that epoch in the optimizer.

    Args:
        monitor: String. Key of the epoch's logs.
        patience: Int >= 1. Epochs without a better value, at least, that make a
            plateau.
        patience_fraction: Float in [0, 1). Share of the epochs so far that they must
            be too, since long runs get better more slowly.
        warmup_epochs: Int >= 0. Epochs of a lower rate at the beginning.
        cooldown_fraction: Float > 0. Epochs of the cooldown, as a share of those up to
            the best one.
        min_cooldown_epochs: Int >= 1. Epochs of the cooldown, at least.
        min_epoch_steps: Int >= 1. Steps of an epoch, at least: in epochs of fewer, on
            few rows, `patience`, `warmup_epochs` and `min_cooldown_epochs` stand for as
            many times more of them as it takes, up to all epochs of `fit`, a tenth and
            a quarter of them. Not where the data do not say how many steps an epoch
            has, as a generator.
        mode: `"min"`, `"max"`, or `"auto"`: a loss falls, a metric goes the way that
            Keras knows for it, and any other value is an error.

    Attributes, from `on_train_begin` on:
        best: Float, the best value. None before a finite one.
        best_epoch: Int, the epoch of `best`, counted from 0. 0 as long as `best` is
            None.
        cooldown_epoch: Int, the first epoch of the cooldown, counted from 0. None
            before it.

    Raises:
        ValueError: From the constructor for an argument out of range. From `fit`: the
            optimizer has a schedule, or averages weights (`use_ema`); after an epoch,
            if its logs have no `monitor`.

    Example:

    >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> x, y = np.zeros((8, 3)), np.zeros((8, 1))  # nothing to learn
    >>> cooldown = CooldownOnPlateau("loss", patience=2)
    >>> run = model.fit(x, y, epochs=99, callbacks=[cooldown], verbose=0)
    >>> cooldown.best_epoch, cooldown.cooldown_epoch, len(run.epoch)
    (0, 3, 7)

    Source: constant rate with cooldown, Hägele et al., 2024, arXiv:2405.18392. There
    the length is known; the plateau takes the place of it here.
    """

    best: float | None
    best_epoch: int
    cooldown_epoch: int | None
    _weights: list | None
    _sign: int | None
    _first_epoch: int

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 6,
        patience_fraction: float = 0.25,
        warmup_epochs: int = 2,
        cooldown_fraction: float = 0.35,
        min_cooldown_epochs: int = 4,
        min_epoch_steps: int = 1,
        mode: str = "auto",
    ):
        super().__init__()
        check_name(monitor)
        check_count("patience", patience, "is the epochs without a better value")
        purpose = "is the share of the epochs so far without a better value"
        check_number(
            "patience_fraction", patience_fraction, purpose, at_least=0, below=1
        )
        purpose = "is the number of epochs of a lower rate"
        check_count("warmup_epochs", warmup_epochs, purpose, at_least=0)
        purpose = "is the length of the cooldown beside that of the training before"
        check_number("cooldown_fraction", cooldown_fraction, purpose, above=0)
        purpose = "is the number of epochs of the cooldown, at least,"
        check_count("min_cooldown_epochs", min_cooldown_epochs, purpose)
        purpose = "is the number of steps of an epoch, at least,"
        check_count("min_epoch_steps", min_epoch_steps, purpose)
        purpose = "says which way the monitored value gets better"
        check_choice("mode", mode, purpose, ("auto", "min", "max"))
        self.monitor = monitor
        self.patience = patience
        self.patience_fraction = patience_fraction
        self.warmup_epochs = warmup_epochs
        self.cooldown_fraction = cooldown_fraction
        self.min_cooldown_epochs = min_cooldown_epochs
        self.min_epoch_steps = min_epoch_steps
        self.mode = mode
        self._forget()

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._forget()
        rate = learning_rate_object(self.model.optimizer)
        if callable(rate):
            raise ValueError(
                "CooldownOnPlateau sets the learning rate of the optimizer, which must "
                f"be a number. Received: a schedule, {type(rate).__name__}."
            )
        if averages_weights(self.model.optimizer):
            raise ValueError(
                "CooldownOnPlateau puts the best weights back during training, and the "
                "optimizer must not average them. Received: use_ema=True."
            )
        self._rate = as_number("learning_rate", self._optimizer().learning_rate)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._first_epoch < 0:
            self._first_epoch = epoch
        if self.cooldown_epoch is not None:
            left = self.cooldown_epoch + self._length - epoch
            share = left / self._length
        else:
            share = min(1.0, (epoch + 1) / (self._stretched("warmup_epochs", 10) + 1))
        self._optimizer().learning_rate = self._rate * share

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        self._optimizer().learning_rate = self._rate  # for files written now
        if self.monitor not in logs:
            refuse_missing(self.monitor, logs, "in every epoch (no `validation_freq`)")
        self._keep_if_best(epoch, as_number(self.monitor, logs[self.monitor]))
        if self.cooldown_epoch is not None:
            if epoch + 1 >= self.cooldown_epoch + self._length:
                self.model.stop_training = True
        elif self._is_plateau(epoch) or self._must_begin(epoch):
            self._begin_cooldown(epoch + 1)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Restores the best weights, and lets go of the copy."""
        if self._weights is not None:
            self.model.set_weights(self._weights)
            self._weights = None
        if self.best is None:
            warn_user(
                f"CooldownOnPlateau has no best weights to restore, since no value of "
                f"{self.monitor} was finite. The model keeps its last weights.",
            )

    def get_state(self) -> dict[str, Any]:
        """All that is remembered, for `TrainState`."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self._weights,
            "cooldown_epoch": self.cooldown_epoch,
            "cooldown_length": self._length,
            "first_epoch": self._first_epoch,
            "mode": {None: None, -1: "min", 1: "max"}[self._sign],
            "learning_rate": self._rate,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `get_state` has returned."""
        for name in ("best_epoch", "cooldown_length"):
            check_count(name, state[name], "is in the state", at_least=0)
        check_choice("mode", state["mode"], "is in the state", (None, "min", "max"))
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self._weights = fitting_weights(state["best_weights"], self.model)
        self.cooldown_epoch = state["cooldown_epoch"]
        self._length = state["cooldown_length"]
        self._first_epoch = state["first_epoch"]
        self._sign = {None: None, "min": -1, "max": 1}[state["mode"]]
        self._rate = state["learning_rate"]

    def _forget(self) -> None:
        self.best = None
        self.best_epoch = 0
        self.cooldown_epoch = None
        self._weights = None
        self._sign = None
        self._length = 0
        self._first_epoch = -1

    def _optimizer(self) -> Any:
        return unwrapped(self.model.optimizer)

    def _keep_if_best(self, epoch: int, value: float) -> None:
        if self._sign is None:
            mode = self.mode
            if mode == "auto":
                mode = find_mode(self.model, self.monitor)
            self._sign = {"min": -1, "max": 1}[mode]
        if not math.isfinite(value):
            return
        if self.best is None or self._sign * (value - self.best) > 0:
            self.best, self.best_epoch = value, epoch
            self._weights = self.model.get_weights()

    def _is_plateau(self, epoch: int) -> bool:
        best = self.best_epoch if self.best is not None else self._first_epoch - 1
        patience = self._stretched("patience", 1)
        return epoch - best >= max(patience, self.patience_fraction * (epoch + 1))

    def _must_begin(self, epoch: int) -> bool:
        """True if as many epochs are left as the cooldown takes."""
        return self.params["epochs"] - (epoch + 1) <= self._cooldown_length()

    def _cooldown_length(self) -> int:
        needed = round(self.cooldown_fraction * (self.best_epoch + 1))
        return max(self._stretched("min_cooldown_epochs", 4), needed)

    def _stretched(self, name: str, part: int) -> int:
        """An argument in epochs of `min_epoch_steps`, up to a part of all epochs."""
        epochs = getattr(self, name)
        steps = self.params.get("steps") or self.min_epoch_steps
        stretched = epochs * math.ceil(self.min_epoch_steps / steps)
        return max(epochs, min(stretched, self.params["epochs"] // part))

    def _begin_cooldown(self, epoch: int) -> None:
        self.cooldown_epoch = epoch
        left = max(self.params["epochs"] - epoch, 1)
        self._length = min(self._cooldown_length(), left)
        if self._weights is not None:
            self.model.set_weights(self._weights)
