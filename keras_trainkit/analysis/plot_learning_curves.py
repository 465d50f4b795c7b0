"""Loss and metrics over the epochs of a run."""

import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    legend_below,
    new_figure,
    save,
)

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


def _draw(history):
    series, epochs = _read(history)
    names = list(dict.fromkeys(key.removeprefix("val_") for key in series))
    names.sort(key=lambda name: name != "loss")
    figure, panels = new_figure(len(names))
    for number, (name, axes) in enumerate(zip(names, panels, strict=True)):
        _draw_panel(axes, name, series, epochs, f"C{number}")
    return figure


def _read(history):
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


def _draw_panel(axes, name, series, epochs, colour):
    drawn = []
    for key, style, label in (
        (name, "-", "training"),
        (f"val_{name}", "--", "validation"),
    ):
        if key in series:
            where, values = _epochs_of(key, series[key], epochs), series[key]
            axes.plot(where, values, style, color=colour, label=label)
            drawn.append((where, values))
    where, values = drawn[-1]  # validation, where there is one
    place = _best_place(name, values)
    if place is not None:
        label = f"best: {values[place]:.4g} in epoch {where[place]}"
        dot = {"marker": "o", "markersize": 8, "linestyle": "none", "label": label}
        axes.plot(where[place], values[place], color=colour, **dot)
    axes.set(title=name.replace("_", " "), xlabel="epoch", ylabel=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend_below(axes)


def _epochs_of(key, values, epochs):
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


def _best_place(name, values):
    finite = np.isfinite(values)
    name = name.lower()
    if not finite.any():
        return None
    if any(word in name for word in _FALLING):
        return int(np.where(finite, values, np.inf).argmin())
    if any(word in name for word in _RISING):
        return int(np.where(finite, values, -np.inf).argmax())
    return None
