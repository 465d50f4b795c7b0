"""Targets compared with what a loss of Keras computes from them."""

import math
from typing import Any, NoReturn

import keras
import numpy as np

_INTEGERS = "sparse_categorical_crossentropy"
_ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy")
_YES_OR_NO = ("binary_crossentropy", "binary_focal_crossentropy")
_SAME_SHAPE = (
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
)
_PURPOSE = "is what the model learns to predict"


def check_targets(
    of: str, name: str, y: np.ndarray, loss: tuple[str, dict], model: keras.Model
) -> None:
    """Refuses targets of a shape or of values that the loss makes nonsense of.

    TensorFlow on a GPU makes NaN of a label that is out of range, Keras repeats
    targets of one column for several outputs, and cross-entropy of labels 1 and 2
    falls without end; none of them raises.

    Args:
        of: The beginning of messages.
        name: Of the argument.
        y: The targets, finite numbers.
        loss: Name in snake case, and options, of a loss of Keras.
        model: Model of one output.
    """
    called, options = loss
    outputs = tuple(model.output_shape) if isinstance(model.output_shape, tuple) else ()
    if len(outputs) < 2:
        return
    if called == _INTEGERS:
        _check_shape(
            of,
            name,
            y,
            outputs[:-1],
            "one-hot labels: `argmax`, or the loss `CategoricalCrossentropy`",
        )
        if not _may_be_masked(model):
            _check_labels(of, name, y, outputs[-1], options.get("ignore_class"))
    elif called in _ONE_HOT:
        _check_shape(
            of,
            name,
            y,
            outputs,
            "integer labels: `keras.utils."
            "to_categorical`, or the loss `SparseCategoricalCrossentropy`",
        )
    elif called in _YES_OR_NO:
        _check_shape(of, name, y, outputs)
        if _may_be_masked(model):
            return
        if y.size and (y.min() < 0 or y.max() > 1):
            received = f"{name} from {y.min()} to {y.max()}"
            _refuse(of, name, "be 0 for no and 1 for yes, or between", received)
    elif called in _SAME_SHAPE:
        _check_shape(of, name, y, outputs)


def _check_shape(
    of: str, name: str, y: np.ndarray, wanted: tuple, remedy: str = ""
) -> None:
    """Refuses all but the shape `wanted`, whose last axis of 1 may be there or not."""
    if _fits(y.shape, wanted):
        return
    sizes = ["rows", *("any" if size is None else str(size) for size in wanted[1:])]
    shape = f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"
    also = f" (of {remedy})" if remedy else ""
    received = f"{name} of the shape {y.shape}"
    _refuse(of, name, f"have the shape {shape}{also}", received)


def _fits(shape: tuple[int, ...], wanted: tuple) -> bool:
    shapes = [shape]
    if len(shape) > 1 and shape[-1] == 1:
        shapes.append(shape[:-1])
    if wanted[-1] == 1:
        shapes.append((*shape, 1))
    return any(
        len(given) == len(wanted)
        and all(
            size in (None, n) for size, n in zip(wanted[1:], given[1:], strict=True)
        )
        for given in shapes
    )


def _may_be_masked(model: Any) -> bool:
    """True if the loss may leave out steps."""
    if len(model.outputs[0].shape) < 3:
        return False
    return any(
        isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False)
        for layer in model.layers
    )


def _check_labels(of: str, name: str, y: np.ndarray, count: Any, ignored: Any) -> None:
    if not y.size or count is None:
        return
    lowest, highest = y.min(), y.max()
    allowed = f"be whole numbers from 0 to {count - 1}, the numbers of the classes"
    if ignored is not None:
        kept = y[y != ignored]
        allowed += f", or {ignored}, which the loss leaves out"
        lowest, highest = (kept.min(), kept.max()) if kept.size else (0, 0)
    if lowest < 0 or highest >= count:
        _refuse(of, name, allowed, f"labels from {lowest} to {highest}")
    if y.dtype.kind == "f" and not (y == np.floor(y)).all():
        broken = y.ravel()[int(np.argmax(y.ravel() != np.floor(y.ravel())))]
        _refuse(of, name, allowed, f"{math.trunc(broken * 1e6) / 1e6}")


def _refuse(of: str, name: str, allowed: str, received: str) -> NoReturn:
    raise ValueError(
        f"{of}`{name}` {_PURPOSE} and must {allowed}. Received: {received}."
    )
