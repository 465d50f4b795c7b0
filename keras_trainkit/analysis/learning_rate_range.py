import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import legend_below, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        save(_draw(self), path)


def _draw(found: LearningRateRange) -> "Figure":
    figure, (axes,) = new_figure()
    rates, losses = found.learning_rates, found.losses
    axes.plot(rates, losses, color="0.75", linewidth=1, label="each batch")
    axes.plot(rates, found.smoothed_losses, color="C0", linewidth=2, label="smoothed")
    shapes = {"steepest": ("o", "C3"), "valley": ("s", "C2"), "minimum": ("D", "C4")}
    for name, rate in found.suggestions.items():
        if rate is not None:
            marker, colour = shapes[name]
            height = np.interp(np.log(rate), np.log(rates), found.smoothed_losses)
            chosen = rate == found.suggestion
            label = f"{name}: {rate:.2g}" + (" (suggested)" if chosen else "")
            style = {"marker": marker, "color": colour, "markersize": 9, "zorder": 3}
            axes.plot([rate], [height], linestyle="none", label=label, **style)
    if found.diverged_at is not None:
        label = f"stopped at {found.diverged_at:.2g}"
        axes.axvline(found.diverged_at, color="0.4", linestyle=":", label=label)
    if len(rates) < 2 and found.diverged_at is not None:
        axes.set_xlim(found.diverged_at / 10, found.diverged_at * 10)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    nothing = "" if found.suggestion else ": no rate stands out"
    axes.set_title(f"Learning rate range test{nothing}")
    _show_the_valley(axes, losses, found.smoothed_losses)
    legend_below(axes)
    return figure


def _show_the_valley(axes: Any, losses: np.ndarray, smoothed: np.ndarray) -> None:
    """Cuts off the explosion at the end, which is often a thousandfold."""
    if len(losses):
        low, high = float(np.min(losses)), float(np.max(smoothed))
        early = float(np.max(losses[: max(len(losses) // 10, 1)]))
        high = max(high, early)
        margin = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + 3 * margin)
