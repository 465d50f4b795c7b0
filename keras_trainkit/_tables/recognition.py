"""Recognition of the notation of a column, from its different texts."""

import collections
import dataclasses
import math
from collections.abc import Mapping
from typing import TypeAlias

from keras_trainkit._tables.notation import (
    BOOLEANS,
    GAP,
    MOMENT,
    PLAIN,
    SPACE,
    UNITS,
    Notation,
    compiled,
)

Texts: TypeAlias = collections.Counter[str]  # rows of each text

AROUND_UNIT = "0123456789.,'\u2019+-\u2212() \t\n\r\f\v\u00a0\u2007\u2009\u202f"
MAX_STRAY_SHARE = 0.01  # of the values, which then count as missing
CODE = f"{SPACE}*[-+\u2212]?(?:0[0-9]+|[0-9]{{16,}}){SPACE}*"
DATE_LIKE = (
    f"{SPACE}*(?:[0-9]{{1,2}}[./-][0-9]{{1,2}}[./-][0-9]{{4}}|[0-9]{{4}}[./-][0-9]{{1,2}}"
    "[./-][0-9]{1,2}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2})(?:[T ,].*)?"
)
YEAR = f"{SPACE}*[0-9]{{4}}{SPACE}*"
# A number, and what stands behind it: 5 kg, 80 m\u00b2, 7 km/h.
WITH_UNIT = (
    f"([-+\u2212]?[.,]?[0-9](?:[0-9.,'\u2019]|{GAP}(?=[0-9]))*)({SPACE}*)"
    "([^0-9,;:#*() ][^,;:#*()]{0,15})"
)
LONGEST_WITH_UNIT = 40
UNIT_SIGNS = "\u00b0\u20ac$\"'\u2032\u2033"  # degrees, feet and inches too
ORDINALS = ("st", "nd", "rd", "th")
UNIT_SHARE = 0.9  # of the texts with a unit
MOST_SIZES = 20  # of as many texts "4 doors" and the like are categories


@dataclasses.dataclass(frozen=True)
class Recognition:
    """Result of looking at the texts of a column.

    Args:
        notation: Notation of the texts; None if they stay texts.
        stray: Counter of the texts that are not in a notation: in `notation`, or, if
            that is None, in the one that came nearest.
        remark: Sentence for the user, after the column's name; "" for none.
        doubtful: Bool. True if the user should be warned.
    """

    notation: Notation | None
    stray: Texts
    remark: str = ""
    doubtful: bool = False


def recognize(
    counts: Mapping[str, int], num_numbers: int = 0, num_fractions: int = 0
) -> Recognition:
    """Recognizes by the rules in the docstring of `layers.TableEncoder`.

    Args:
        counts: Rows of each text that is not missing.
        num_numbers: Int. Further rows of the column, which came as numbers.
        num_fractions: Int. Those of them that are not whole.
    """
    if not num_numbers:
        boolean = _boolean_notation(counts)
        if boolean is not None:
            return Recognition(boolean, collections.Counter())
    rows = sum(counts.values()) + num_numbers
    words = collections.Counter({t: n for t, n in counts.items() if not _has_digit(t)})
    if words.total() * 2 > rows:
        return Recognition(None, words)
    if not num_numbers:
        for notation in (MOMENT, Notation("time")):
            stray = _stray_dates(counts, notation, MAX_STRAY_SHARE * rows)
            if _are_few(stray, rows):
                return _in_notation(notation, stray, rows)
    return _recognize_numbers(counts, rows, num_fractions)


def _stray_dates(
    counts: Mapping[str, int], notation: Notation, most_rows: float
) -> Texts:
    """Texts that are no dates in this notation, or a year alone.

    Stops at more than `most_rows` of them.
    """
    stray: Texts = collections.Counter()
    total = 0
    for text, rows in counts.items():
        if math.isnan(notation.value(text)) or _matches(YEAR, text):
            stray[text] = rows
            total += rows
            if total > most_rows:
                break
    return stray


def _recognize_numbers(
    counts: Mapping[str, int], rows: int, num_fractions: int
) -> Recognition:
    vote = NumberVote(counts, num_fractions)
    stray = vote.stray
    codes = collections.Counter({t: n for t, n in counts.items() if _matches(CODE, t)})
    if (rows - stray.total()) * 2 < rows:
        return _as_texts(counts, stray, rows, vote.notation)
    if codes:
        return _as_codes(codes, stray, rows)
    if vote.undecided:
        return Recognition(None, stray, vote.undecided, doubtful=True)
    if _are_few(stray, rows):
        return _in_notation(vote.notation, stray, rows, vote.remark)
    return _as_texts(counts, stray, rows, vote.notation)


