import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    finite_or_none,
    legend_below,
    logarithmic,
    mark_not_finite,
    new_figure,
    save,
    tick_label,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LossRise:
    """Loss of a model whose weights were changed, by random and by the worst changes.

    Attributes:
        loss: Float, with the weights as they are.
        radii: Array `(radii,)`, rising: sizes of the change, relative to the weights.
        random_losses: Array `(directions, radii)`, a row for each random direction.
        worst_losses: Array `(radii,)`, the highest that the ascent has found.
    """

    loss: float
    radii: np.ndarray
    random_losses: np.ndarray
    worst_losses: np.ndarray

    @property
    def random_rises(self) -> np.ndarray:
        """Mean rise of the loss over the random directions, `(radii,)`."""
        return self.random_losses.mean(axis=0) - self.loss

    @property
    def worst_rises(self) -> np.ndarray:
        """Rise of the loss in the worst direction found, `(radii,)`."""
        return self.worst_losses - self.loss

    @property
    def verdict(self) -> str:
        """Sentences: the rise at the radius in the middle, and where the loss doubles.

        They say so where every random direction lowers the loss at the smallest radius,
        as it happens in training that has not come to its end.
        """
        if not np.isfinite(self.loss):
            return f"The loss is {self.loss:.4g}, before any change of the weights."
        middle = len(self.radii) // 2
        size = _percent(self.radii[middle])
        said = (
            f"A change of the weights by {size} raises the loss "
            f"of {self.loss:.4g} by {self.random_rises[middle]:.2g} in random "
            f"directions and by {self.worst_rises[middle]:.2g} in the worst one found."
        )
        if self.loss > 0:
            said += f" {self._doubling()}"
        if (self.random_losses[:, 0] < self.loss).all():
            said += (
                " Every random change by "
                f"{_percent(self.radii[0])} lowers it: train longer before you compare."
            )
        return said

    def _doubling(self) -> str:
        doubled = ~(self.worst_losses < 2 * self.loss)
        if doubled.any():
            first = self.radii[doubled.argmax()]
            return f"The worst change of {_percent(first)} doubles it."
        return f"No change found of up to {_percent(self.radii[-1])} doubles it."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON; None for what is no finite number."""
        found = {
            "verdict": self.verdict,
            "loss": self.loss,
            "radii": self.radii.tolist(),
            "random_losses": self.random_losses.tolist(),
            "worst_losses": self.worst_losses.tolist(),
        }
        return keras.tree.map_structure(finite_or_none, found)

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the losses over the size of the change, `.png`, `.pdf` or `.svg`.

        The band lies between the lowest and the highest of the random directions.
        """
        check_path(path)
        save(_draw(self), path)

    def __repr__(self) -> str:
        return f"LossRise({self.verdict})"


def _percent(radius: float) -> str:
    return f"{100 * radius:.3g} %"


def _draw(found: LossRise) -> "Figure":
    figure, (axes,) = new_figure()
    radii, random = found.radii, found.random_losses
    label = "random directions: mean, lowest to highest"
    axes.fill_between(
        radii, random.min(axis=0), random.max(axis=0), color="C0", alpha=0.2
    )
    axes.plot(radii, random.mean(axis=0), "o-", color="C0", label=label)
    axes.plot(radii, found.worst_losses, "s-", color="C3", label="worst direction")
    axes.axhline(found.loss, color="0.4", linestyle=":", label="weights as they are")
    axes.set(xscale="log", xlabel="change of the weights, in %", ylabel="loss")
    axes.set_xticks(radii, [tick_label(100 * float(radius)) for radius in radii])
    axes.set_xticks([], minor=True)
    finite = np.isfinite(random).all(axis=0) & np.isfinite(found.worst_losses)
    mark_not_finite(axes, radii, np.where(finite, 0.0, np.nan))
    drawn = np.concatenate([random.ravel(), found.worst_losses, [found.loss]])
    drawn = drawn[np.isfinite(drawn)]
    if wants_log(drawn):
        logarithmic(axes, drawn.tolist())
    axes.set_title("Rise of the loss with a change of the weights")
    legend_below(axes, columns=1)
    return figure
