"""How a column of texts writes its values, told from its different texts."""

import collections
import dataclasses
import math

from keras_trainkit._tables.notation import (
    BOOLEANS,
    MOMENT,
    SPACE,
    UNITS,
    Notation,
    compiled,
)

AROUND = "0123456789.,'\u2019+-\u2212() \t\n\r\f\v\u00a0\u2007\u2009\u202f"
STRAY = 0.01  # share of the values that may be written otherwise
CODE = f"{SPACE}*[-+\u2212]?(?:0[0-9]+|[0-9]{{16,}}){SPACE}*"
DATE_LIKE = (
    f"{SPACE}*(?:[0-9]{{1,2}}[./-][0-9]{{1,2}}[./-][0-9]{{4}}|[0-9]{{4}}[./-][0-9]{{1,2}}"
    "[./-][0-9]{1,2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2})(?:[T ,].*)?"
)
YEAR = f"{SPACE}*[0-9]{{4}}{SPACE}*"


@dataclasses.dataclass(frozen=True)
class Recognition:
    """What was recognized.

    Args:
        notation: None where the texts stay texts.
        stray: Counter of the texts that are not so written.
        remark: Sentence for the user, after the column's name; "" for none.
        doubtful: Whether the user should be warned.
    """

    notation: Notation | None
    stray: collections.Counter
    remark: str = ""
    doubtful: bool = False


def recognized(counts, numbers=0, fractions=0) -> Recognition:
    """By the rules in the docstring of `layers.TableEncoder`.

    Args:
        counts: Dict of each present text to its number of rows.
        numbers: Int. Further rows of the column, which came as numbers.
        fractions: Int. Those of them that are not whole.
    """
    if not numbers:
        boolean = _of_booleans(counts)
        if boolean is not None:
            return Recognition(boolean, collections.Counter())
    rows = sum(counts.values()) + numbers
    wordy = collections.Counter({t: n for t, n in counts.items() if not _digits(t)})
    if wordy.total() * 2 > rows:
        return Recognition(None, wordy)
    if not numbers:
        for notation in (MOMENT, Notation("time")):
            stray = _stray_dates(counts, notation, STRAY * rows)
            if _few(stray, rows):
                return _read(notation, stray, rows)
    return _of_numbers(counts, rows, fractions)


def _stray_dates(counts, notation, most):
    """Those that are no such dates, as no year alone is; some, if over `most` rows."""
    stray: collections.Counter = collections.Counter()
    total = 0
    for text, rows in counts.items():
        if math.isnan(notation.value(text)) or _is(YEAR, text):
            stray[text] = rows
            total += rows
            if total > most:
                break
    return stray


def _of_numbers(counts, rows, fractions):
    vote = Vote(counts, fractions)
    stray = vote.stray
    code = collections.Counter({t: n for t, n in counts.items() if _is(CODE, t)})
    if (rows - stray.total()) * 2 < rows:
        return _texts(counts, stray, rows, vote.notation)
    if code:
        return _codes(code, stray, rows)
    if vote.undecided:
        return Recognition(None, stray, vote.undecided, doubtful=True)
    if _few(stray, rows):
        return _read(vote.notation, stray, rows, vote.remark)
    return _texts(counts, stray, rows, vote.notation)


def recognized_as(kind, counts, fractions=0) -> Recognition:
    """The notation of texts that the user calls numeric, boolean or datetime."""
    if kind == "boolean":
        yes, no = (
            tuple(word for family in BOOLEANS for word in family[side])
            for side in (0, 1)
        )
        notation = Notation("boolean", yes=(*yes, "1"), no=(*no, "0"))
    elif kind == "datetime":
        ways = (MOMENT, Notation("time"))
        notation = min(ways, key=lambda way: stray_texts(counts, way).total())
    else:
        vote = Vote(counts, fractions)
        return Recognition(
            vote.notation,
            vote.stray,
            vote.undecided or vote.remark,
            bool(vote.undecided),
        )
    return Recognition(notation, stray_texts(counts, notation))


