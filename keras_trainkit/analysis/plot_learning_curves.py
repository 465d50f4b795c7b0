import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit._checks import check_count, check_counts
from keras_trainkit.analysis._figures import (
    check_path,
    legend_below,
    logarithmic,
    new_figure,
    save,
)
from keras_trainkit.analysis._history import best_index, epochs_of, read_history
from keras_trainkit.analysis.diagnose import diagnose
from keras_trainkit.analysis.diagnosis import Diagnosis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_learning_curves(
    history: keras.callbacks.History | Mapping[str, Sequence[float]],
    path: str | pathlib.Path,
    *,
    validation_freq: int | Sequence[int] | None = None,
    diagnosis: Diagnosis | None = None,
) -> None:
    """Draws loss and metrics over the epochs into a file, one panel each.

    Training is solid, validation dashed, both in the panel's colour. A dot marks the
    best epoch, of validation where there is one: the lowest of a loss or an error, the
    highest of an accuracy, AUC, precision, recall, F-score, R2, IoU or cosine; none
    where the name tells neither. Epochs count from 1, as on the progress bar. The title
    is the verdict of `diagnose` on the loss.

    Args:
        history: What `fit` returns, or a dict like its `history` attribute: name to
            one value per epoch. A `val_` series may be shorter, as it is with
            `validation_freq=n`.
        path: File to write; `.png`, `.pdf` or `.svg`.
        validation_freq: Int >= 1, or a list of epochs from 1, as `fit` was given it,
            where the length of a shorter series does not tell: 5 values in 50 epochs
            may be every ninth or tenth.
        diagnosis: `Diagnosis` of the run, whose verdict is the title; with a baseline
            it knows more. None: of the losses alone.

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
    save(_draw(history, validation_freq, diagnosis), path)


def _draw(
    history: Any,
    validation_freq: int | Sequence[int] | None = None,
    diagnosis: Diagnosis | None = None,
) -> "Figure":
    series, epochs = read_history(history)
    at = {key: epochs_of(key, series[key], epochs, validation_freq) for key in series}
    names = list(dict.fromkeys(key.removeprefix("val_") for key in series))
    names.sort(key=lambda name: name != "loss")
    figure, panels = new_figure(len(names))
    for number, (name, axes) in enumerate(zip(names, panels, strict=True)):
        _draw_panel(axes, name, series, at, f"C{number}")
    if diagnosis is None and "loss" in series:
        diagnosis = diagnose(history, validation_freq=validation_freq)
    if diagnosis is not None:
        figure.suptitle(diagnosis.verdict)
    return figure


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
    best = best_index(name, values)
    if best is not None:
        label = f"best: {values[best]:.4g} in epoch {at[best]}"
        dot = {"marker": "o", "markersize": 8, "linestyle": "none", "label": label}
        axes.plot(at[best], values[best], color=colour, **dot)
    everything = np.concatenate([values for _, values in drawn])
    finite = everything[np.isfinite(everything)]
    if len(finite) and finite.min() > 0 and finite.max() > 100 * np.median(finite):
        logarithmic(axes, finite.tolist())  # one that diverged hides all others
    axes.set(title=name.replace("_", " "), xlabel="epoch", ylabel=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend_below(axes)
