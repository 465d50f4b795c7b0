"""The loss of the same prediction for every row."""

from typing import Any

import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_number


def baseline_of(baseline: Any, model: Any) -> tuple[float | None, int | None]:
    """The baseline loss, and the rows of the targets if it was made of them.

    Args:
        baseline: Number, which is the loss itself; None; or targets, from which it is
            computed as the model's loss, or by their type without a model.
        model: Compiled `keras.Model`, or None.
    """
    if baseline is None:
        return None, None
    if np.ndim(baseline) == 0:
        check_number(
            "baseline", baseline, "is the loss of the same prediction for every row"
        )
        return float(baseline), None
    y = as_numpy(baseline)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    loss = _loss_name(getattr(model, "loss", None))
    if not loss:
        loss = "meansquarederror" if y.dtype.kind == "f" and y.ndim == 1 else "entropy"
    for word, measure in _MEASURES.items():
        if word in loss:
            return measure(y), len(y)
    raise ValueError(
        "`baseline` is the loss of the same prediction for every row and must be a "
        "number where the loss of the model is neither a squared nor an absolute error "
        f"nor a cross-entropy. Received: targets of shape {y.shape} and loss={loss!r}."
    )


def _loss_name(loss: Any) -> str:
    """`MeanSquaredError`, `mean_squared_error` and `mse` alike, in small letters."""
    if loss is None:
        return ""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", None)
    name = (name or type(loss).__name__).lower().replace("_", "")
    short = {"mse": "meansquarederror", "mae": "meanabsoluteerror"}
    return short.get(name, name)


def _variance(y: np.ndarray) -> float:
    return float(np.mean((y - y.mean(axis=0)) ** 2))


def _deviation(y: np.ndarray) -> float:
    return float(np.mean(np.abs(y - np.median(y, axis=0))))


def _entropy(y: np.ndarray) -> float:
    """In nats; two columns or more are a probability for each class."""
    shares = np.unique(y, return_counts=True)[1] / len(y) if y.ndim == 1 else y.mean(0)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


_MEASURES = {
    "squarederror": _variance,
    "absoluteerror": _deviation,
    "entropy": _entropy,
}
