"""Weights of rows and of classes, which Keras' float type must hold."""

from numbers import Real
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_number
from keras_trainkit._resolution import weights_as
from keras_trainkit.models._data_arrays import refuse


def check_class_weight(weights: Any) -> None:
    """Refuses all but None and a dict from numbers of classes to weights."""
    if weights is None:
        return
    purpose = "says how much the rows of each class count"
    if not isinstance(weights, dict) or not all(
        isinstance(label, Real) for label in weights
    ):
        received = f"class_weight={weights!r}"
        allowed = "be a dict from numbers of classes to weights"
        refuse("", "class_weight", purpose, allowed, received)
    for label, weight in weights.items():
        name = f"class_weight[{label!r}]"
        check_number(name, weight, purpose, at_least=0)
        check_kept(np.array([weight], "float64"), f"`{name}` {purpose} and")


def check_kept(weights: np.ndarray | None, purpose: str) -> None:
    """Refuses weights that become infinite, or 0, in the type of the loss."""
    if weights is not None:
        weights_as(keras.config.floatx(), weights.astype("float64"), purpose)
