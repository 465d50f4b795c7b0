"""Rows of a few arrays as a data set that is started fast."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# An epoch starts four data sets. Keras' own take 10 ms each, however few the rows;
# these take 1, but hold every row as an element while they shuffle.
MOST_ROWS = 65_536
# They make sense for arrays alone.
_FOR_ARRAYS = ("validation_split", "class_weight", "steps_per_epoch")


def with_row_batches(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `fit` with data sets in place of small arrays.

    Batches have the sizes, types and shapes of those that Keras cuts, in another order
    where it shuffles. On TensorFlow only. Other data than plain arrays, and arguments
    that a data set does not go with, are left to Keras.
    """
    if keras.backend.backend() != "tensorflow":
        return arguments
    return {**arguments, **_training(arguments), **_validation(arguments)}


def _training(arguments: dict[str, Any]) -> dict[str, Any]:
    parts = [arguments.get(name) for name in ("x", "y", "sample_weight")]
    shuffle = arguments.get("shuffle", True)
    if not isinstance(shuffle, bool) or any(map(arguments.get, _FOR_ARRAYS)):
        return {}
    batches = _batches(parts, arguments["batch_size"], shuffle)
    if batches is None:
        return {}
    nothing = dict.fromkeys(("y", "sample_weight", "batch_size"))
    return {**nothing, "x": batches, "shuffle": False}


def _validation(arguments: dict[str, Any]) -> dict[str, Any]:
    parts = arguments.get("validation_data")
    if not isinstance(parts, list | tuple) or arguments.get("validation_steps"):
        return {}
    batches = _batches(parts, arguments["validation_batch_size"], shuffle=False)
    return {} if batches is None else {"validation_data": batches}


def _batches(parts: Sequence, batch_size: int, shuffle: bool) -> Any:
    """A data set of the arrays, None where they are left to Keras."""
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    leaves = keras.tree.flatten(parts)
    if not all(map(_is_numbers, leaves)):
        return None
    rows = {len(leaf) for leaf in leaves}
    if len(rows) != 1 or not 0 < max(rows) <= MOST_ROWS:
        return None
    return _data_set(keras.tree.lists_to_tuples(parts), max(rows), batch_size, shuffle)


def _data_set(parts: Any, rows: int, batch_size: int, shuffle: bool) -> Any:
    import tensorflow as tf

    parts = keras.tree.map_structure(_in_float_type, parts)
    rows_one_by_one = tf.data.Dataset.from_tensor_slices(parts)
    if shuffle:
        rows_one_by_one = rows_one_by_one.shuffle(rows)
    options = tf.data.Options()
    # Each rewrites the graph of the data set whenever it is started.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return rows_one_by_one.batch(batch_size).prefetch(2).with_options(options)


def _is_numbers(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.ndim > 0 and leaf.dtype.kind in "biuf"


def _in_float_type(array: np.ndarray) -> np.ndarray:
    is_float = array.dtype.kind == "f"
    return array.astype(keras.config.floatx(), copy=False) if is_float else array
