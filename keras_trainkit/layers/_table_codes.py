"""Codes of a categorical column's values: 0 missing, 1 unseen or rare, then levels.

`xp` is NumPy or `keras.ops`; the results are equal.
"""

import itertools

import numpy as np

ABSENT, UNKNOWN, FIRST = 0, 1, 2


class NumberCodes:
    """Codes of numbers, by the levels they equal."""

    def __init__(self, levels):
        order = np.argsort(levels)
        self._sorted = np.asarray(levels, "float64")[order]
        self._codes = (FIRST + order).astype("int32")

    def __call__(self, xp, values):
        """`(rows,)` float64, to `(rows,)` int32; NaN and infinity are missing."""
        present = xp.isfinite(values)
        last = len(self._sorted) - 1
        place = xp.minimum(xp.searchsorted(self._sorted, values), last)
        known = xp.equal(xp.take(self._sorted, place), values)
        codes = xp.where(known, xp.take(self._codes, place), UNKNOWN)
        return xp.array(xp.where(present, codes, ABSENT), "int32")


class TextCodes:
    """Codes of texts, by the levels they equal; a dict, for NumPy has none."""

    def __init__(self, levels):
        self._codes = dict(zip(levels, itertools.count(FIRST), strict=False))
        self._codes[""] = ABSENT

    def __call__(self, texts):
        """Objects `(rows,)`, to `(rows,)` int32."""
        found = map(self._codes.get, texts, itertools.repeat(UNKNOWN))
        return np.fromiter(found, "int32", len(texts))
