"""Rows of several arrays as one array of records, and back."""

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy


class Records:
    """Packs what an encoder gives, target and weight; the first rows fix the form."""

    def __init__(self):
        self._dtype = None
        self._structure = None

    def pack(self, inputs, targets, rows):
        """One record for each row.

        Args:
            inputs: Array, or dict, tuple or list of arrays, `(rows, ...)` each.
            targets: List of arrays `(rows,)`.
            rows: Int, how many there must be.
        """
        arrays = [_array(leaf, rows) for leaf in keras.tree.flatten(inputs)]
        arrays += targets
        dtype = np.dtype(
            [(f"f{i}", a.dtype, a.shape[1:]) for i, a in enumerate(arrays)]
        )
        if self._dtype is None:
            self._dtype = dtype
            self._structure = keras.tree.map_structure(lambda leaf: 0, inputs)
        self._check_same(inputs, dtype)
        records = np.empty(rows, dtype)
        for number, array in enumerate(arrays):
            records[f"f{number}"] = array
        return records

    def unpack(self, records):
        """`(inputs, targets)`, as they were packed."""
        names = records.dtype.names
        arrays = [np.ascontiguousarray(records[field]) for field in names]
        count = len(keras.tree.flatten(self._structure))
        inputs = keras.tree.pack_sequence_as(self._structure, arrays[:count])
        return inputs, arrays[count:]

    def _check_same(self, inputs, dtype):
        try:
            keras.tree.assert_same_structure(self._structure, inputs)
            same = dtype == self._dtype
        except (TypeError, ValueError):
            same = False
        if not same:
            raise ValueError(
                "`encoder` turns each chunk into arrays and must give the same ones, "
                f"of the same types and shapes, for all. Received: {dtype} after "
                f"{self._dtype}."
            )


def _array(leaf, rows):
    array = as_numpy(leaf)
    if array.dtype.kind not in "biuf" or array.shape[:1] != (rows,):
        raise ValueError(
            "`encoder` turns each chunk into arrays and must give numbers, an entry "
            f"for each of its {rows} rows. "
            f"Received: {array.dtype} of the shape {array.shape}."
        )
    if array.dtype == "float64":  # as `fit` does with arrays
        array = array.astype(keras.config.floatx())
    return array
