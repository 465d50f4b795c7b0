"""What `TableEncoder` learns of a column, gathered from any portions of its rows."""

import collections

import numpy as np

from keras_trainkit._arrays import BlockBuffer
from keras_trainkit._statistics import Extremes, Moments, Quantiles
from keras_trainkit._statistics.centers import mean_and_deviation, median_and_spread
from keras_trainkit._tables.column import Column
from keras_trainkit._tables.column_state import CYCLES, DAY, EXACT, Learned
from keras_trainkit._tables.kinds import (
    NOTATIONS,
    kind_of,
    levels_of,
    refuse_kind,
    values_as,
)
from keras_trainkit._tables.notation import (
    ABSENT,
    Notation,
    compiled,
    words_pattern,
)
from keras_trainkit._tables.objects import refuse_mixed
from keras_trainkit._tables.recognition import (
    STRAY,
    Recognition,
    first,
    recognized,
    recognized_as,
    stray_texts,
)

BLOCK = 2**16  # values that enter the statistics together, however they arrived
QUANTILE_VALUES = 2**18  # kept per column, 2 MiB
MOST_LEVELS = 1_000_000
FEWEST_IDS = 20  # rows
ID_SHARE = 0.95  # of different values
HASHES = 1024  # kept to tell how many values are different
STILL = 0.01  # share of a cycle; values that stay within it do not go round


