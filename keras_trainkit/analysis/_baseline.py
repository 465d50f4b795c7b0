"""The loss of the same prediction for every row."""

from typing import Any

import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_number

_PURPOSE = "`baseline` is the loss of the same prediction for every row"


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
    if y.dtype.kind in "OSU" and y.ndim == 1 and y.size:  # names of classes
        return _entropy(y), len(y)
    if y.dtype.kind not in "biuf" or not y.size or not np.isfinite(y).all():
        raise ValueError(
            f"{_PURPOSE} and must be a number, or targets that are finite numbers. "
            f"Received: {y.dtype} of shape {y.shape}."
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    loss = _loss_name(getattr(model, "loss", None)) or _loss_by_type(y)
    scaling = _target_scaling(model)
    if scaling is not None:
        scaled = as_numpy(scaling(y.reshape(len(y), -1)))
        y = scaled.reshape(y.shape).astype("float64")
    for word, measure in _MEASURES.items():
        if word in loss:
            return measure(y), len(y)
    raise ValueError(
        f"{_PURPOSE} and must be a number where the loss of the model is neither a "
        "squared nor an absolute error nor a cross-entropy. "
        f"Received: targets of shape {y.shape} and loss={loss!r}."
    )


def _loss_by_type(y: np.ndarray) -> str:
    """The loss of targets of which the model is not known."""
    if y.dtype.kind == "f":
        if y.ndim == 1 and not np.isin(y, [0.0, 1.0]).all():
            return "meansquarederror"
        if y.ndim == 2 and np.allclose(y.sum(axis=1), 1, atol=1e-3):
            return "categoricalcrossentropy"
    elif y.ndim == 1 and len(np.unique(y)) <= max(2, len(y) // 20):
        return "sparsecategoricalcrossentropy"
    raise ValueError(
        f"{_PURPOSE} and must be a number, or come with the compiled `model`, where "
        "targets may be classes or amounts: whole numbers of many values, 0.0 and 1.0. "
        f"Received: {y.dtype} of shape {y.shape} without a model."
    )


def _target_scaling(model: Any) -> Any:
    """The layer by which a model of the kit scales the targets of its loss, or None."""
    layers = getattr(model, "layers", None) or [None]
    return getattr(layers[-1], "target_scaling", None)


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
    """In nats, of numbers of classes, or of a probability for each class."""
    if y.ndim == 1 or np.issubdtype(y.dtype, np.integer):
        shares = np.unique(y, return_counts=True)[1] / y.size
    else:
        shares = y.reshape(-1, y.shape[-1]).mean(axis=0)
    return _nats(shares)


def _binary_entropy(y: np.ndarray) -> float:
    """In nats, the mean over yes/no labels of their own."""
    yes = y.reshape(len(y), -1).mean(axis=0)
    return float(np.mean([_nats(np.array([p, 1 - p])) for p in yes]))


def _nats(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _one_hot_entropy(y: np.ndarray) -> float:
    return _nats(y.reshape(-1, y.shape[-1]).mean(axis=0)) if y.ndim > 1 else _entropy(y)


_MEASURES = {
    "squarederror": _variance,
    "absoluteerror": _deviation,
    "binarycrossentropy": _binary_entropy,
    "sparsecategorical": _entropy,
    "entropy": _one_hot_entropy,
}
