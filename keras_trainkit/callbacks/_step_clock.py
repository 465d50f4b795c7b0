"""Clock of the steps of a `fit`, by which some of them are measured."""

from typing import Any

import keras


class StepClock:
    """Counts steps, and says which is the next to measure.

    Args:
        every: Int >= 1. Steps from one measurement to the next.
        execution: Int >= 1. Steps in one call of the train function.
        accumulated: Int >= 1. Steps in one update of the weights.

    Attributes:
        step: The next step.
        due: The step from which on the next one is measured.
        offset: Steps since an update of the weights, at the beginning of the `fit`.
        first_epoch: The epoch that the `fit` began with; None before it.
        rows: Rows of a whole batch; None before the first one measured.
    """

    def __init__(self, every: int, execution: int = 1, accumulated: int = 1):
        self.every = every
        self.execution = execution
        self.accumulated = accumulated
        self.step = 0
        self.due = 0
        self.offset = 0
        self.first_epoch: int | None = None
        self.rows: int | None = None

    def begin(self, epoch: int, taken: int) -> None:
        """Begins with this epoch, after so many steps of the optimizer."""
        self.first_epoch = epoch
        self.offset = taken % self.accumulated

    def begin_epoch(self, epoch: int, steps: int | None) -> None:
        """Comes to the first step of a later epoch.

        Args:
            epoch: Int.
            steps: Steps of an epoch as far as Keras knows, or None.
        """
        if steps and self.first_epoch is not None:
            # The last execution may have been shorter.
            self.step = (epoch - self.first_epoch) * steps
            self.due = max(self.due, self.step)

    def next_due(self) -> int:
        """The next step to measure, one that updates the weights."""
        due = max(self.due, self.step)
        return due + -(due + 1 + self.offset) % self.accumulated

    def measured(self, step: int) -> None:
        """Notes that this step was measured."""
        self.due = (step // self.every + 1) * self.every

    def missed(self, step: int) -> None:
        """Notes that this step was due and gave no numbers: the next one is due."""
        self.due = step + 1

    def is_short(self, batch: Any) -> bool:
        """True for a batch with fewer rows than the first one asked about."""
        parts = [part for part in keras.tree.flatten(batch) if hasattr(part, "shape")]
        rows = int(parts[0].shape[0])
        if self.rows is None:
            self.rows = rows
        return rows < self.rows
