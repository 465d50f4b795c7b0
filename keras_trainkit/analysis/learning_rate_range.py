"""What a learning rate range test found."""

import dataclasses
import pathlib

import numpy as np

from keras_trainkit.analysis._figures import draw_range, save


@dataclasses.dataclass(frozen=True, eq=False)
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

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the curve and the suggestions into a file, `.png`, `.pdf` or `.svg`."""
        save(draw_range(self), path)
