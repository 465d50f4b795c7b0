import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    new_figure,
    save,
    tick_label,
    wants_log,
)
from keras_trainkit.analysis._trials import Axis, Trials, finished_trials

if TYPE_CHECKING:
    import keras_tuner
    from matplotlib.figure import Figure

_UNUSED = -0.13  # below the axes
_LONGEST = 14


def plot_parallel_coordinates(
    tuner: "keras_tuner.Tuner", path: str | pathlib.Path
) -> None:
    """Draws every trial as a line through its hyperparameters to its score.

    An axis stands for each hyperparameter that is not fixed, with the range, the scale
    and the choices that the hypermodel gave it, and the last axis for the score. Lines
    of completed trials are dark where the score is good, by rank; the best is red.
    Trials that were stopped or failed are grey and end at their last hyperparameter.
    Where a trial does not use a hyperparameter its line passes below that axis.

    Args:
        tuner: Tuner of the kit or of KerasTuner, after its search or within it.
        path: File to write; `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: For another suffix, for what is no tuner, for fewer than 2
            completed trials, or where all hyperparameters are fixed.

    Example:

    ```python
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=10)
    analysis.plot_parallel_coordinates(tuner, "trials.png")
    ```

    Source: Inselberg, 1985, doi:10.1007/BF01898350.
    """
    check_path(path)
    trials = finished_trials(tuner, 2, "The picture shows how trials lie to each other")
    save(_draw(trials), path)


def _draw(trials: Trials) -> "Figure":
    figure, (axes,) = new_figure()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    figure.set_size_inches(max(7.0, 1.1 * len(trials.axes) + 2), 5.6)
    score = _score_axis(trials)
    for number, row in enumerate(trials.others):
        label = "_" if number else f"{len(trials.others)} stopped or failed"
        axes.plot(*_line(trials.axes, row), color="0.8", linewidth=0.8, label=label)
    every = [*trials.axes, score]
    colours = _colours(len(trials.scores))
    for index, (row, value) in enumerate(
        zip(trials.values, trials.scores, strict=True)
    ):
        is_best = index == len(trials.scores) - 1
        style = {"color": colours[index], "linewidth": 1.2, "alpha": 0.8}
        if is_best:
            style = {"color": "C3", "linewidth": 2.5, "label": _best(trials)}
        axes.plot(*_line(every, {**row, score.name: value}), **style)
    rows = [*trials.values, *trials.others]
    used = [axis is score or all(axis.name in row for row in rows) for axis in every]
    for position, axis in enumerate(every):
        _draw_axis(axes, position, axis, used[position])
    _write_names(axes, every, trials.objective)
    lowest = 0 if all(used) else _UNUSED
    axes.set(xlim=(-0.05, len(every) - 0.95), ylim=(lowest - 0.03, 1.03))
    count = len(trials.scores) + len(trials.others)
    figure.suptitle(f"Hyperparameters and {trials.objective} of {count} trials")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _score_axis(trials: Trials) -> Axis:
    low, high = trials.scores.min(), trials.scores.max()
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Axis("", (), float(low), float(high), log=wants_log(trials.scores))


def _colours(count: int) -> np.ndarray:
    """Colours from light, the worst, to dark."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](np.linspace(0.05, 1, count))


def _best(trials: Trials) -> str:
    best = tick_label(float(trials.scores[-1]))
    return f"best of {len(trials.scores)} completed: {best}, trial {trials.names[-1]}"


def _line(every: list[Axis], row: dict[str, Any]) -> tuple[Iterable[int], list[float]]:
    heights = [a.share(row[a.name]) if a.name in row else _UNUSED for a in every]
    return range(len(every)), heights


def _draw_axis(axes: Any, position: int, axis: Axis, used: bool) -> None:
    from matplotlib.markers import TICKRIGHT

    style = {"color": "0.3", "linewidth": 1.0, "zorder": 3}
    axes.plot([position, position], [0, 1], **style)
    ticks = [(axis.share(value), tick_label(value)) for value in axis.ticks()]
    if not used:
        ticks.append((_UNUSED, "unused"))
    heights = [height for height, _ in ticks]
    style = {"color": "0.3", "linestyle": "none", "zorder": 3}
    axes.plot([position] * len(ticks), heights, marker=TICKRIGHT, markersize=4, **style)
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
    for height, text in ticks:
        axes.annotate(
            text if len(text) <= _LONGEST else f"{text[:8]}…{text[-5:]}",
            (position, height),
            xytext=(6, 0),
            textcoords="offset points",
            annotation_clip=False,
            fontsize=8,
            verticalalignment="center",
            zorder=4,
            bbox=box,
        )


def _write_names(axes: Any, every: list[Axis], objective: str) -> None:
    names = [axis.name for axis in every[:-1]] + [objective]
    axes.set_xticks(range(len(every)), names, rotation=30, horizontalalignment="left")
    axes.xaxis.tick_top()
    axes.tick_params(top=False, left=False, labelleft=False)
