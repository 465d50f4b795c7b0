import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    legend_below,
    new_figure,
    save,
    tick_label,
)
from keras_trainkit.analysis.run_description import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOSSES = {"squared": "squared error", "zero_one": "share of wrong labels"}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ErrorParts:
    """Bias and variance of models that were trained on different rows.

    `error` is `bias + variance`, up to rounding. The bias holds the noise of the
    answers too, which no model can learn.

    Attributes:
        loss: "squared" or "zero_one".
        sizes: List of what `build` was called with; None where there was one size.
        error: Array `(sizes,)`, or `(1,)`: mean loss over test rows and models.
        bias: Likewise: what is left where all models vote or are averaged. Of few
            models it can fall slightly below 0, where the loss is "squared".
        variance: Likewise: what the choice of the training rows adds.
        standard_errors: Dict of "error", "bias" and "variance" to such arrays: what
            these would differ by with other training rows, by the jackknife over the
            models. The choice of the test rows is not in it.
        helping_variance: Array like them: the part of rows that are right by chance
            where the vote is wrong. It is subtracted in `variance`. 0 for "squared".
        resamples: Int. Models of each size.
        rows: Int. Training rows of each model.
    """

    loss: str
    sizes: list[Any] | None
    error: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    standard_errors: dict[str, np.ndarray]
    helping_variance: np.ndarray
    resamples: int
    rows: int

    @property
    def best(self) -> int:
        """Number of the size with the lowest finite error; 0 where none is finite."""
        return int(np.where(np.isfinite(self.error), self.error, np.inf).argmin())

    @property
    def verdict(self) -> str:
        """Sentences: the lowest error, what it consists of, and what lowers it."""
        best = self.best
        error, bias = float(self.error[best]), float(self.bias[best])
        if not np.isfinite(error):
            return "No size has a finite error."
        with_error = f"{error:.3g} ± {self.standard_errors['error'][best]:.2g}"
        size = "" if self.sizes is None else f" is lowest with {self.sizes[best]}:"
        what = _LOSSES[self.loss]
        if not error:
            return f"The {what} is 0." if not size else f"The {what}{size} 0."
        share = float(np.clip(bias / error, 0, 1))
        parts = f"{100 * share:.0f} % bias and {100 * (1 - share):.0f} % variance"
        if self.sizes is None:
            return f"The {what} of {with_error} is {parts}: {_advice(share)}."
        return f"The {what}{size} {with_error}, {parts}. {self._beyond()}"

    def _beyond(self) -> str:
        """Sentence about the other sizes."""
        last = len(self.error) - 1
        if self.best in (0, last):
            sizes = "larger" if self.best else "smaller"
            return (
                f"It is the {'last' if self.best else 'first'} size: try {sizes} ones."
            )
        first, last_share = (
            100 * self.variance[at] / self.error[at] for at in (0, last)
        )
        ends = self.sizes or []
        return (
            f"Variance is {first:.0f} % of it with {ends[0]} and {last_share:.0f} % "
            f"with {ends[-1]}."
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON; None for what is no finite number."""
        arrays = {
            "error": self.error,
            "bias": self.bias,
            "variance": self.variance,
            "helping_variance": self.helping_variance,
        }
        return {
            "verdict": self.verdict,
            "loss": self.loss,
            "sizes": plain(self.sizes),
            **{name: _plain(values) for name, values in arrays.items()},
            "standard_errors": {
                name: _plain(values) for name, values in self.standard_errors.items()
            },
            "resamples": self.resamples,
            "rows": self.rows,
        }

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws error, bias and variance over the sizes, `.png`, `.pdf` or `.svg`.

        Of one size they are bars. Bands and whiskers are the standard errors.
        """
        check_path(path)
        save(_draw(self), path)

    def __repr__(self) -> str:
        return f"ErrorParts({self.verdict})"


def _advice(bias_share: float) -> str:
    if bias_share >= 0.5:
        return (
            "where it is not noise of the answers, a larger model, longer training or "
            "better inputs lower it"
        )
    return "more rows, a smaller model, dropout or the mean of several members lower it"


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _draw(found: ErrorParts) -> "Figure":
    figure, (axes,) = new_figure()
    parts = {
        "error": (found.error, "C0"),
        "bias, with noise of the answers": (found.bias, "C1"),
        "variance": (found.variance, "C2"),
    }
    errors = [found.standard_errors[name] for name in ("error", "bias", "variance")]
    if found.sizes is None or len(found.sizes) == 1:
        _draw_bars(axes, parts, errors)
    else:
        _draw_lines(axes, found.sizes, parts, errors)
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set_ylabel(_LOSSES[found.loss])
    axes.set_title(f"{found.resamples} models of {found.rows:,} training rows each")
    return figure


def _draw_bars(axes: Any, parts: dict[str, tuple], errors: list[np.ndarray]) -> None:
    labels = []
    for at, (name, (values, colour)) in enumerate(parts.items()):
        whisker = {"yerr": errors[at][:1], "capsize": 4}
        axes.bar([at], values[:1], color=colour, width=0.6, **whisker)
        labels.append(f"{name}\n{tick_label(values[0])}")
    axes.set_xticks(range(len(labels)), labels)
    axes.grid(False, axis="x")


def _draw_lines(
    axes: Any, sizes: list[Any], parts: dict[str, tuple], errors: list[np.ndarray]
) -> None:
    at = np.arange(len(sizes))
    for (name, (values, colour)), error in zip(parts.items(), errors, strict=True):
        axes.plot(at, values, "o-", color=colour, label=name)
        axes.fill_between(at, values - error, values + error, color=colour, alpha=0.15)
    axes.set_xticks(at, [tick_label(size) for size in sizes])
    axes.set_xlabel("size")
    legend_below(axes, columns=3)
