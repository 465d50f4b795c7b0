import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit._arrays import float_array
from keras_trainkit.analysis._figures import check_path, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_LABELS = 60  # more than that and the words overlap
_LONGEST = 20


def plot_attention(
    weights: Any,
    path: str | pathlib.Path,
    *,
    sequence: Any = None,
    labels: Sequence[str] | None = None,
    title: str = "Attention",
) -> None:
    """Draws the attention weights over the steps of one sequence into a file.

    Bars show the weights, above the sequence itself: lines for one or two features,
    a heat map for more. A dotted line marks the weight that every valid step would
    have, were they all the same.

    Args:
        weights: Array `(time,)`, a row of what `models.attention_scores(model)`
            predicts; at least 0 each, 0 at masked steps.
        path: File to write; `.png`, `.pdf` or `.svg`.
        sequence: Array `(time,)` or `(time, features)` of finite numbers, NaN (which
            leaves a gap) where one is missing; or None.
        labels: One string per step, such as the words, or None for step numbers.
            Beyond 60 steps only the heaviest 60 are written, of each 20 characters.
            Letters that no installed font has become question marks, with a warning.
        title: String above the picture.

    Raises:
        ValueError: For another suffix, weights that are none, or other lengths.

    Example:

    >>> plot_attention([0.1, 0.7, 0.2], "a.png", labels=["not", "bad", "film"])
    """
    check_path(path)
    save(_draw(weights, sequence, labels, title), path)


def _draw(
    weights: Any,
    sequence: Any = None,
    labels: Sequence[str] | None = None,
    title: str = "Attention",
) -> "Figure":
    weights = _checked(weights)
    steps = np.arange(len(weights))
    figure, (axes,) = new_figure()
    axes.bar(steps, weights, color="C0", width=0.9)
    valid = max(np.count_nonzero(weights), 1)
    even = weights.sum() / valid
    label = f"even: {even:.3g} at {valid} steps"
    axes.axhline(even, color="0.4", linestyle=":", label=label)
    axes.set(title=title, ylabel="weight", xlim=(-0.5, len(steps) - 0.5))
    if labels is None:
        axes.xaxis.get_major_locator().set_params(integer=True)
    else:
        _write_labels(axes, weights, labels)
    lowest = axes
    if sequence is not None:
        lowest = _draw_sequence(figure, axes, _steps(sequence, len(weights)))
    lowest.set_xlabel("step")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _checked(weights: Any) -> np.ndarray:
    weights = float_array(weights, "`weights` are the attention of one sequence")
    is_fit = weights.ndim == 1 and weights.size and np.isfinite(weights).all()
    if not is_fit or (weights < 0).any():
        raise ValueError(
            "`weights` are the attention of one sequence and must be an array (time,) "
            "of finite numbers of at least 0. Received: "
            f"weights of shape {weights.shape}: {weights}."
        )
    return weights


def _steps(sequence: Any, length: int) -> np.ndarray:
    sequence = float_array(sequence, "`sequence` is drawn below the weights")
    fits = sequence.ndim in (1, 2) and len(sequence) == length
    if not fits or np.isinf(sequence).any():
        raise ValueError(
            "`sequence` is drawn below the weights and must have the shape (time,) or "
            f"(time, features) with a step per weight, {length}, all numbers finite, "
            "or NaN where one is missing. "
            f"Received: sequence of shape {sequence.shape} with "
            f"{np.sum(np.isinf(sequence))} infinite numbers."
        )
    return sequence.reshape(length, -1)


def _write_labels(axes: Any, weights: np.ndarray, labels: Sequence[str]) -> None:
    if len(labels) != len(weights):
        raise ValueError(
            f"`labels` name the steps and must be one per weight, {len(weights)}. "
            f"Received: {len(labels)} labels."
        )
    shown = np.sort(np.argsort(-weights, kind="stable")[:_MOST_LABELS])
    words = [_shortened(str(labels[step])) for step in shown]
    axes.set_xticks(shown, words, rotation=90, fontsize=8)


def _shortened(word: str) -> str:
    return word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…"


def _draw_sequence(figure: "Figure", axes: Any, sequence: np.ndarray) -> Any:
    grid = figure.add_gridspec(2, 1)
    axes.set_subplotspec(grid[0])
    below: Any = figure.add_subplot(grid[1])
    if sequence.shape[1] <= 2:
        for number, values in enumerate(sequence.T):
            colour, label = f"C{number + 1}", f"feature {number}"
            below.plot(values, color=colour, linewidth=1.5, label=label)
        below.set_ylabel("value")
        below.spines[["top", "right"]].set_visible(False)
    else:
        image = below.imshow(
            sequence.T, aspect="auto", cmap="viridis", interpolation="nearest"
        )
        figure.colorbar(
            image, ax=[axes, below], shrink=0.5, anchor=(0, 0), label="value"
        )
        below.set_ylabel("feature")
        below.yaxis.get_major_locator().set_params(integer=True)
    below.set_xlim(axes.get_xlim())
    below.xaxis.get_major_locator().set_params(integer=True)
    return below
