"""Learning of the state of one column, in any portions of its rows."""

import collections
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._statistics import Extremes
from keras_trainkit._tables.column_state import CYCLES, DAY, ColumnState
from keras_trainkit._tables.columns import Column, refuse_mixed
from keras_trainkit._tables.kinds import (
    DEFAULT_NOTATIONS,
    auto_kind,
    level_type_of,
    refuse_values,
    values_as_kind,
)
from keras_trainkit._tables.levels import (
    MAX_LEVELS,
    by_frequency,
    check_exact,
    check_unicode,
    refuse_levels,
    variants_remark,
)
from keras_trainkit._tables.notation import MISSING_WORDS, Notation
from keras_trainkit._tables.number_statistics import BLOCK, NumberStatistics
from keras_trainkit._tables.objects import EXACT
from keras_trainkit._tables.recognition import (
    MAX_STRAY_SHARE,
    Recognition,
    most_frequent,
    recognize,
    recognize_as,
    stray_texts,
)
from keras_trainkit._tables.text_counts import TextCounts

MIN_ID_ROWS = 20
MIN_ID_SHARE = 0.95  # of different values in a column of identifiers
MIN_CYCLE_SHARE = 0.01  # of a cycle that values must vary by


class ColumnLearner:
    """Takes in a column in any portions; equal values give an equal state.

    Numbers wait until a block of a fixed size is full, so neither the rounding of the
    statistics nor the sketch of the quantiles depends on how the rows were cut. Texts
    are counted, and their notation is recognized at the end.

    Args:
        name: Name of the column.
        kind: Kind that the user gives, or None.
        scaling: "robust", "standard" or None.
        max_categories: Int. Most levels with a code of their own.
        missing_words: Texts that count as missing.

    Attributes:
        warning: Sentence that the user should be warned with, after the column's name;
            "" for none.
    """

    def __init__(
        self,
        name: str,
        kind: str | None,
        scaling: str | None,
        max_categories: int,
        missing_words: list[str] | tuple[str, ...] = MISSING_WORDS,
    ):
        self.name = name
        self.scaling = scaling
        self.max_categories = max_categories
        self.missing_words = list(missing_words)
        self.warning = ""
        self._given_kind = kind
        self._kind = kind or ""  # "" until a value tells it
        self._level_type: str | None = None
        self._is_declared = self._is_mixed = self._is_rounded = self._is_coarse = False
        self._num_fractions = 0
        self._remark = ""
        self._rows = 0
        self._missing = 0
        self._num_values = 0  # that came as numbers, booleans or datetimes
        self._levels: collections.Counter = collections.Counter()
        self._numbers = NumberStatistics(scaling == "standard")
        self._phases = {cycle: Extremes() for cycle in CYCLES}
        self._texts = TextCounts(self.missing_words, MAX_LEVELS)

    def update(self, column: Column) -> None:
        """Takes in some rows."""
        self._rows += len(column.values)
        if column.holds is None:
            self._missing += len(column.values)
        elif column.holds == "text" and self._level_type is None:
            self._update_texts(column)
        else:
            self._update_values(column)

    def _update_texts(self, column: Column) -> None:
        if column.infinite:
            refuse_infinite(self.name)
        self._is_declared |= column.declared
        self._is_mixed |= column.mixed
        present = column.values[column.values != ""]
        self._missing += len(column.values) - len(present)
        for start in range(0, len(present), BLOCK):
            rest = self._texts.count(present[start : start + BLOCK])
            if self._texts.is_full and not self._texts.is_finished:
                self._recognize_texts()
                if self._texts.notation is None:
                    refuse_levels(self.name, self._texts.counts)
            if self._texts.notation is not None and len(rest):
                self._take_texts(self._texts.read(rest, self._texts.notation))

    def _update_values(self, column: Column) -> None:
        self._kind = self._kind or auto_kind(self.name, column)
        if self._kind == "categorical":
            self._level_type = self._level_type or level_type_of(column)
        if column.holds == "datetime":
            _check_finite(self.name, column.values)
        values = values_as_kind(self.name, column, self._kind, self._level_type)
        has_text_levels = self._level_type not in (None, "number")
        present = values[(values != "") if has_text_levels else ~np.isnan(values)]
        self._missing += len(values) - len(present)
        self._num_values += len(present)
        if not has_text_levels:
            _check_finite(self.name, present)
        if self._kind == "categorical":
            if not has_text_levels:
                check_exact(self.name, present)
            self._count_levels(present)
            return
        if self._kind == "numeric":
            self._is_rounded |= column.rounded
            self._is_coarse |= column.coarse
            self._num_fractions += int(np.count_nonzero(present != np.floor(present)))
        self._take_numbers(present)

    def _count_levels(self, values: np.ndarray) -> None:
        for start in range(0, len(values), BLOCK):
            self._levels.update(values[start : start + BLOCK].tolist())
            if len(self._levels) > MAX_LEVELS:
                refuse_levels(self.name, self._levels)

    def _take_texts(self, values: np.ndarray) -> None:
        """Takes numbers of texts: large ones have an exponent, or they were codes."""
        self._is_coarse |= self._given_kind is None and bool(
            (np.abs(values) >= EXACT).any()
        )
        self._take_numbers(values)

    def _take_numbers(self, present: np.ndarray) -> None:
        self._numbers.update(present)
        if self._kind == "datetime":
            for cycle, extremes in self._phases.items():
                turns = present / CYCLES[cycle]
                extremes.update((turns - np.floor(turns))[:, np.newaxis])

    def state(self) -> ColumnState:
        """State of the column; ValueError if it had no value."""
        if self._texts.rows:
            self._finish_texts()
        if self._rows == self._missing:
            raise ValueError(
                f"The column {self.name!r} is learned from its values and must have "
                "one in the adapted rows (drop the column or fill it). "
                "Received: missing values alone."
            )
        if self._is_rounded:
            self.warning = (
                "holds integers beyond 2^53, of which float64 rounds off the last "
                "digits, and so what they differ by (leave identifiers out, give them "
                "as texts, or subtract what all rows share)"
            )
        notation = self._texts.notation
        is_categorical = self._kind == "categorical"
        variants = self._variants_remark()
        if variants not in self.warning:
            self.warning = "; ".join(filter(None, [self.warning, variants]))
        fields = self._level_fields() if is_categorical else self._number_fields()
        return ColumnState(
            self.name,
            self._kind,
            self._rows,
            self._missing,
            **fields,
            absent=self.missing_words,
            notation=None if notation is None else notation.plain(),
            remark="; ".join(filter(None, [self._remark, variants, self._id_remark()])),
        )

    def _level_fields(self) -> dict[str, Any]:
        ordered = by_frequency(self._levels)
        known = ordered[: self.max_categories]
        if self._level_type != "number":
            for level in ordered:
                check_unicode(self.name, level)
        are_texts_of = self._level_type in ("datetime", "other")
        return {
            "levels": known,
            "rare": len(ordered) - len(known),
            "texts_of": self._level_type if are_texts_of else "",
        }

    def _number_fields(self) -> dict[str, Any]:
        is_boolean = self._kind == "boolean"
        fields = self._numbers.fields(None if is_boolean else self.scaling)
        if is_boolean:
            fields["fill"] = float(fields["fill"] > 0.5)
        if self._kind == "datetime":
            fields["cycles"] = self._cycles(fields["highest"] - fields["lowest"])
            if self.scaling is None:
                fields["spread"] = DAY
        return fields

    def _cycles(self, span: float) -> list[str]:
        """Cycles that the values span at least once and vary within."""
        notation = self._texts.notation
        is_time = notation is not None and notation.of == "time"  # no date
        return [
            cycle
            for cycle, phase in self._phases.items()
            if (span >= CYCLES[cycle] or (is_time and cycle == "day"))
            and phase.highest[0] - phase.lowest[0] > MIN_CYCLE_SHARE
        ]

    def _variants_remark(self) -> str:
        if self._kind != "categorical" or self._level_type != "text":
            return ""
        return variants_remark(by_frequency(self._levels))

    def _id_remark(self) -> str:
        """Remark on a column that seems to hold identifiers; "" for others."""
        present = self._rows - self._missing
        if present < MIN_ID_ROWS:
            return ""
        if self._level_type == "text":
            share, values, may_be = len(self._levels) / present, "texts", True
        else:
            may_be = self._kind == "numeric" and not self._is_coarse
            share, values = self._numbers.distinct_whole_share(), "whole numbers"
        if share < MIN_ID_SHARE or not may_be:
            return ""
        return (
            f"has nearly as many different {values} as rows: drop it if it only names "
            "them"
        )

    def _finish_texts(self) -> None:
        """Decides what the texts stand for, beside values that came as numbers."""
        self._recognize_texts()
        self._missing += self._texts.missing
        self._check_late_texts()
        are_missing = self._texts.rows == self._texts.missing
        if are_missing or self._texts.notation is not None:
            return
        if self._is_mixed:
            refuse_mixed(self.name)
        if self._num_values:
            refuse_values(self.name, self._kind, self._level_type, "texts")
        self._kind, self._level_type = "categorical", "text"
        self._levels = self._texts.counts

    def _recognize_texts(self) -> None:
        """Recognizes the notation of the texts so far, at the first call."""
        texts = self._texts
        if texts.is_finished:
            return
        texts.finish()
        texts.notation = self._recognized_notation(texts.counts)
        if texts.notation is not None:
            for values in texts.read_counted(texts.notation, BLOCK):
                self._take_texts(values)

    def _recognized_notation(self, counts: Mapping[str, int]) -> Notation | None:
        """Notation of the counted texts, or None; sets kind, remark and warning."""
        declared_kind = "categorical" if self._is_declared else None
        if not counts or (self._given_kind or declared_kind) == "categorical":
            return None
        if self._given_kind is not None:
            found = recognize_as(self._given_kind, counts, self._num_fractions)
            self._check_given_kind(self._given_kind, found)
        else:
            found = self._recognize_auto(counts)
        self._remark = found.remark
        self.warning = found.remark if found.doubtful else ""
        if found.notation is not None:
            self._kind = found.notation.kind
        return found.notation

    def _recognize_auto(self, counts: Mapping[str, int]) -> Recognition:
        """Recognizes texts, which must agree with values that came as numbers."""
        others = self._num_values
        notation = DEFAULT_NOTATIONS.get(self._kind)
        if notation is not None:
            stray = stray_texts(counts, notation)
            found = Recognition(None if stray else notation, stray)
        else:
            found = recognize(counts, others, self._num_fractions)
        kind = found.notation.kind if found.notation else "categorical"
        if others and kind != self._kind:
            received = f"texts, as {most_frequent(found.stray or counts)!r}"
            refuse_values(self.name, self._kind, self._level_type, received)
        return found

    def _check_given_kind(self, kind: str, found: Recognition) -> None:
        if found.doubtful:
            _refuse_texts(self.name, kind, found.remark)
        if found.stray:
            _refuse_stray(self.name, kind, found.stray)

    def _check_late_texts(self) -> None:
        """Refuses stray texts that came after the notation had to be recognized."""
        stray = self._texts.stray
        most = 0 if self._given_kind else MAX_STRAY_SHARE * self._texts.rows
        if stray.total() > most:
            _refuse_stray(self.name, self._kind, stray)


def _check_finite(name: str, values: np.ndarray) -> None:
    if np.isinf(values).any():
        refuse_infinite(name)


def refuse_infinite(name: str) -> NoReturn:
    """Refuses an infinite number in a column that is trained on."""
    raise ValueError(
        f"The column {name!r} is scaled by its values and must hold finite numbers "
        "(below 1.8e308; datetimes before the year 290,000) or missing ones. "
        "Received: an infinite number."
    )


def _refuse_stray(name: str, kind: str, stray: collections.Counter[str]) -> NoReturn:
    received = f"{stray.total():,} others, such as {most_frequent(stray)!r}"
    _refuse_texts(name, kind, received)


def _refuse_texts(name: str, kind: str, received: str) -> NoReturn:
    wanted = {"numeric": "a number", "boolean": "yes or no"}
    raise ValueError(
        f"The column {name!r} is {kind}, so its texts must each be "
        f"{wanted.get(kind, 'a datetime in ISO 8601')}, or missing (`missing_values` "
        f"names further words). Received: {received}."
    )
