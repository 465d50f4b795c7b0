import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit._arrays import number_array
from keras_trainkit._checks import check_count, check_counts
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
    *,
    validation_freq: int | Sequence[int] | None = None,
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
        validation_freq: Int >= 1, or a list of epochs from 1, as `fit` was given it,
            where the length of a shorter series does not tell: 5 values in 50 epochs
            may be every ninth or tenth.

    Raises:
        ValueError: For another suffix, for no series, or for a length that no
            `validation_freq` explains, or more than one.

    Example:

    >>> run = {"loss": [3, 2, 1.5], "val_loss": [3, 2.5, 2.6]}
    >>> plot_learning_curves(run, "run.png")
    """
    check_path(path)
    if validation_freq is not None:
        purpose = "tells which epochs were validated"
        if isinstance(validation_freq, list | tuple):
            check_counts("validation_freq", validation_freq, purpose, 1)
        else:
            check_count("validation_freq", validation_freq, purpose)
    save(_draw(history, validation_freq), path)


def _draw(history: Any, validation_freq: int | Sequence[int] | None = None) -> "Figure":
    series, epochs = _read(history)
    at = {key: _epochs_of(key, series[key], epochs, validation_freq) for key in series}
    names = list(dict.fromkeys(key.removeprefix("val_") for key in series))
    names.sort(key=lambda name: name != "loss")
    figure, panels = new_figure(len(names))
    for number, (name, axes) in enumerate(zip(names, panels, strict=True)):
        _draw_panel(axes, name, series, at, f"C{number}")
    return figure


def _read(history: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    series = getattr(history, "history", history)
    if not isinstance(series, Mapping) or not series:
        raise ValueError(
            "`history` is what to draw and must be what `fit` returned, or a dict of "
            f"lists that is not empty. Received: history={history!r}."
        )
    series = {
        key: number_array(values, f"`history` is what to draw, and {key!r} in it")
        for key, values in series.items()
    }
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
    epochs: dict[str, np.ndarray],
    colour: str,
) -> None:
    drawn = []
    for key, style, label in (
        (name, "-", "training"),
        (f"val_{name}", "--", "validation"),
    ):
        if key in series:
            at, values = epochs[key], series[key]
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


def _epochs_of(
    key: str,
    values: np.ndarray,
    epochs: np.ndarray,
    validation_freq: int | Sequence[int] | None,
) -> np.ndarray:
    """The epochs a series belongs to; one shorter than the run has every n-th."""
    if len(values) == len(epochs):
        return epochs
    steps: Any = range(1, int(epochs.max()) + 1)
    if validation_freq is not None:
        steps = [validation_freq]
    fitting = [n for n in steps if len(_validated(epochs, n)) == len(values)]
    if len(fitting) == 1:
        return _validated(epochs, fitting[0])
    several = f", which `validation_freq` explains as {fitting}: pass it"
    raise ValueError(
        "`history` is what to draw and must have one value per epoch in each series, "
        f"or one per n-th epoch. Received: {len(values)} values of {key!r} for "
        f"{len(epochs)} epochs{several if fitting else ''}."
    )


def _validated(epochs: np.ndarray, frequency: int | Sequence[int]) -> np.ndarray:
    """As Keras counts them: from the first of all, also in a run that was resumed."""
    if isinstance(frequency, list | tuple):
        return epochs[np.isin(epochs, frequency)]
    return epochs[epochs % frequency == 0]


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
