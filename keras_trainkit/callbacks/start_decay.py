from typing import Any

import keras

from keras_trainkit._checks import check_count
from keras_trainkit._optimizer_access import (
    learning_rate_schedule,
    steps_taken,
    unwrapped,
)
from keras_trainkit.schedules import WarmupStableDecay


class StartDecay(keras.callbacks.Callback):
    """Begins the decay of a `schedules.WarmupStableDecay` during a run.

    Puts `schedule.decay_from(...)` into the optimizer at the beginning of an epoch
    and has the training step compiled once more, the only cost. With `epoch` the
    decay begins at the first step of that epoch; with `step` at that step exactly,
    wherever in an epoch it lies and whatever `steps_per_execution` is. After `fit`
    the decaying schedule stays in the optimizer, and a saved model keeps it.

    A run that is killed and resumed (`initial_epoch`,
    `keras.callbacks.BackupAndRestore`) decays as if it had not been: the epochs
    before the first one seen count as part of the training. For a run resumed in the
    middle of an epoch give `step`, as the first step of `epoch` cannot be told then.

    To branch a decay off a trunk, load a saved model of the trunk and fit that with
    this callback; the trunk's own optimizer holds its rate.

    Args:
        epoch: Int >= 0 or None. The epoch, counted from 0 as in
            `fit(initial_epoch=...)`, with whose first step the decay begins.
        step: Int >= 0 or None. The optimizer step at which it begins: batches since
            the optimizer was made, also under `gradient_accumulation_steps`.
            One of the two must be given, the other be None.

    Attributes:
        decay_start: The optimizer step at which the decay of the latest `fit`
            begins, or None as long as it is not set.

    Raises:
        ValueError: From the constructor unless exactly one argument is given. From
            `fit`, before its first step: if the optimizer has no
            `WarmupStableDecay`, or it decays already from another step; if `epoch`
            is not reached in this `fit`; if `step` was past when the training
            began; if the decay would begin before the rise is over.

    Example:

    ```python
    schedule = keras_trainkit.schedules.WarmupStableDecay(
        0.1, warmup_steps=500, decay_steps=2000
    )
    model.compile(keras.optimizers.SGD(schedule), loss="mse")
    model.fit(x, y, epochs=50, callbacks=[StartDecay(epoch=40)])
    ```

    Source: Hägele et al., 2024, arXiv:2405.18392 (decays branched off one trunk).
    """

    def __init__(self, *, epoch: int | None = None, step: int | None = None):
        super().__init__()
        if (epoch is None) == (step is None):
            raise ValueError(
                "`epoch` or `step` says when the decay begins, and exactly one of them "
                f"must be given. Received: epoch={epoch!r}, step={step!r}."
            )
        if epoch is not None:
            check_count("epoch", epoch, "is when the decay begins", at_least=0)
        if step is not None:
            check_count("step", step, "is when the decay begins", at_least=0)
        self.epoch = epoch
        self.step = step
        self.decay_start: int | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.decay_start = None
        self._first_epoch = True
        self._schedule()
        epochs = self.params["epochs"]
        if self.epoch is not None and self.epoch >= epochs:
            raise ValueError(
                "`epoch`, counted from 0, is when the decay begins and must be below "
                f"the epochs of `fit`. Received: epoch={self.epoch}, epochs={epochs}."
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.decay_start is not None:
            return
        # Counted only now: a checkpoint may have been restored in on_train_begin.
        taken = steps_taken(self.model.optimizer)
        if self._first_epoch and self.step is not None:
            self._check_not_past(epoch, taken)
            self._start(self.step, taken)
        elif self._first_epoch and self.epoch is not None and epoch != self.epoch:
            self._begin_elsewhere(self.epoch, epoch, taken)
        elif epoch == self.epoch:
            self._start(taken, taken)
        self._first_epoch = False

    def get_state(self) -> dict[str, Any]:
        """The step at which the decay begins, for `TrainState`."""
        return {"decay_start": self.decay_start}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `get_state` has returned."""
        start = state["decay_start"]
        self._first_epoch = False
        if start is not None and start != self.decay_start:
            check_count("decay_start", start, "is in the state", at_least=0)
            self._start(start, steps_taken(self.model.optimizer))

    def _schedule(self) -> WarmupStableDecay:
        schedule = learning_rate_schedule(self.model.optimizer)
        if not isinstance(schedule, WarmupStableDecay):
            raise ValueError(
                "StartDecay begins the decay of a schedule that can be told when, and "
                "the optimizer's learning rate must be a WarmupStableDecay. "
                f"Received: {type(schedule).__name__ if schedule else 'a number'}."
            )
        return schedule

    def _check_not_past(self, epoch: int, taken: int) -> None:
        began = taken
        if epoch > 0:  # resumed; without a length any step may have been part of it
            length = self.params["steps"]
            began = 0 if length is None else max(taken - epoch * length, 0)
        check_count(
            "step",
            self.step,
            "is when the decay begins, not before this training did,",
            at_least=began,
        )

    def _begin_elsewhere(self, wanted: int, epoch: int, taken: int) -> None:
        """Handles, in the first epoch seen, a decay that begins in the one `wanted`."""
        length = self.params["steps"]
        if length is not None:
            start = taken + (wanted - epoch) * length
            if wanted < epoch:
                self._start(start, taken)
            else:
                self._decaying_schedule(start, taken)  # refuses now what it must
        elif wanted < epoch:
            raise ValueError(
                "`epoch` lies before the first epoch of a resumed `fit`, and then the "
                "data set must know its length, or `step` be given. Received: "
                f"epoch={wanted}, initial epoch {epoch}, length unknown."
            )

    def _start(self, start: int, taken: int) -> None:
        unwrapped(self.model.optimizer).learning_rate = self._decaying_schedule(
            start, taken
        )
        self.decay_start = start
        # The compiled step holds the schedule that it was traced with.
        self.model.make_train_function(force=True)

    def _decaying_schedule(self, start: int, taken: int) -> WarmupStableDecay:
        schedule = self._schedule()
        begun = schedule.decay_start
        if begun is not None and begun < taken and begun != start:
            raise ValueError(
                "StartDecay begins a decay, and the schedule must not be decaying "
                f"already. Received: a decay since step {begun}, asked for one from "
                f"step {start}."
            )
        return schedule.decay_from(start)
