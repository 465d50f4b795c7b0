import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    finite_or_none,
    legend_below,
    mark_not_finite,
    new_figure,
    save,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Spreads from the mean beyond which Grubbs' test finds one of 3, 4, ... scores apart,
# wrongly once in a hundred times.
_LIMITS = (
    1.155,
    1.496,
    1.764,
    1.973,
    2.139,
    2.274,
    2.387,
    2.482,
    2.564,
    2.636,
    2.699,
    2.755,
    2.806,
    2.852,
    2.894,
    2.932,
    2.968,
    3.001,
    3.031,
    3.06,
    3.087,
    3.112,
    3.135,
    3.158,
    3.179,
    3.199,
    3.218,
    3.236,
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Scores of models that were each judged by rows they had not seen.

    A fold is a model; of repeated folds all are listed, one repeat after the other.

    Attributes:
        scores: Dict of the name of a loss or metric to `(models,)` floats, on the rows
            that were held out.
        histories: For each model, dict of name to one value per epoch, as `fit`
            returned it; empty of a tuner.
        rows: For each model, the numbers of the rows that were held out.
        training_rows: For each model, how many rows it has learned from.
        folds: Int. Models of one repeat.
    """

    scores: dict[str, np.ndarray]
    histories: list[dict[str, list[float]]]
    rows: list[np.ndarray]
    training_rows: list[int]
    folds: int

    @property
    def mean(self) -> dict[str, float]:
        """The mean over the models, by name of the score."""
        return {name: float(np.mean(found)) for name, found in self.scores.items()}

    @property
    def spread(self) -> dict[str, float]:
        """The standard deviation over the models, by name of the score."""
        return {
            name: float(np.std(found, ddof=1)) for name, found in self.scores.items()
        }

    @property
    def standard_error(self) -> dict[str, float]:
        """The standard error of the mean, by name of the score.

        Models that share most of their training rows are alike, so it is more than the
        spread over the root of their number:

            spread * sqrt(1 / models + held-out rows / training rows)

        Source: Nadeau and Bengio, 2003, "Inference for the Generalization Error"; for
        repeated folds Bouckaert and Frank, 2004.
        """
        held_out = np.mean([len(rows) for rows in self.rows])
        share = held_out / np.mean(self.training_rows)
        factor = math.sqrt(1 / len(self.rows) + share)
        return {name: factor * spread for name, spread in self.spread.items()}

    @property
    def verdict(self) -> str:
        """A sentence: the score, its error, and a fold that stands apart, if any.

        It is of the first metric, or of the loss where there is none. A fold stands
        apart by Grubbs' test (1950) at 1 %, which is made of 3 to 30 models.
        """
        name = self._headline()
        found = self.scores[name]
        broken = np.flatnonzero(~np.isfinite(found))
        if len(broken):
            return f"No finite {name} in {_named(broken, self.folds)}."
        said = (
            f"{name} {self.mean[name]:.4g} ± {self.standard_error[name]:.2g} "
            f"(standard error; {len(found)} models from {found.min():.4g} to "
            f"{found.max():.4g})"
        )
        apart = _outlier(found)
        if apart is None:
            return f"{said}."
        where = _named([apart], self.folds)
        return (
            f"{said}; {where} stands apart with {found[apart]:.4g}: look at its rows."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON; None for what is no finite number."""
        found = {
            "verdict": self.verdict,
            "mean": self.mean,
            "spread": self.spread,
            "standard_error": self.standard_error,
            "scores": {name: found.tolist() for name, found in self.scores.items()},
            "histories": self.histories,
            "rows": [rows.tolist() for rows in self.rows],
            "training_rows": self.training_rows,
            "folds": self.folds,
        }
        return keras.tree.map_structure(finite_or_none, found)

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the scores of the folds, a panel for each, `.png`, `.pdf` or `.svg`.

        The line is the mean, the band its standard error.
        """
        check_path(path)
        save(_draw(self), path)

    def __repr__(self) -> str:
        return f"CrossValidation({self.verdict})"

    def _headline(self) -> str:
        return next((name for name in self.scores if name != "loss"), "loss")


def _outlier(scores: np.ndarray) -> int | None:
    """The number of the score that Grubbs' test finds too far from the mean."""
    spread, number = np.std(scores, ddof=1), len(scores) - 3
    if not 0 <= number < len(_LIMITS) or not spread:
        return None
    off = np.abs(scores - scores.mean()) / spread
    farthest = int(off.argmax())
    return farthest if off[farthest] > _LIMITS[number] else None


def _named(models: Sequence[int] | np.ndarray, folds: int) -> str:
    """Folds as a person counts them, from 1."""
    return ", ".join(
        f"fold {number % folds + 1}"
        + (f" of repeat {number // folds + 1}" if number >= folds else "")
        for number in map(int, models)
    )


def _draw(found: CrossValidation) -> "Figure":
    names = list(found.scores)
    figure, panels = new_figure(len(names))
    at = np.arange(len(found.rows)) % found.folds + 1
    for number, (name, axes) in enumerate(zip(names, panels, strict=True)):
        mean, error = found.mean[name], found.standard_error[name]
        colour = f"C{number}"
        if np.isfinite([mean, error]).all():
            band = {"color": colour, "alpha": 0.15, "linewidth": 0}
            axes.axhspan(mean - error, mean + error, **band)
            axes.axhline(mean, color=colour, linewidth=1)
        axes.plot(at, found.scores[name], "o", color=colour)
        if not np.isfinite(found.scores[name]).all():
            mark_not_finite(axes, at, found.scores[name])
            legend_below(axes)
        axes.set(title=f"{name.replace('_', ' ')}: {mean:.4g} ± {error:.2g}")
        axes.set(xlabel="fold", ylabel=name, xlim=(0.5, found.folds + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure
