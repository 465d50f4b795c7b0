"""Reading a history: its series as arrays, their epochs, and the best of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_trainkit._arrays import float_array

_RISING = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "cosine")
_FALLING = ("loss", "error", "mse", "mae", "mape", "msle", "rmse", "entropy", "hinge")


def read_history(
    history: Any, purpose: str = "is what to draw"
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The series of a `History` or dict by name, and the epochs, from 1."""
    series = getattr(history, "history", history)
    if not isinstance(series, Mapping) or not series:
        raise ValueError(
            f"`history` {purpose} and must be what `fit` returned, or a dict of "
            f"lists that is not empty. Received: history={history!r}."
        )
    series = {
        key: float_array(values, f"{key!r} of `history` {purpose}")
        for key, values in series.items()
    }
    for key, values in series.items():
        if values.ndim != 1:
            raise ValueError(
                f"{key!r} of `history` {purpose} and must be a list with a number for "
                f"each epoch. Received: values of shape {values.shape}."
            )
    length = max(len(values) for values in series.values())
    epochs = np.arange(1, length + 1)
    own = getattr(history, "epoch", None)  # starts elsewhere after a resume
    if own is not None and len(own) == length:
        epochs = np.asarray(own) + 1
    return series, epochs


def epochs_of(
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


def best_index(name: str, values: np.ndarray) -> int | None:
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
