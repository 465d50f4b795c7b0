import dataclasses
import math
import pathlib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit.analysis._figures import (
    beyond_colours,
    check_path,
    colour_scale,
    finite_or_none,
    legend_below,
    new_figure,
    save,
    tick_label,
    wants_log,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SURE = 0.95
_DRAWS = 4000
_LETTERS = 30  # of all ticks of an axis that have place side by side


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class HyperparameterEffects:
    """Scores of trainings whose hyperparameters differ in one or two values.

    Attributes:
        objective: String, the name of the score.
        direction: "min" or "max", what is better.
        hyperparameters: Dict of names to the values that were compared.
        base: Dict of the values from which one or two were changed.
        pairs: Pairs of names that were changed together.
        settings: For each setting, dict of names to values; that of the base first.
        scores: Array `(settings, seeds)`; NaN of a training without a finite score.
    """

    objective: str
    direction: str
    hyperparameters: dict[str, list[Any]]
    base: dict[str, Any]
    pairs: list[tuple[str, ...]]
    settings: list[dict[str, Any]]
    scores: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Mean score of each setting, `(settings,)`."""
        return self.scores.mean(axis=1)

    @property
    def noise(self) -> float:
        """Standard deviation of the score over seeds, in a usual setting.

        It is that of the median variance, so that a setting which sometimes diverges
        does not hide the effects of others.
        """
        finite = self.scores[np.isfinite(self.scores).all(axis=1)]
        return float(_noise(finite)) if len(finite) else float("nan")

    @property
    def effects(self) -> dict[str, float]:
        """Difference between the highest and the lowest mean score, by name."""
        return {
            name: float(np.ptp(self.means[self._rows(name)]))
            for name in self.hyperparameters
        }

    @property
    def floors(self) -> dict[str, float]:
        """Effect that seeds alone exceed once in 20 times, by name.

        More values are farther apart by chance. It is found by normal random numbers
        in the place of the scores.
        """
        drawn = np.random.default_rng(0).normal(size=(_DRAWS, *self.scores.shape))
        noise, means = _noise(drawn), drawn.mean(axis=2)
        return {
            name: float(
                np.quantile(np.ptp(means[:, : len(values)], axis=1) / noise, _SURE)
                * self.noise
            )
            for name, values in self.hyperparameters.items()
        }

    @property
    def verdict(self) -> str:
        """A sentence on each hyperparameter, the largest effects first."""
        effects, floors = self.effects, self.floors
        names = sorted(effects, key=lambda name: -_share(effects[name], floors[name]))
        return " ".join(self._said(name, effects[name], floors[name]) for name in names)

    def _said(self, name: str, effect: float, floor: float) -> str:
        rows = self._rows(name)
        means = self.means[rows]
        values = [tick_label(self.settings[row][name]) for row in rows]
        broken = [values[n] for n in np.flatnonzero(~np.isfinite(means))]
        if broken:
            return (
                f"{name} matters: no finite {self.objective} at {', '.join(broken)} in "
                "one training or more."
            )
        if effect <= floor:
            return (
                f"{name} does not show beside the noise ({effect:.2g}, of which seeds "
                f"alone make up to {floor:.2g})."
            )
        order = np.argsort(means if self.direction == "min" else -means)
        best, worst = order[0], order[-1]
        times = f", {effect / floor:.2g} x the noise" if floor else ""
        return (
            f"{name} matters: {self.objective} {means[best]:.4g} at {values[best]}, "
            f"{means[worst]:.4g} at {values[worst]}{times}."
        )

    def _rows(self, name: str) -> list[int]:
        """Settings in which no other value than that of `name` differs from the base,
        in the order of its values."""
        return [
            self.settings.index({**self.base, name: value})
            for value in self.hyperparameters[name]
        ]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON; None for what is no finite number."""
        found = {
            "verdict": self.verdict,
            "objective": self.objective,
            "direction": self.direction,
            "hyperparameters": self.hyperparameters,
            "base": self.base,
            "pairs": [list(pair) for pair in self.pairs],
            "settings": self.settings,
            "scores": self.scores.tolist(),
            "noise": self.noise,
            "effects": self.effects,
            "floors": self.floors,
        }
        return keras.tree.map_structure(finite_or_none, found)

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws effects, lines and contours of pairs, `.png`, `.pdf` or `.svg`.

        A dot is a training, the line the mean of a value. The band around the score of
        the base is as high as the effect that seeds alone may have.
        """
        check_path(path)
        save(_draw(self), path)

    def __repr__(self) -> str:
        return f"HyperparameterEffects({self.verdict})"


def _noise(scores: np.ndarray) -> np.ndarray:
    """Standard deviation over the last axis by the median of the variances.

    The median of chi-squared is that of Wilson and Hilferty, 1931.
    """
    freedom = scores.shape[-1] - 1
    median = (1 - 2 / (9 * freedom)) ** 3
    return np.sqrt(np.median(scores.var(axis=-1, ddof=1), axis=-1) / median)


def _share(effect: float, floor: float) -> float:
    """The effect in units of its floor; infinite without a finite score."""
    return effect / floor if floor and math.isfinite(effect) else math.inf


def _draw(found: HyperparameterEffects) -> "Figure":
    names = list(found.hyperparameters)
    figure, panels = new_figure(1 + len(names) + len(found.pairs))
    _draw_effects(panels[0], found)
    for axes, name in zip(panels[1:], names, strict=False):
        _draw_line(axes, found, name)
    for axes, pair in zip(panels[1 + len(names) :], found.pairs, strict=True):
        _draw_contour(figure, axes, found, *pair)
    return figure


def _draw_effects(axes: Any, found: HyperparameterEffects) -> None:
    effects, floors = found.effects, found.floors
    names = sorted(effects, key=lambda n: np.nan_to_num(effects[n], nan=np.inf))
    at = np.arange(len(names))
    known = [effects[n] for n in names if np.isfinite(effects[n])]
    widest = max([*known, *(floors[n] for n in names), 0.0]) or 1.0
    axes.barh(at, [effects[name] for name in names], color="C0", label="effect")
    for place in at[[not np.isfinite(effects[n]) for n in names]]:
        axes.barh(place, widest, color="none", edgecolor="C3", hatch="//")
        axes.text(0.02 * widest, place, "not finite", va="center", color="C3")
    label = "seeds alone"
    axes.barh(at, [floors[n] for n in names], 0.35, color="0.75", label=label)
    axes.set_yticks(at, names)
    axes.set(xlabel=f"difference of {found.objective}", title="Effect beside the noise")
    legend_below(axes)


def _draw_line(axes: Any, found: HyperparameterEffects, name: str) -> None:
    rows, values = found._rows(name), found.hyperparameters[name]
    at = _scale(axes, "x", name, values)
    centre, half = found.means[0], found.floors[name] / 2
    axes.axhspan(centre - half, centre + half, color="0.75", alpha=0.5, linewidth=0)
    axes.plot(np.repeat(at, found.scores.shape[1]), found.scores[rows].ravel(), ".")
    axes.plot(at, found.means[rows], "-", color="C0")
    finite = found.scores[np.isfinite(found.scores)]
    if wants_log(finite):
        axes.set_yscale("log")
    axes.set(ylabel=found.objective, title=f"{name} (band: the noise)")


def _draw_contour(
    figure: "Figure", axes: Any, found: HyperparameterEffects, across: str, up: str
) -> None:
    x = _scale(axes, "x", across, found.hyperparameters[across])
    y = _scale(axes, "y", up, found.hyperparameters[up])
    heights = np.array(
        [
            [
                found.means[found.settings.index({**found.base, across: a, up: b})]
                for a in found.hyperparameters[across]
            ]
            for b in found.hyperparameters[up]
        ]
    )
    finite = np.isfinite(heights)
    axes.set_title(f"{found.objective} over {across} and {up}")
    if not finite.any():
        axes.text(0.5, 0.5, "no finite score", transform=axes.transAxes, ha="center")
        return
    norm, levels = colour_scale(heights[finite], found.direction)
    shown = np.ma.array(np.clip(heights, norm.vmin, norm.vmax), mask=~finite)
    colours = {"cmap": "viridis_r" if found.direction == "max" else "viridis"}
    extend = beyond_colours(heights[finite], norm)
    filled = axes.contourf(
        x, y, shown, levels=levels, norm=norm, extend=extend, **colours
    )
    bar = figure.colorbar(filled, ax=axes, label=found.objective)
    bar.ax.minorticks_off()
    few = levels[:: max(1, len(levels) // 6)]
    bar.set_ticks(few.tolist(), labels=[f"{level:.3g}" for level in few])
    grid = np.stack(np.meshgrid(x, y))
    edge = {"markeredgecolor": "0.3", "markersize": 5}
    axes.plot(*grid[:, finite], "o", color="white", **edge)
    axes.plot(*grid[:, ~finite], "x", color="C3")
    axes.use_sticky_edges = False
    axes.margins(0.05)


def _scale(axes: Any, which: str, name: str, values: list[Any]) -> np.ndarray:
    """Positions of the values; sets scale, ticks and label of the axis."""
    number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    above = [value for value in values if number and value > 0]
    is_wide = bool(above) and max(above) >= 8 * min(above)
    # One of 0 has no place on a logarithmic axis: the values then stand evenly.
    is_even = not number or (is_wide and min(values) <= 0)
    at = np.array(range(len(values)) if is_even else values, "float64")
    if is_wide and not is_even:
        axes.set(**{f"{which}scale": "log"})
    labels = [tick_label(value) for value in values]
    getattr(axes, f"set_{which}ticks")(at, labels)
    if which == "x" and sum(map(len, labels)) > _LETTERS:
        axes.tick_params(axis="x", labelrotation=90)
    getattr(axes, f"set_{which}ticks")([], minor=True)
    axes.set(**{f"{which}label": name})
    return at