class Learner:
    """Takes in a column in any portions; the same values give the same `learned`.

    Numbers wait until a block of a fixed size is full, so that neither rounding nor
    the quantiles' sketch see how the rows were cut. Texts are counted, and told apart
    at the end.

    Args:
        name: Of the column.
        kind: What the user calls it, or None.
        absent: List of texts that count as missing.
    """

    def __init__(self, name, kind, scaling, max_categories, absent=ABSENT):
        self.name = name
        self.kind = kind
        self.absent = list(absent)
        self.doubt = ""
        self.scaling = scaling
        self.max_categories = max_categories
        self._wanted = kind
        self._declared = self._mixed = False
        self._fractions = 0
        self._remark = ""
        self._texts = _Texts(name, absent)
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
        if column.holds == "text" and self._levels_are is None:
            self._update_texts(column)
            return
        self.kind = self.kind or kind_of(self.name, column)
        if self.kind == "categorical":
            self._levels_are = self._levels_are or levels_of(column)
        if column.holds == "datetime":
            self._check_finite(column.values)
        values = values_as(self.name, column, self.kind, self._levels_are)
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
        if self.kind == "numeric":
            self._fractions += int(np.count_nonzero(present != np.floor(present)))
        self.take(present)

    def _update_texts(self, column):
        self._declared |= column.declared
        self._mixed |= column.mixed
        present = column.values[column.values != ""]
        self._absent += len(column.values) - len(present)
        self._texts.update(present, self)

    def take(self, present):
        self._numbers.update(present)
        if self.kind == "datetime":
            for cycle, extremes in self._phases.items():
                turns = present / CYCLES[cycle]
                extremes.update((turns - np.floor(turns))[:, np.newaxis])

    def learned(self) -> Learned:
        """What was learned; ValueError where there was no value."""
        if self._texts.rows:
            self._settle_texts()
        if self._rows == self._absent:
            raise ValueError(
                f"The column {self.name!r} is learned from its values and must have "
                "one in the adapted rows (drop the column or fill it). "
                "Received: missing values alone."
            )
        made = {"kind": self.kind, "rows": self._rows, "missing": self._absent}
        made["absent"] = self.absent
        if self._notation is not None:
            made["notation"] = self._notation.plain()
        if self.kind == "categorical":
            known = self._known_levels()
            return Learned(self.name, **made, **known, remark=self._remarks())
        found = self._numbers.found(None if self.kind == "boolean" else self.scaling)
        if self.kind == "boolean":
            found["fill"] = float(found["fill"] > 0.5)
        if self.kind == "datetime":
            found["cycles"] = self._cycles(found["highest"] - found["lowest"])
            if self.scaling is None:
                found["spread"] = DAY
        return Learned(self.name, **made, **found, remark=self._remarks())

    def _settle_texts(self):
        """Texts as what they stand for, beside what came as numbers."""
        others = self._rows - self._absent - self._texts.rows
        self._texts.settle(self)
        self._absent += self._texts.absent
        self._check_late()
        if self._texts.rows == self._texts.absent or self._notation is not None:
            return
        if self._mixed:
            refuse_mixed(self.name)
        if others:
            refuse_kind(self.name, self.kind, self._levels_are, "texts")
        self.kind, self._levels_are = "categorical", "text"
        self._counts = self._texts.counts

    @property
    def _notation(self):
        return self._texts.notation

    def recognize(self, counts):
        """The notation of texts, or None; sets the kind with it."""
        if not counts or self._declared or self._wanted == "categorical":
            return None
        if self._wanted is not None:
            found = recognized_as(self._wanted, counts, self._fractions)
            self._check_all_read(found)
        else:
            found = self._recognized(counts)
        self._remark = found.remark
        self.doubt = found.remark if found.doubtful else ""
        if found.notation is not None:
            self.kind = found.notation.kind
        return found.notation

    def _recognized(self, counts):
        """As the kind of those that came as numbers, where there are any."""
        others = self._rows - self._absent - self._texts.rows
        if self.kind in NOTATIONS:
            stray = stray_texts(counts, NOTATIONS[self.kind])
            found = Recognition(None if stray else NOTATIONS[self.kind], stray)
        else:
            found = recognized(counts, others, self._fractions)
        made = found.notation.kind if found.notation else "categorical"
        if others and made != self.kind:
            shown = first(found.stray or counts)
            refuse_kind(self.name, self.kind, self._levels_are, f"texts, as {shown!r}")
        return found

    def _check_all_read(self, found):
        if found.doubtful:
            _refuse_texts(self.name, self._wanted, found.remark)
        if found.stray:
            rows, shown = found.stray.total(), first(found.stray)
            _refuse_texts(
                self.name, self._wanted, f"{rows:,} others, such as {shown!r}"
            )

    def _check_late(self):
        """Texts that came after there had been too many to wait any longer."""
        stray = self._texts.stray
        most = 0 if self._wanted else STRAY * self._texts.rows
        if stray.total() > most:
            received = f"{stray.total():,} others, such as {first(stray)!r}"
            _refuse_texts(self.name, self.kind, received)

    def _remarks(self):
        remarks = [self._remark, self._id_remark()]
        return "; ".join(filter(None, remarks))

    def _id_remark(self):
        present = self._rows - self._absent
        if present < FEWEST_IDS:
            return ""
        if self.kind == "categorical" and self._levels_are == "text":
            share = len(self._counts) / present
            what = "text"
        else:
            share = self._numbers.whole_share() if self.kind == "numeric" else 0
            what = "whole number"
        if share < ID_SHARE:
            return ""
        return (
            f"has nearly as many different {what}s as rows: drop it if it only names "
            "them"
        )

    def _count(self, values):
        for start in range(0, len(values), BLOCK):
            self._counts.update(values[start : start + BLOCK].tolist())
            if len(self._counts) > MOST_LEVELS:
                _refuse_levels(self.name)

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
            if (span >= CYCLES[name] or self._is_time(name))
            and phase.highest[0] - phase.lowest[0] > STILL
        ]

    def _is_time(self, cycle):
        """Of the day, which goes round without a date."""
        notation = self._texts.notation
        return cycle == "day" and notation is not None and notation.of == "time"


