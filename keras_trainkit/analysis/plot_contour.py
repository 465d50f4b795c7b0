import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import (
    beyond_colours,
    check_path,
    colour_scale,
    new_figure,
    save,
    tick_label,
)
from keras_trainkit.analysis._trials import Axis, Trials, finished_trials

if TYPE_CHECKING:
    import keras_tuner
    from matplotlib.figure import Figure

_FEWEST = 4
_MOST_TRIANGLES = 40_000


def plot_contour(
    tuner: "keras_tuner.Tuner",
    path: str | pathlib.Path,
    hyperparameters: Sequence[str] = ("learning_rate", "batch_size"),
) -> None:
    """Draws the score over two hyperparameters as filled contours.

    Between the completed trials, drawn as dots, the score is interpolated by triangles
    on the scales of the two axes; where several trials share a point it is their mean.
    Nothing is drawn outside of the trials. Scores far worse than the others (beyond
    Tukey's fence) have the colour of the worst one within. All other hyperparameters
    differ from trial to trial, so a single spot may be due to them: trust what several
    dots agree on. Crosses are trials that were stopped or failed.

    Args:
        tuner: Tuner of the kit or of KerasTuner, after its search or within it.
        path: File to write; `.png`, `.pdf` or `.svg`.
        hyperparameters: Two names, for the horizontal and the vertical axis: ranges,
            or choices of numbers. Trials that do not use both are left out.

    Raises:
        ValueError: For another suffix, for what is no tuner, for names that are not
            two ranges of the search, or for fewer than 4 completed trials that do not
            lie on one line.

    Example:

    ```python
    analysis.plot_contour(tuner, "contour.png", ("learning_rate", "dropout"))
    ```
    """
    check_path(path)
    trials = finished_trials(tuner, _FEWEST, "The contours lie between trials")
    save(_draw(trials, hyperparameters), path)


def _draw(trials: Trials, hyperparameters: Sequence[str]) -> "Figure":
    across, up = _two_axes(trials, hyperparameters)
    points, scores = _points(trials, across, up)
    figure, (axes,) = new_figure()
    norm, levels = colour_scale(scores, trials.direction)
    colours = {"cmap": _colour_map(trials), "norm": norm}
    surface = _interpolated(points, np.clip(scores, norm.vmin, norm.vmax), across, up)
    beyond = {"levels": levels, "extend": beyond_colours(scores, norm)}
    filled = axes.tricontourf(*surface, **beyond, **colours)
    bar = figure.colorbar(filled, ax=axes, label=trials.objective)
    bar.ax.minorticks_off()
    shown = levels[:: max(1, len(levels) // 6)]
    bar.set_ticks(shown.tolist(), labels=[f"{level:.3g}" for level in shown])
    _draw_trials(axes, trials, across, up, colours)
    for axis, name in ((across, "x"), (up, "y")):
        _set_axis(axes, axis, name)
    axes.set_title(f"{trials.objective} over {across.name} and {up.name}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _two_axes(trials: Trials, names: Sequence[str]) -> tuple[Axis, Axis]:
    numbers = [axis.name for axis in trials.axes if axis.is_number]
    names = [names] if isinstance(names, str) else list(names)
    if len(names) != 2 or names[0] == names[1] or not set(names) <= set(numbers):
        raise ValueError(
            "`hyperparameters` are the two axes and must be two different names of "
            f"{numbers}, what has numbers and is not fixed. "
            f"Received: hyperparameters={names}."
        )
    across, up = (axis for name in names for axis in trials.axes if axis.name == name)
    return across, up


def _points(trials: Trials, across: Axis, up: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Shares of both axes, one row per point, and the mean score there."""
    there: dict = {}
    for row, score in zip(trials.values, trials.scores, strict=True):
        if across.name in row and up.name in row:
            point = (across.share(row[across.name]), up.share(row[up.name]))
            there.setdefault(point, []).append(score)
    points = np.array(list(there)).reshape(-1, 2)
    offset = points - points.mean(axis=0, keepdims=True) if len(points) else points
    if len(points) < _FEWEST or np.linalg.matrix_rank(offset, tol=1e-6) < 2:
        raise ValueError(
            f"`hyperparameters` are the two axes and need at least {_FEWEST} completed "
            "trials that differ in both. Received: "
            f"{len(points)} places for {across.name} and {up.name}."
        )
    return points, np.array([np.mean(scores) for scores in there.values()])


def _interpolated(
    points: np.ndarray, scores: np.ndarray, across: Axis, up: Axis
) -> tuple[Any, np.ndarray]:
    """Small triangles between the points, on the axes; and a score at each corner."""
    from matplotlib.tri import (
        LinearTriInterpolator,
        Triangulation,
        UniformTriRefiner,
    )

    coarse = Triangulation(*points.T)
    halvings = int(np.log2(_MOST_TRIANGLES / len(coarse.triangles)) / 2)
    fine, heights = UniformTriRefiner(coarse).refine_field(
        scores, LinearTriInterpolator(coarse, scores), subdiv=min(max(halvings, 0), 6)
    )
    corners = (_on_scale(across, fine.x), _on_scale(up, fine.y))
    return Triangulation(*corners, fine.triangles), heights


def _on_scale(axis: Axis, shares: np.ndarray) -> np.ndarray:
    low, high = axis.ends()
    if axis.log:
        return low * (high / low) ** shares
    return low + shares * (high - low)


def _colour_map(trials: Trials) -> str:
    """Colours of which the dark ones are good."""
    return "viridis_r" if trials.direction == "max" else "viridis"


def _draw_trials(
    axes: Any, trials: Trials, across: Axis, up: Axis, colours: dict[str, Any]
) -> None:
    def on(rows: list[dict[str, Any]]) -> list[list[float]]:
        used = [row for row in rows if across.name in row and up.name in row]
        return [[axis.at(row[axis.name]) for row in used] for axis in (across, up)]

    if any(on(trials.others)):
        label = f"{len(on(trials.others)[0])} stopped or failed"
        axes.plot(*on(trials.others), "x", color="0.5", markersize=5, label=label)
    both = [across.name in row and up.name in row for row in trials.values]
    done = on(trials.values)
    label = f"{len(done[0])} completed"
    edge = {"edgecolors": "white", "linewidths": 1.2, "zorder": 3}
    axes.scatter(*done, c=trials.scores[both], s=40, **edge, **colours)
    axes.plot([], [], "o", color="0.5", label=label)
    best = trials.scores[both][-1]
    label = f"best: {tick_label(float(best))}"
    style = {"markersize": 16, "color": "C3", "markeredgecolor": "white", "zorder": 4}
    axes.plot(done[0][-1], done[1][-1], "*", label=label, linestyle="none", **style)


def _set_axis(axes: Any, axis: Axis, name: str) -> None:
    """Sets scale, limits, label and ticks of the axis `name`, "x" or "y"."""
    low, high = axis.ends()
    margin = 0.04
    if axis.log:
        edge = (high / low) ** margin
        limits = (low / edge, high * edge)
    else:
        edge = margin * (high - low)
        limits = (low - edge, high + edge)
    ticks = axis.ticks()
    labels = [tick_label(value) for value in ticks]
    axes.set(
        **{f"{name}scale": "log" if axis.log else "linear", f"{name}label": axis.name}
    )
    getattr(axes, f"set_{name}ticks")([axis.at(value) for value in ticks], labels)
    getattr(axes, f"set_{name}ticks")([], minor=True)
    axes.set(**{f"{name}lim": limits})