def recognize_as(
    kind: str, counts: Mapping[str, int], num_fractions: int = 0
) -> Recognition:
    """The notation of texts that the user calls numeric, boolean or datetime.

    Args:
        kind: "numeric", "boolean" or "datetime".
        counts, num_fractions: As in `recognize`.
    """
    if kind == "boolean":
        yes, no = (
            tuple(word for family in BOOLEANS for word in family[side])
            for side in (0, 1)
        )
        notation = Notation("boolean", yes=(*yes, "1"), no=(*no, "0"))
    elif kind == "datetime":
        notations = (MOMENT, Notation("time"))
        notation = min(notations, key=lambda n: stray_texts(counts, n).total())
    else:
        vote = NumberVote(counts, num_fractions)
        return Recognition(
            vote.notation,
            vote.stray,
            vote.undecided or vote.remark,
            bool(vote.undecided),
        )
    return Recognition(notation, stray_texts(counts, notation))


class NumberVote:
    """Unit and decimal mark of a column of numbers, by a vote of its texts.

    A text such as `1,5` is a number with a decimal comma alone and votes for it, one
    such as `1.5` votes for the point; `1,234` is a number with either and has no vote.

    Args:
        counts: Rows of each text.
        num_fractions: Int. Rows that came as numbers with a fraction; they vote for
            the point.

    Attributes:
        notation: Notation that won.
        undecided: Sentence that tells why another may be right; "" for none.
        remark: Sentence that tells how texts without a vote were read; "" for none.
        stray: Counter of the texts that are not in this notation.
    """

    def __init__(self, counts: Mapping[str, int], num_fractions: int):
        unit = _unit(counts)
        point, comma = (Notation("number", mark, unit) for mark in ".,")
        self._points, self._commas, self._either = num_fractions, 0, 0
        self._examples: dict[str, str] = {}
        not_by_point: Texts = collections.Counter()
        not_by_comma: Texts = collections.Counter()
        for text in sorted(counts):
            by_point, by_comma = point.value(text), comma.value(text)
            self._count(text, counts[text], by_point, by_comma)
            if math.isnan(by_point):
                not_by_point[text] = counts[text]
            if math.isnan(by_comma):
                not_by_comma[text] = counts[text]
        comma_won = self._commas > self._points
        self.notation = comma if comma_won else point
        self.stray = not_by_comma if comma_won else not_by_point
        if self._points or self._commas:
            doubt = self._is_doubtful(sum(counts.values()))
        else:  # 1.234 may be thousands of a currency
            doubt = "either, by its point" in self._examples and unit not in ("", "%")
        self.undecided = self._doubt() if doubt else ""
        unsure = self._either and not self._points and not self._commas
        self.remark = self._reading() if unsure else ""

    def _count(self, text: str, rows: int, by_point: float, by_comma: float) -> None:
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
            way = "either, by its point" if "." in text else "either"
            self._examples.setdefault(way, text)

    def _is_doubtful(self, rows: int) -> bool:
        """True if texts such as `1,234` occur and the votes do not agree."""
        if not self._either or not self._commas:
            return False
        more, fewer = sorted((self._points, self._commas), reverse=True)
        return fewer > MAX_STRAY_SHARE * more or more < MAX_STRAY_SHARE * rows

    def _doubt(self) -> str:
        shown = ", ".join(repr(text) for text in self._examples.values())
        return (
            f"stays text: decimal marks and those of thousands, in {shown}, cannot be "
            'told apart (`frame[name].str.replace(",", "")` drops one)'
        )

    def _reading(self) -> str:
        text = next(iter(self._examples.values()))
        return f"can be read in two ways: {text!r} is read as " + (
            f"{self.notation.value(text):.7g}"
        )


def _unit(counts: Mapping[str, int]) -> str:
    """The most frequent currency, or percent if at least half of the rows have it."""
    found: Texts = collections.Counter()
    for text, rows in counts.items():
        unit = text.strip(AROUND_UNIT)
        if unit in UNITS[1:]:
            found[unit] += rows
    if not found:
        return ""
    unit = min(found, key=lambda unit: (-found[unit], unit))
    return "" if unit == "%" and found[unit] * 2 < sum(counts.values()) else unit


def _boolean_notation(counts: Mapping[str, int]) -> Notation | None:
    """The pair of words, such as yes and no, of which both and no others occur."""
    for yes, no in BOOLEANS:
        notation = Notation("boolean", yes=yes, no=no)
        values = set(map(notation.value, counts)) if len(counts) < 1000 else set()
        if values == {0.0, 1.0}:
            return notation
    return None


def stray_texts(counts: Mapping[str, int], notation: Notation) -> Texts:
    """Texts that are not in this notation, with their rows."""
    return collections.Counter(
        {text: n for text, n in counts.items() if math.isnan(notation.value(text))}
    )


