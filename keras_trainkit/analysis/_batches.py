"""Batches without end, from what `fit` takes."""

import itertools

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy


def endless_batches(x, y, sample_weight, *, batch_size, seed):
    """Yields `(x, y, sample_weight)`, going round when the data are through.

    Arrays are drawn in a new random order each round, whole batches only (unless
    there are fewer rows than one batch). Anything else is a collection of batches and
    is gone through as it comes.
    """
    if _are_arrays(x):
        return _from_arrays((x, y, sample_weight), batch_size, seed)
    if isinstance(x, list | tuple | dict):
        raise ValueError(
            "`x` is what to learn from and must be arrays, or a list or dict of them, "
            "as in `fit`: np.asarray makes an array of numbers in a list. "
            f"Received: a {type(x).__name__} with entries that are no arrays."
        )
    if y is not None or sample_weight is not None:
        raise ValueError(
            "`y` and `sample_weight` belong to arrays in `x` and must be None where "
            "`x` yields batches that hold them. Received: "
            f"x of type {type(x).__name__}, y of type {type(y).__name__}, "
            f"sample_weight of type {type(sample_weight).__name__}."
        )
    if not hasattr(x, "__iter__") or hasattr(x, "__next__"):
        raise ValueError(
            "`x` is what to learn from and must be arrays, or a collection of batches "
            "that can be gone through again (tf.data.Dataset, keras.utils.PyDataset, "
            f"torch DataLoader). Received: x of type {type(x).__name__}."
        )
    return _from_batches(x)


def _are_arrays(x):
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(hasattr(leaf, "shape") for leaf in leaves)


def _from_arrays(data, batch_size, seed):
    data = keras.tree.map_structure(_as_rows, data)
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    lengths = {leaf.shape[0] for leaf in leaves}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(
            "`x`, `y` and `sample_weight` are the rows to learn from and must have "
            f"the same number of rows, at least 1. Received: {sorted(lengths)} rows."
        )
    return _draw(data, lengths.pop(), batch_size, np.random.default_rng(seed))


def _draw(data, num_rows, batch_size, rng):
    whole = max(num_rows // batch_size, 1) * batch_size
    while True:
        order = rng.permutation(num_rows)[:whole]
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            yield keras.tree.map_structure(
                lambda leaf, rows=rows: _taken(leaf, rows), data
            )


def _from_batches(batches):
    for round_ in itertools.count():
        batch = None
        for batch in batches:
            parts = keras.utils.unpack_x_y_sample_weight(batch)
            yield keras.tree.map_structure(_as_tensor, parts)
        if batch is None:
            raise ValueError(
                "`x` is what to learn from and must yield at least one batch each "
                f"time it is gone through. Received: none in round {round_ + 1}."
            )


def _taken(leaf, rows):
    if leaf is None:
        return None
    taken = leaf[rows]
    return taken.toarray() if hasattr(taken, "toarray") else taken


def _as_rows(leaf):
    """An array; floats as `fit` makes them of arrays. SciPy's sparse rows stay so."""
    if leaf is None:
        return None
    if not getattr(leaf, "shape", ()):
        raise ValueError(
            "`x`, `y` and `sample_weight` are the rows to learn from and must be "
            "arrays, as in `fit`: np.asarray makes an array of numbers in a list. "
            f"Received: {leaf!r} of type {type(leaf).__name__} among them."
        )
    if hasattr(leaf, "tocsr"):
        rows = leaf.tocsr()
        return rows.astype(keras.config.floatx()) if rows.dtype == "float64" else rows
    array = as_numpy(leaf)
    if array.dtype == "float64":
        array = array.astype(keras.config.floatx())
    return array


def _as_tensor(leaf):
    """What the backend reads: its own tensors, otherwise NumPy."""
    if leaf is None or keras.ops.is_tensor(leaf):
        return leaf
    return np.asarray(leaf)