class _Texts:
    """Rows of each different text, and, where there are too many, their values.

    `column` in its methods is the learner: it is not kept, or the two would hold each
    other, and with them megabytes, until the garbage collector comes by.

    Args:
        name: Of the column.
        absent: List of texts that count as missing.

    Attributes:
        rows: Int. Texts so far.
        absent: Int. Those that count as missing, known once they are settled.
        counts: Counter of the others, where there is no notation.
        notation: Notation, or None.
    """

    def __init__(self, name, absent):
        self._name = name
        self._blank = compiled(words_pattern(("", *absent)))
        self._settled = False
        self.rows = self.absent = 0
        self.counts: collections.Counter = collections.Counter()
        self.notation: Notation | None = None
        self.stray: collections.Counter = collections.Counter()

    def update(self, texts, column):
        self.rows += len(texts)
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            if not self._settled:
                block = block[self._count(block.tolist(), column) :]
            if self.notation is not None and len(block):
                self._read(block, self.notation, column)

    def _count(self, texts, column):
        """How many were counted, until there were too many different ones."""
        if len(self.counts) + len(texts) <= MOST_LEVELS:
            self.counts.update(texts)
            return len(texts)
        for place, text in enumerate(texts):
            self.counts[text] += 1
            if len(self.counts) > MOST_LEVELS:
                self.settle(column)
                if self.notation is None:
                    _refuse_levels(self._name)
                return place + 1
        return len(texts)

    def settle(self, column):
        """Decides by the texts so far."""
        if self._settled:
            return
        self._settled = True
        for text in [t for t in self.counts if self._blank.fullmatch(t)]:
            self.absent += self.counts.pop(text)
        self.notation = column.recognize(self.counts)
        if self.notation is not None:
            self._read_counted(self.notation, column)

    def _read_counted(self, notation, column):
        """In the order of the alphabet, a block at a time."""
        texts = sorted(self.counts)
        values = notation.values(np.array(texts, object))
        ends = np.cumsum([self.counts[text] for text in texts])
        self.counts.clear()
        for start in range(0, int(ends[-1]), BLOCK):
            rows = np.arange(start, min(start + BLOCK, ends[-1]))
            found = values[np.searchsorted(ends, rows, side="right")]
            present = found[~np.isnan(found)]
            self.absent += len(found) - len(present)
            column.take(present)

    def _read(self, texts, notation, column):
        """Those after the settlement, in the order of the rows."""
        values = notation.values(texts)
        lost = np.isnan(values)
        self.absent += int(lost.sum())
        self.stray.update(t for t in texts[lost] if not self._blank.fullmatch(t))
        column.take(values[~lost])


class _Numbers:
    """The statistics of one column, fed in blocks of equal size."""

    def __init__(self, with_moments):
        self._buffer = BlockBuffer(BLOCK)
        self._extremes = Extremes()
        self._quantiles = Quantiles(QUANTILE_VALUES)
        self._different: _Different | None = _Different()
        self._moments = Moments() if with_moments else None

    def update(self, values):
        for block in self._buffer.add(values):
            self._take(block)

    def found(self, scaling):
        self._take(self._buffer.take_rest())
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

    def whole_share(self):
        """Different numbers by all; 0 where one is not whole."""
        return self._different.share() if self._different else 0.0

    def _take(self, values):
        if self._different and (values != np.floor(values)).any():
            self._different = None
        if self._different:
            self._different.update(values)
        rows = values[:, np.newaxis]
        block = Quantiles(QUANTILE_VALUES)
        block.update(rows)
        self._quantiles.merge(block)  # which leaves nothing waiting in it
        self._extremes.update(rows)
        if self._moments is not None:
            self._moments.update(rows)


class _Different:
    """Share of different values, by those whose hashes are the smallest.

    Source: Bar-Yossef et al., 2002, "Counting distinct elements in a data stream".
    """

    def __init__(self):
        self._hashes = np.empty(0, "uint64")
        self._counts = np.empty(0, "int64")

    def update(self, values):
        bits = (values + 0.0).view("uint64")  # -0.0 is 0.0
        hashes = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(32)
        if len(self._hashes) == HASHES:
            hashes = hashes[hashes <= self._hashes[-1]]
        found, counts = np.unique(hashes, return_counts=True)
        both = np.concatenate([self._hashes, found])
        all_counts = np.concatenate([self._counts, counts])
        self._hashes, places = np.unique(both, return_inverse=True)
        self._counts = np.bincount(places, all_counts).astype("int64")
        self._hashes = self._hashes[:HASHES]
        self._counts = self._counts[: len(self._hashes)]

    def share(self):
        return len(self._hashes) / max(1, self._counts.sum())


def _refuse_levels(name):
    raise ValueError(
        f"The column {name!r} is encoded by its levels and must have at most "
        f"{MOST_LEVELS:,} different ones (an identifier is better dropped). "
        "Received: more."
    )


def _refuse_texts(name, kind, received):
    wanted = {"numeric": "a number", "boolean": "yes or no"}
    raise ValueError(
        f"The column {name!r} is {kind}, so its texts must each be "
        f"{wanted.get(kind, 'a datetime in ISO 8601')}, or missing (`missing_values` "
        f"names further words). Received: {received}."
    )


def _check_unicode(name, level):
    try:
        str(level).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The column {name!r} is served as texts in UTF-8 and must hold no other "
            f"bytes or surrogates. Received: {level!r}."
        ) from error