def _are_few(stray: Texts, rows: int) -> bool:
    return stray.total() <= MAX_STRAY_SHARE * rows and stray.total() < rows


def _matches(pattern: str, text: str) -> bool:
    return compiled(pattern).fullmatch(text) is not None


def _has_digit(text: str) -> bool:
    return compiled("[0-9]").search(text) is not None


def _in_notation(
    notation: Notation, stray: Texts, rows: int, remark: str = ""
) -> Recognition:
    if not stray:
        return Recognition(notation, stray, remark)
    what = "numbers" if notation.of == "number" else "dates and times"
    shown = most_frequent(stray)
    remark = (
        f"is read as {what} but for {stray.total():,} of {rows:,} values, such as "
        f"{shown!r}, which count as missing (name them in `missing_values`, or "
        'call the column "categorical" in `kinds`)'
    )
    return Recognition(notation, stray, remark, doubtful=True)


def _as_codes(codes: Texts, stray: Texts, rows: int) -> Recognition:
    remark = (
        f"stays text: digits such as {most_frequent(codes)!r}, with a leading zero or "
        'more than fifteen of them, are codes ("numeric" in `kinds` reads them)'
    )
    few_codes = codes.total() <= MAX_STRAY_SHARE * rows and _are_few(stray, rows)
    return Recognition(None, stray, remark, doubtful=few_codes)


def _as_texts(
    counts: Mapping[str, int], stray: Texts, rows: int, notation: Notation
) -> Recognition:
    """Texts that stay texts, with a warning if most are numbers or dates."""
    dates = sum(n for t, n in counts.items() if _matches(DATE_LIKE, t))
    no_dates = _stray_dates(counts, MOMENT, math.inf)
    iso_dates = sum(counts.values()) - no_dates.total()
    if max(dates, iso_dates) * 2 > rows:
        not_iso = [t for t in stray if t in no_dates]
        shown = most_frequent({t: counts[t] for t in not_iso or stray})
        remark = (
            "stays text: not all values are dates in ISO 8601 (2024-01-31), such as "
            f"{shown!r} (`pandas.to_datetime` with a `format` reads other dates)"
        )
        return Recognition(None, stray, remark, doubtful=True)
    if (rows - stray.total()) * 2 < rows:
        remark = _with_unit(counts, rows)
        return Recognition(None, stray, remark, doubtful=bool(remark))
    remark = (
        f"stays text: not all values are numbers{' in ' * bool(notation.unit)}"
        f"{notation.unit}; {stray.total():,} of {rows:,} are none, such as "
        f"{most_frequent(stray)!r} (name them in `missing_values`)"
    )
    return Recognition(None, stray, remark, doubtful=True)


def _with_unit(counts: Mapping[str, int], rows: int) -> str:
    """A remark on numbers with the same unit behind almost all of them, else ""."""
    texts: dict[str, Texts] = collections.defaultdict(collections.Counter)
    others = 0
    for text, number in counts.items():
        unit = _unit_behind(text)
        if unit:
            texts[unit.casefold()][text] = number
        elif _has_digit(text) and math.isnan(PLAIN.value(text)):
            others += number
    found = max(texts.values(), key=lambda some: some.total(), default=None)
    if found is None or len(found) <= MOST_SIZES or found.total() * 2 <= rows:
        return ""
    with_digits = others + sum(some.total() for some in texts.values())
    if found.total() < UNIT_SHARE * with_digits:
        return ""
    shown = most_frequent(found)
    return (
        f"stays text, of {len(counts):,} categories: most values are numbers with the "
        f"unit {_unit_behind(shown)!r}, such as {shown!r} (take it away, by "
        "`.str.replace` of pandas, and they are read as numbers; "
        '"categorical" in `kinds` keeps them so)'
    )


def _unit_behind(text: str) -> str:
    """The unit of measure behind the number in a text, "" if it is no such text."""
    text = text.strip()
    match = None
    if len(text) <= LONGEST_WITH_UNIT:
        match = compiled(WITH_UNIT).fullmatch(text)
    if match is None:
        return ""
    number, gap, unit = match.groups()
    values = (Notation("number", mark).value(number) for mark in ".,")
    is_number = number[-1] not in ".," and not all(map(math.isnan, values))
    words = unit.split()
    is_name = not (unit[0].isalpha() or unit[0] in UNIT_SIGNS)
    is_name |= len(words) > 1 and max(map(len, words)) > 3  # 12 Oak Street
    is_name |= not gap and len(unit) == 1 and unit.isupper()  # bus 10A
    is_name |= unit.lower() in ORDINALS
    return "" if not is_number or is_name or _matches(CODE, number) else unit


def most_frequent(counts: Mapping[str, int]) -> str:
    """The most frequent text; of several, the first in the alphabet."""
    return min(counts, key=lambda text: (-counts[text], text))
