"""The seconds that a search may take, and the callback that ends a training by them."""

import time
from typing import Any

import keras
import numpy as np

now = time.perf_counter
PILOT_EPOCHS, LEAST_PILOT_EPOCHS = 4, 2
LEAST_EPOCHS = 11  # of `CooldownOnPlateau`: the first is the best, 6 wait, 4 cool down


class Clock:
    """Seconds of a search that are left, of all its starts together.

    Args:
        limit: Float, or None where there is none.
        began: Float of `now`, when this start began.

    Attributes:
        spent: Float. Seconds that trials of earlier starts took.
        reserve: Float. Seconds that are kept for the ensemble.
    """

    def __init__(self, limit: float | None, began: float):
        self.limit = limit
        self.spent = 0.0
        self.reserve = 0.0
        self._began = began

    @property
    def elapsed(self) -> float:
        """Seconds of this start so far."""
        return now() - self._began

    @property
    def left(self) -> float:
        """Seconds left for trials; infinite without a limit."""
        if self.limit is None:
            return float("inf")
        return self.limit - self.spent - self.reserve - self.elapsed


class TimeLimit(keras.callbacks.Callback):
    """Ends the trainings of a trial when no time is left.

    Args:
        clock: `Clock`.
        trainings: Int. Trainings of the trial, one after the other.
        must_end: Bool. A trial that cannot end in time is an error, as soon as a few
            epochs tell how long one takes: two at least, for the first compiles.

    Attributes:
        is_over: True if a training was ended.
        is_short: True if that was before as many whole epochs as any training has.
    """

    async_safe = True  # Keras 3.15 need not wait for the logs of each batch

    def __init__(self, clock: Clock, trainings: int, must_end: bool):
        super().__init__()
        self.is_over = self.is_short = False
        self._clock = clock
        self._trainings = trainings
        self._must_end = must_end
        self._began = clock.elapsed
        self._ends: list[float] = []  # seconds at the end of each epoch
        self._begun = 0  # trainings
        self._lacking = 0  # epochs of the training, until any would have ended

    def on_train_begin(self, logs: Any = None) -> None:
        """Counts the trainings, and the epochs of each."""
        self._begun += 1
        self._lacking = self._least

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training within a long epoch; its validation follows."""
        self._end_if_over()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the training, and looks whether all will end in time."""
        self._ends.append(self._clock.elapsed)
        if not self.is_over:  # within the epoch, which is not whole
            self._lacking -= 1
        self._end_if_over()
        self.is_short = self.is_over and self._lacking > 0
        if self._must_end and (self.is_over or len(self._ends) == PILOT_EPOCHS):
            self._check_time()

    def _end_if_over(self) -> None:
        if self._must_end and len(self._ends) < LEAST_PILOT_EPOCHS:
            return
        if self._clock.left <= 0 and not self.is_over:
            self.is_over = True
            self.model.stop_training = True

    @property
    def _least(self) -> int:
        """Epochs of the shortest training."""
        return min(self.params["epochs"], LEAST_EPOCHS)

    def _check_time(self) -> None:
        """Raises if even the shortest training of all would take too long."""
        least, count = self._least, self._trainings
        left = max(0, self._lacking) + least * (count - self._begun)
        if self._clock.limit is None or left <= 0:
            return
        epoch = float(np.diff(self._ends, prepend=self._began).min())
        needed = self._clock.elapsed + epoch * left
        if needed > self._clock.elapsed + self._clock.left:
            networks = "one network" if count == 1 else f"{count} networks"
            reason = f"{networks} of {least} epochs or more"
            raise too_short(self._clock, needed, reason)


def too_short(clock: Clock, needed: float, reason: str) -> ValueError:
    """The error of a time limit that the recipe does not keep.

    Args:
        needed: Float. Seconds from the beginning of this start, without the ensemble.
        reason: String. Where they go.
    """
    before = f", of which {clock.spent:.0f} are spent" if clock.spent else ""
    return ValueError(
        "`time_limit` is the seconds that a search may take and must be enough for one "
        f"fit of the recipe, which takes {needed + clock.reserve:.0f} or more here "
        f"({reason}). Received: time_limit={clock.limit}{before}."
    )
