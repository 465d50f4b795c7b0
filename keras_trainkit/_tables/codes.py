"""Codes of a categorical column's values: 0 missing, 1 unseen or rare, then levels.

`xp` is NumPy or `keras.ops`; the results are equal.
"""

import itertools

import numpy as np

from keras_trainkit._tables.notation import compiled, words_pattern

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

    def __init__(self, levels, absent=None):
        self._codes = dict(zip(levels, itertools.count(FIRST), strict=False))
        self._codes[""] = ABSENT
        words = None if absent is None else words_pattern(("", *absent))
        self._absent = None if words is None else compiled(words)

    def __call__(self, texts):
        """Objects `(rows,)`, to `(rows,)` int32."""
        found = map(self._codes.get, texts, itertools.repeat(UNKNOWN))
        codes = np.fromiter(found, "int32", len(texts))
        if self._absent is not None:
            unknown = np.flatnonzero(codes == UNKNOWN)
            missing = [bool(self._absent.fullmatch(texts[row])) for row in unknown]
            codes[unknown[np.array(missing, bool)]] = ABSENT
        return codes