class Vote:
    """Unit and decimal mark of a column of numbers, by the texts that tell them.

    Args:
        counts: Dict of each text to its number of rows.
        fractions: Int. Rows that came as numbers with a fraction, which count as
            written with a point.

    Attributes:
        notation: Notation.
        undecided: Sentence that tells why it may be another one; "" for none.
        remark: Sentence that tells how texts were read that may be meant otherwise.
        stray: Counter of the texts that are not in this notation.
    """

    def __init__(self, counts, fractions):
        unit = _unit(counts)
        point, comma = (Notation("number", mark, unit) for mark in ".,")
        self._points, self._commas, self._either = fractions, 0, 0
        self._examples: dict[str, str] = {}
        by_point: collections.Counter = collections.Counter()
        by_comma: collections.Counter = collections.Counter()
        for text in sorted(counts):
            values = point.value(text), comma.value(text)
            self._count(text, counts[text], *values)
            for value, lost in zip(values, (by_point, by_comma), strict=True):
                if math.isnan(value):
                    lost[text] = counts[text]
        with_comma = self._commas > self._points
        self.notation = comma if with_comma else point
        self.stray = by_comma if with_comma else by_point
        told = self._points or self._commas
        thousands = self._examples.get("either", "").count(".") and unit not in (
            "",
            "%",
        )
        doubt = thousands if not told else self._is_doubtful(sum(counts.values()))
        self.undecided = self._doubt() if doubt else ""
        self.remark = "" if told or not self._either else self._reading()

    def _count(self, text, rows, by_point, by_comma):
        if math.isnan(by_point) and math.isnan(by_comma):
            return
        if math.isnan(by_comma):
            self._points += rows
            self._examples.setdefault("point", text)
        elif math.isnan(by_point):
            self._commas += rows
            self._examples.setdefault("comma", text)
        elif by_point != by_comma:
            self._either += rows
            self._examples.setdefault("either", text)

    def _is_doubtful(self, rows):
        """Texts such as 1,234 are safe where all others agree on the mark."""
        if not self._either or not self._commas:
            return False
        more, fewer = sorted((self._points, self._commas), reverse=True)
        return fewer > STRAY * more or more < STRAY * rows

    def _doubt(self):
        shown = ", ".join(repr(text) for text in self._examples.values())
        return (
            f"stays text: decimal marks and those of thousands, in {shown}, cannot be "
            'told apart (`frame[name].str.replace(",", "")` drops one)'
        )

    def _reading(self):
        text = self._examples["either"]
        return f"has nothing that tells more: {text!r} is read as " + (
            f"{self.notation.value(text):.7g}"
        )


def _unit(counts):
    """The most frequent one; percent where most rows have it."""
    found: collections.Counter = collections.Counter()
    for text, rows in counts.items():
        unit = text.strip(AROUND)
        if unit in UNITS[1:]:
            found[unit] += rows
    if not found:
        return ""
    unit = min(found, key=lambda unit: (-found[unit], unit))
    return "" if unit == "%" and found[unit] * 2 < sum(counts.values()) else unit


def _of_booleans(counts):
    """Words of one pair, both of which occur."""
    for yes, no in BOOLEANS:
        notation = Notation("boolean", yes=yes, no=no)
        values = set(map(notation.value, counts)) if len(counts) < 1000 else set()
        if values == {0.0, 1.0}:
            return notation
    return None


def stray_texts(counts, notation) -> collections.Counter:
    """Those that are not so written, with their rows."""
    return collections.Counter(
        {text: n for text, n in counts.items() if math.isnan(notation.value(text))}
    )


def _few(stray, rows):
    return stray.total() <= STRAY * rows and stray.total() < rows


def _is(pattern, text):
    return compiled(pattern).fullmatch(text) is not None


def _digits(text):
    return compiled("[0-9]").search(text) is not None


def _read(notation, stray, rows, remark=""):
    if not stray:
        return Recognition(notation, stray, remark)
    what = "numbers" if notation.of == "number" else "dates and times"
    remark = (
        f"is read as {what} but for {stray.total():,} of {rows:,} values, such as "
        f"{first(stray)!r}, which count as missing (name them in `missing_values`, or "
        'call the column "categorical" in `kinds`)'
    )
    return Recognition(notation, stray, remark, doubtful=True)


def _codes(code, stray, rows):
    remark = (
        f"stays text: digits such as {first(code)!r}, with a leading zero or more than "
        'fifteen of them, are codes ("numeric" in `kinds` reads them)'
    )
    mixed = code.total() <= STRAY * rows and _few(stray, rows)
    return Recognition(None, stray, remark, doubtful=mixed)


def _texts(counts, stray, rows, notation):
    dates = sum(n for t, n in counts.items() if _is(DATE_LIKE, t))
    moments = rows - stray_texts(counts, MOMENT).total()
    if max(dates, moments) * 2 > rows:
        odd = [t for t in stray if math.isnan(MOMENT.value(t))]
        shown = first({t: counts[t] for t in odd or stray})
        remark = (
            "stays text: not all values are dates in ISO 8601 (2024-01-31), such as "
            f"{shown!r} (`pandas.to_datetime` with a `format` reads other dates)"
        )
        return Recognition(None, stray, remark, doubtful=True)
    if (rows - stray.total()) * 2 < rows:
        return Recognition(None, stray)
    remark = (
        f"stays text: not all values are numbers{' in ' * bool(notation.unit)}"
        f"{notation.unit}; {stray.total():,} of {rows:,} are none, such as "
        f"{first(stray)!r} (name them in `missing_values`)"
    )
    return Recognition(None, stray, remark, doubtful=True)


def first(counts):
    """The most frequent text, of equals the first in the alphabet."""
    return min(counts, key=lambda text: (-counts[text], text))
