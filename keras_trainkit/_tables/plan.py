"""Learned columns as formulas: `xp` is NumPy or `keras.ops`, the results are equal.

Everything is computed in float64 and rounded to float32 once, at the end. TensorFlow
rewrites a division by a constant, and joins two constants of one kind in a row, and
then rounds otherwise: neither may occur here.
"""

import math

import numpy as np

from keras_trainkit._tables.codes import FIRST, NumberCodes, TextCodes
from keras_trainkit._tables.column_state import CYCLES, Learned

CLIP = 3.0  # the default of `layers.RobustScaling`


class TablePlan:
    """What the encoder computes from plain columns, and the names of the results.

    Args:
        columns: Sequence of `Learned`, in the order of the table.
        flagged: Whether missing numbers are flagged.
        scaling: "robust", "standard" or None.
    """

    def __init__(self, columns, flagged, scaling):
        self.columns: tuple[Learned, ...] = tuple(columns)
        self.names = tuple(column.name for column in self.columns)
        self.measured = [c for c in self.columns if c.kind != "categorical"]
        self.categories = [c for c in self.columns if c.kind == "categorical"]
        self.texts = [c for c in self.categories if c.has_texts]
        self.category_sizes = tuple(FIRST + len(c.levels) for c in self.categories)
        robust = scaling == "robust"
        bent = [robust and c.kind in ("numeric", "datetime") for c in self.measured]
        self._bent = np.array(bent, bool)
        self._fill = np.array([c.fill for c in self.measured])
        self._center = np.array([c.center for c in self.measured])
        factors = [_inverse(c.spread) for c in self.measured]
        self._factor = np.where(self._bent, np.array(factors) / CLIP, factors)
        self._bound = np.where(self._bent, 1e9, np.finfo("float32").max)
        self._turning = [
            (index, 1 / CYCLES[cycle])
            for index, column in enumerate(self.measured)
            for cycle in column.cycles
        ]
        self._flagged = np.array(
            [i for i, c in enumerate(self.measured) if flagged and c.missing], int
        )
        self.numeric_names = tuple(self._numeric_names())
        self.vocabulary = sorted({level for c in self.texts for level in c.levels})
        self.text_codes = {c.name: TextCodes(c.levels, c.absent) for c in self.texts}
        self.number_codes = self._number_codes()

    def _number_codes(self):
        """Of the numbers in a column; for texts, of their places in `vocabulary`."""
        places = {text: place for place, text in enumerate(self.vocabulary)}
        levels = {c.name: c.levels for c in self.categories}
        for column in self.texts:
            levels[column.name] = [places[level] for level in column.levels]
        return {name: NumberCodes(known) for name, known in levels.items()}

    def _numeric_names(self):
        yield from (column.name for column in self.measured)
        for column in self.measured:
            for cycle in column.cycles:
                yield f"{column.name}_{cycle}_sin"
                yield f"{column.name}_{cycle}_cos"
        yield from (f"{self.measured[i].name}_missing" for i in self._flagged)

    def numeric(self, xp, x):
        """`(rows, measured)` float64, to `(rows, len(numeric_names))` float32."""
        present = xp.isfinite(x)
        x = xp.where(present, x, self._fill)
        scaled = (x - self._center) * self._factor
        scaled = xp.minimum(xp.maximum(scaled, -self._bound), self._bound)
        bent = scaled / xp.sqrt(1.0 + scaled * scaled) * CLIP
        parts = [xp.where(self._bent, bent, scaled)]
        for index, frequency in self._turning:
            turns = x[:, index : index + 1] * frequency
            angle = (turns - xp.floor(turns)) * math.tau
            parts += [xp.sin(angle), xp.cos(angle)]
        if len(self._flagged):
            there = xp.take(present, self._flagged, axis=1)
            parts.append(xp.where(there, 0.0, 1.0))
        parts = [xp.array(part, "float32") for part in parts]
        return xp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _inverse(spread):
    """0 for a constant column, which becomes 0 by that."""
    return min(1 / spread, np.finfo("float64").max) if spread else 0.0
