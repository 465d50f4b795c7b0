"""What a learning rate range test found."""

import dataclasses
import pathlib

import numpy as np

from keras_trainkit.analysis._figures import draw_range, save


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LearningRateRange:
    """The curve of a learning rate range test and the rates read off it.

    Attributes:
        learning_rates: Array `(steps,)`, rising.
        losses: Array `(steps,)`, each batch's own loss, regularisation included.
        smoothed_losses: Array `(steps,)`, see `learning_rate_range_test`.
        suggestions: Dict, `"steepest"`, `"valley"` and `"minimum"` to a rate or None.
        suggestion: Float, the one recommended, for the highest rate of a one-cycle
            run; None if the curve shows no fall.
        reason: String, a sentence on how `suggestion` came about.
        diverged_at: Float, the rate at which the loss diverged or was no finite number
            and the test stopped; None if it went to its end.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed_losses: np.ndarray
    suggestions: dict[str, float | None]
    suggestion: float | None
    reason: str
    diverged_at: float | None

    def __repr__(self) -> str:
        """One line: the arrays have an entry for each step."""
        span = "no rate judged"
        if len(self.learning_rates):
            first, last = self.learning_rates[[0, -1]]
            span = f"{len(self.losses)} steps from {first:.2g} to {last:.2g}"
        found = ", ".join(
            f"{name}={value if value is None else format(value, '.2g')}"
            for name, value in (
                ("suggestion", self.suggestion),
                ("diverged_at", self.diverged_at),
            )
        )
        return f"LearningRateRange({found}, {span})"

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the curve and the suggestions into a file, `.png`, `.pdf` or `.svg`."""
        save(draw_range(self), path)
