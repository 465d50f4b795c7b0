"""What `TableEncoder` learns of a column, gathered from any portions of its rows."""

import collections

import numpy as np

from keras_trainkit._statistics import Extremes, Moments, Quantiles
from keras_trainkit._tables.column import Column
from keras_trainkit.layers._centers import mean_and_deviation, median_and_spread
from keras_trainkit.layers._table_kinds import kind_of, levels_of, values_as
from keras_trainkit.layers._table_learned import CYCLES, DAY, EXACT, Learned

BLOCK = 2**16  # values that enter the statistics together, however they arrived
QUANTILE_VALUES = 2**18  # kept per column, 2 MiB
MOST_LEVELS = 1_000_000
STILL = 0.01  # share of a cycle; values that stay within it do not go round


class Learner:
    """Takes in a column in any portions; the same values give the same `learned`.

    Numbers wait until a block of a fixed size is full, so that neither rounding nor
    the quantiles' sketch see how the rows were cut.
    """

    def __init__(self, name, kind, scaling, max_categories):
        self.name = name
        self.kind = kind
        self.scaling = scaling
        self.max_categories = max_categories
        self._parsed = kind is not None
        self._levels_are = None
        self._rows = 0
        self._absent = 0
        self._counts: collections.Counter = collections.Counter()
        self._numbers = _Numbers(scaling == "standard")
        self._phases = {name: Extremes() for name in CYCLES}

    def update(self, column: Column):
        """Takes in some rows."""
        self._rows += len(column.values)
        if column.holds is None:
            self._absent += len(column.values)
            return
        self.kind = self.kind or kind_of(self.name, column)
        if self.kind == "categorical":
            self._levels_are = self._levels_are or levels_of(column)
        if column.holds == "datetime":
            self._check_finite(column.values)
        values = values_as(self.name, column, self.kind, self._levels_are, self._parsed)
        is_text = self._levels_are not in (None, "number")
        present = values[(values != "") if is_text else ~np.isnan(values)]
        self._absent += len(values) - len(present)
        if is_text:
            self._count(present)
            return
        self._check_finite(present)
        if self.kind == "categorical":
            self._check_exact(present)
            self._count(present)
            return
        self._numbers.update(present)
        if self.kind == "datetime":
            for cycle, extremes in self._phases.items():
                turns = present / CYCLES[cycle]
                extremes.update((turns - np.floor(turns))[:, np.newaxis])

    def learned(self) -> Learned:
        """What was learned; ValueError where there was no value."""
        if self._rows == self._absent:
            raise ValueError(
                f"The column {self.name!r} is learned from its values and must have "
                "one in the adapted rows (drop the column or fill it). "
                "Received: missing values alone."
            )
        made = {"kind": self.kind, "rows": self._rows, "missing": self._absent}
        if self.kind == "categorical":
            return Learned(self.name, **made, **self._known_levels())
        found = self._numbers.found(None if self.kind == "boolean" else self.scaling)
        if self.kind == "boolean":
            found["fill"] = float(found["fill"] > 0.5)
        if self.kind == "datetime":
            found["cycles"] = self._cycles(found["highest"] - found["lowest"])
            if self.scaling is None:
                found["spread"] = DAY
        return Learned(self.name, **made, **found)

    def _count(self, values):
        for start in range(0, len(values), BLOCK):
            self._counts.update(values[start : start + BLOCK].tolist())
            if len(self._counts) > MOST_LEVELS:
                raise ValueError(
                    f"The column {self.name!r} is encoded by its levels and must have "
                    f"at most {MOST_LEVELS:,} different ones (an identifier is better "
                    "dropped). Received: more."
                )

    def _known_levels(self):
        ordered = sorted(self._counts, key=lambda level: (-self._counts[level], level))
        known = ordered[: self.max_categories]
        for level in known:
            _check_unicode(self.name, level)
        others = self._levels_are in ("datetime", "other")
        return {
            "levels": known,
            "rare": len(ordered) - len(known),
            "texts_of": self._levels_are if others else "",
        }

    def _check_finite(self, values):
        if np.isinf(values).any():
            raise ValueError(
                f"The column {self.name!r} is scaled by its values and must hold "
                "finite numbers (below 1.8e308; datetimes before the year 290,000) or "
                "missing ones. Received: an infinite number."
            )

    def _check_exact(self, values):
        if (np.abs(values) >= EXACT).any():
            raise ValueError(
                f"The column {self.name!r} is encoded by its levels, compared as "
                "float64, and must hold numbers below 2^53 (longer ones as texts). "
                f"Received: {np.abs(values).max():.17g}."
            )

    def _cycles(self, span):
        """Those the values have been round, and do not stand still in."""
        return [
            name
            for name, phase in self._phases.items()
            if span >= CYCLES[name] and phase.highest[0] - phase.lowest[0] > STILL
        ]


class _Numbers:
    """The statistics of one column, fed in blocks of equal size."""

    def __init__(self, with_moments):
        self._waiting: list[np.ndarray] = []
        self._held = 0
        self._extremes = Extremes()
        self._quantiles = Quantiles(QUANTILE_VALUES)
        self._moments = Moments() if with_moments else None

    def update(self, values):
        self._waiting.append(values)
        self._held += len(values)
        if self._held >= BLOCK:
            values = np.concatenate(self._waiting)
            whole = len(values) // BLOCK * BLOCK
            for start in range(0, whole, BLOCK):
                self._take(values[start : start + BLOCK])
            self._waiting = [values[whole:].copy()]
            self._held = len(values) - whole

    def found(self, scaling):
        self._take(np.concatenate(self._waiting))
        self._waiting, self._held = [], 0
        center, spread = np.zeros(1), np.ones(1)
        if scaling == "robust":
            center, spread = median_and_spread(self._extremes, self._quantiles)
        elif scaling == "standard":
            center, spread = mean_and_deviation(self._extremes, self._moments)
        return {
            "fill": float(self._quantiles.quantile(0.5)[0]),
            "center": float(center[0]),
            "spread": float(min(spread[0], np.finfo("float64").max)),
            "lowest": float(self._extremes.lowest[0]),
            "highest": float(self._extremes.highest[0]),
        }

    def _take(self, values):
        rows = values[:, np.newaxis]
        block = Quantiles(QUANTILE_VALUES)
        block.update(rows)
        self._quantiles.merge(block)  # which leaves nothing waiting in it
        self._extremes.update(rows)
        if self._moments is not None:
            self._moments.update(rows)


def _check_unicode(name, level):
    try:
        str(level).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The column {name!r} is served as texts in UTF-8 and must hold no other "
            f"bytes or surrogates. Received: {level!r}."
        ) from error
