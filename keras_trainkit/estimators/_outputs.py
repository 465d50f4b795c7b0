"""Outputs of a model for many rows, in batches that fit into memory."""

import operator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._types import Model

PREDICTED_AT_ONCE = 1024  # rows, which changes nothing but the time
STEPS_AT_ONCE = 2**17  # of which a layer may keep hundreds of numbers each


def rows_at_once(x: Any) -> int:
    """Rows that are predicted together: fewer of long sequences, or of long texts."""
    axes = getattr(x, "ndim", 0)
    is_long = axes == 3 or (axes == 2 and x.dtype.kind == "i")
    steps = x.shape[1] if is_long else 1
    return max(1, min(PREDICTED_AT_ONCE, STEPS_AT_ONCE // max(1, steps)))


def predicted(model: Model, x: Any) -> np.ndarray:
    """Outputs, by calls: `predict` of so many models makes TensorFlow warn of them."""
    size, parts = rows_at_once(x), []
    for start in range(0, len(keras.tree.flatten(x)[0]), size):
        rows = slice(start, start + size)
        some = keras.tree.map_structure(operator.itemgetter(rows), x)
        parts.append(model(some, training=False))
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])
