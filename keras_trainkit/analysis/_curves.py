"""Loss curves of a run and what the rules of `diagnose` measure on them."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_trainkit.analysis._history import epochs_of, read_history


@dataclasses.dataclass(frozen=True)
class Curves:
    """The losses of a run, its baseline and its validation rows.

    Args:
        training: Array `(epochs,)` of the training loss.
        validation: Array of the validation loss, or None.
        epochs: Array of the epochs of `training`, from 1.
        validation_epochs: Array of the epochs of `validation`.
        accuracies: Array of a validation accuracy, or None.
        baseline: Float. Loss of the same prediction for every row; None is unknown.
        validation_rows: Int. None is unknown.
    """

    training: np.ndarray
    validation: np.ndarray | None
    epochs: np.ndarray
    validation_epochs: np.ndarray
    accuracies: np.ndarray | None = None
    baseline: float | None = None
    validation_rows: int | None = None

    @property
    def judged(self) -> np.ndarray:
        """The loss that counts: of validation, where there is one."""
        return self.training if self.validation is None else self.validation

    @property
    def judged_epochs(self) -> np.ndarray:
        """The epochs of `judged`."""
        return self.epochs if self.validation is None else self.validation_epochs

    @property
    def judged_name(self) -> str:
        """Its name in a sentence."""
        return "training loss" if self.validation is None else "validation loss"

    @functools.cached_property
    def reference(self) -> float:
        """The baseline, or the first losses where there is none: a loss unlearned."""
        if self.baseline is not None:
            return abs(self.baseline)
        first = [abs(self.training[0]), abs(self.judged[0])]
        return max(value for value in [*first, 1e-12] if math.isfinite(value))

    @functools.cached_property
    def is_finite(self) -> bool:
        """False if a loss is NaN or infinite anywhere."""
        return bool(np.isfinite(self.training).all() and np.isfinite(self.judged).all())


def read_curves(
    history: Any, validation_freq: int | Sequence[int] | None = None, **known: Any
) -> Curves:
    """The curves of a `History` or dict; `known` is handed on to `Curves`."""
    series, epochs = read_history(history, "is the run to look at")
    if "loss" not in series or not len(series["loss"]):
        raise ValueError(
            "`history` is the run to look at and must hold the training loss of each "
            f"epoch as 'loss'. Received: {sorted(series)}."
        )
    validation = series.get("val_loss")
    at = epochs
    if validation is not None:
        at = epochs_of("val_loss", validation, epochs, validation_freq)
    accuracies = next(
        (v for k, v in series.items() if k.startswith("val_") and _counts(k)), None
    )
    return Curves(series["loss"], validation, epochs, at, accuracies, **known)


def _counts(name: str) -> bool:
    """True for a metric that is a share of rows."""
    return name.endswith(("accuracy", "_acc")) and "balanced" not in name


def level(values: np.ndarray) -> np.ndarray:
    """The curve without its noise: running median, then mean, over a tenth of it."""
    width = max(3, len(values) // 10) | 1
    if len(values) <= width:
        return values
    for reduce in (np.median, np.mean):
        values = reduce(_windows(values, width), axis=1)
    return values


def _windows(values: np.ndarray, width: int) -> np.ndarray:
    """Windows around each value; beyond an end the curve goes on in a straight line."""
    half = width // 2
    before = 2 * values[0] - values[half:0:-1]
    after = 2 * values[-1] - values[-2 : -half - 2 : -1]
    return np.lib.stride_tricks.sliding_window_view(
        np.concatenate([before, values, after]), width
    )


def noise(values: np.ndarray) -> float:
    """The standard deviation of the noise around a smooth curve.

    Second differences of independent noise have the variance 6, and a smooth curve
    hardly adds to them; the median holds against single jumps.
    """
    if len(values) < 5:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(values, 2))) / math.sqrt(6))


def tail(values: np.ndarray, share: float) -> np.ndarray:
    """The last part of a curve, two values at least."""
    return values[-max(2, round(share * len(values))) :]


def ending(values: np.ndarray) -> float:
    """End of a curve: the median of the last tenth, of three values at least.

    `level` has no values beyond the end, and follows there what the last one happens
    to be.
    """
    return float(np.median(values[-max(3, len(values) // 10) :]))
