import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    legend_below,
    new_figure,
    save,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RISING = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "cosine")
_FALLING = ("loss", "error", "mse", "mae", "mape", "msle", "rmse", "entropy", "hinge")


def plot_learning_curves(
    history: keras.callbacks.History | Mapping[str, Sequence[float]],
    path: str | pathlib.Path,
) -> None:
    """Draws loss and metrics over the epochs into a file, one panel each.

    Training is solid, validation dashed, both in the panel's colour. A dot marks the
    best epoch, of validation where there is one: the lowest of a loss or an error, the
    highest of an accuracy, AUC, precision, recall, F-score, R2, IoU or cosine; none
    where the name tells neither. Epochs count from 1, as on the progress bar.

    Args:
        history: What `fit` returns, or a dict like its `history` attribute: name to
            one value per epoch. A `val_` series may be shorter, as it is with
            `validation_freq=n`.
        path: File to write; `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: For another suffix, for no series, or for a length that no
            `validation_freq` explains.

    Example:

    >>> run = {"loss": [3, 2, 1.5], "val_loss": [3, 2.5, 2.6]}
    >>> plot_learning_curves(run, "run.png")
    """
    check_path(path)
    save(_draw(history), path)


def _draw(history: Any) -> "Figure":
    series, epochs = _read(history)
    names = list(dict.fromkeys(key.removeprefix("val_") for key in series))
    names.sort(key=lambda name: name != "loss")
    figure, panels = new_figure(len(names))
    for number, (name, axes) in enumerate(zip(names, panels, strict=True)):
        _draw_panel(axes, name, series, epochs, f"C{number}")
    return figure


def _read(history: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    series = getattr(history, "history", history)
    if not isinstance(series, Mapping) or not series:
        raise ValueError(
            "`history` is what to draw and must be what `fit` returned, or a dict of "
            f"lists that is not empty. Received: history={history!r}."
        )
    series = {key: np.asarray(values, "float64") for key, values in series.items()}
    length = max(len(values) for values in series.values())
    epochs = np.arange(1, length + 1)
    own = getattr(history, "epoch", None)  # starts elsewhere after a resume
    if own is not None and len(own) == length:
        epochs = np.asarray(own) + 1
    return series, epochs


def _draw_panel(
    axes: Any,
    name: str,
    series: dict[str, np.ndarray],
    epochs: np.ndarray,
    colour: str,
) -> None:
    drawn = []
    for key, style, label in (
        (name, "-", "training"),
        (f"val_{name}", "--", "validation"),
    ):
        if key in series:
            at, values = _epochs_of(key, series[key], epochs), series[key]
            axes.plot(at, values, style, color=colour, label=label)
            drawn.append((at, values))
    at, values = drawn[-1]  # validation, where there is one
    best = _best_index(name, values)
    if best is not None:
        label = f"best: {values[best]:.4g} in epoch {at[best]}"
        dot = {"marker": "o", "markersize": 8, "linestyle": "none", "label": label}
        axes.plot(at[best], values[best], color=colour, **dot)
    axes.set(title=name.replace("_", " "), xlabel="epoch", ylabel=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend_below(axes)


def _epochs_of(key: str, values: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """The epochs a series belongs to; one shorter than the run has every n-th."""
    if len(values) == len(epochs):
        return epochs
    steps = [n for n in range(1, len(epochs) + 1) if len(epochs) // n == len(values)]
    if len(steps) != 1:
        raise ValueError(
            f"`history` is what to draw and must have one value per epoch in each "
            f"series, or one per n-th epoch. Received: {len(values)} values of "
            f"{key!r} for {len(epochs)} epochs."
        )
    return epochs[steps[0] - 1 :: steps[0]]


def _best_index(name: str, values: np.ndarray) -> int | None:
    """The index of the best finite value; None if the name does not tell."""
    finite = np.isfinite(values)
    name = name.lower()
    if not finite.any():
        return None
    if any(word in name for word in _FALLING):
        return int(np.where(finite, values, np.inf).argmin())
    if any(word in name for word in _RISING):
        return int(np.where(finite, values, -np.inf).argmax())
    return None
