"""Notations of numbers, datetimes and booleans in texts, as regular expressions.

The patterns mean the same to Python's `re` and to RE2, which TensorFlow uses: no named
character class (`\\d`, `\\s`), no case folding, no look-ahead. Of several ways to
match, both take the first that reaches the end of the text.
"""

import dataclasses
import fractions
import functools
import math
import re
from typing import Any

import numpy as np

SPACE = "[ \t\n\r\f\v\u00a0\u2007\u2009\u202f]"
GAP = "[ \u00a0\u2007\u2009\u202f]"
SIGNS = tuple("$€£¥₹₩₽₺₪₫₴₦₱฿")
CURRENCIES = ("US$", "USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", *SIGNS)
UNITS = ("", "%", *CURRENCIES)
MISSING_WORDS = (
    *("?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "nat", "<na>"),
    *("null", "none"),
)
BOOLEANS = (
    (("yes", "y"), ("no", "n")),
    (("true", "t"), ("false", "f")),
    (("on",), ("off",)),
)
WORDS = (*(word for pair in BOOLEANS for side in pair for word in side), "1", "0")
MAX_DIGITS = 30  # digits, point and exponent of a number; TensorFlow reads up to 31
NEGATIVE = "[^0-9.,]*[-\u2212(](?s:.*)"


@dataclasses.dataclass(frozen=True)
class Notation:
    """Notation of the texts of a column, in plain values that JSON can hold.

    Args:
        of: What texts stand for: "number", "datetime", "time" or "boolean".
        decimal: Decimal mark of numbers: "." or ",".
        unit: Unit of numbers, one of `UNITS`.
        yes: Words in lower case that mean 1, of booleans.
        no: Words in lower case that mean 0.
    """

    of: str
    decimal: str = "."
    unit: str = ""
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()

    @classmethod
    def from_plain(cls, saved: Any) -> "Notation":
        """The notation that `plain` gave; checked, since anyone may edit a file."""
        fields = {**saved} if isinstance(saved, dict) else {}
        for side in ("yes", "no"):
            words = fields.get(side)
            fields[side] = tuple(words) if isinstance(words, list) else ()
        valid = (
            set(fields) == {"of", "decimal", "unit", "yes", "no"}
            and fields["of"] in ("number", "datetime", "time", "boolean")
            and fields["decimal"] in (".", ",")
            and fields["unit"] in UNITS
            and all(word in WORDS for word in fields["yes"] + fields["no"])
            and (fields["of"] == "boolean") == bool(fields["yes"] and fields["no"])
        )
        if not valid:
            raise ValueError(
                "A saved notation tells how texts are read and must be one that "
                f"`adapt` can learn. Received: {str(saved)[:200]}."
            )
        return cls(**fields)

    def plain(self) -> dict[str, Any]:
        """The fields as JSON gives them back."""
        fields = dataclasses.asdict(self)
        return {**fields, "yes": list(self.yes), "no": list(self.no)}

    @property
    def kind(self) -> str:
        """Kind of a column in this notation."""
        kinds = {"number": "numeric", "boolean": "boolean"}
        return kinds.get(self.of, "datetime")

    def value(self, text: str) -> float:
        """The value of a text; NaN for a text that is not in this notation."""
        if self.of == "number":
            return _number(text, self.decimal, self.unit)
        if self.of == "boolean":
            return _boolean(text, self.yes, self.no)
        return _seconds(text, TIME if self.of == "time" else DATETIME)

    def values(self, texts: np.ndarray) -> np.ndarray:
        """Objects `(rows,)` as float64; each different text is read once."""
        known = {text: self.value(text) for text in set(texts.tolist())}
        found = map(known.__getitem__, texts.tolist())
        return np.fromiter(found, "float64", len(texts))

    def text(self, value: float) -> str:
        """A text whose value this is; "" for NaN."""
        if math.isnan(value):
            return ""
        if self.of == "number":
            sign = self.unit if self.unit == "%" else ""  # another unit is optional
            return repr(float(value)).replace(".", self.decimal) + sign
        if self.of == "boolean":
            return (self.yes if value else self.no)[0]
        micro = round(fractions.Fraction(value) * 1_000_000)
        moment = str(np.datetime64(micro, "us"))
        return moment[11:] if self.of == "time" else moment


PLAIN = Notation("number")
MOMENT = Notation("datetime")


@functools.cache
def number_pattern(decimal: str, unit: str) -> str:
    """Pattern of a whole text; one of its three groups holds the digits and marks."""
    unit = _escaped(unit)
    if unit == "\\%":
        before, after = "", f"{SPACE}*%"
    elif unit:
        before, after = f"(?:{unit}{SPACE}*)?", f"(?:{SPACE}*{unit})?"
    else:
        before = after = ""
    minus = f"(?:[-\u2212]{before}|{before}[-\u2212]|{before})"
    plus = f"(?:\\+{before}|{before}\\+)"
    mark = _escaped(decimal)
    marked, spaced = _grouped(decimal)
    part = f"(?:{mark}[0-9]+)?"
    ending = "[0-9]*" if decimal == "." else "[0-9]+"
    exponent = "(?:[eE][-+]?[0-9]{1,3})?"
    plain = f"(?:[0-9]+(?:{mark}{ending})?|{mark}[0-9]+){exponent}"
    signed = f"{minus}((?:{marked}|{spaced}){part}|{plain}){after}"
    risen = f"{plus}((?:{marked}|[0-9]{{1,7}}){part}){after}"
    inner = f"((?:{marked}|{spaced}|[0-9]+){part})"
    debit = f"{before}\\({SPACE}*{before}{inner}{after}{SPACE}*\\)"
    return f"{SPACE}*(?:{signed}|{risen}|{debit}){SPACE}*"


def _grouped(decimal: str) -> tuple[str, str]:
    """Patterns of digits whose thousands are separated by marks, and by spaces."""
    first, others = "[1-9][0-9]{0,2}", "[0-9]{3}"
    marks = ("[.]" if decimal == "," else ",", "['\u2019]")
    ways = [f"{first}(?:{mark}{others})+" for mark in marks]
    if decimal == ".":  # Indian grouping, 12,34,567
        ways.append("[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")
    return f"(?:{'|'.join(ways)})", f"{first}(?:{GAP}{others})+"


@functools.cache
def marks_to_drop(decimal: str) -> str:
    """Pattern of thousands separators, where `decimal` is the decimal mark."""
    return f"[{'.' if decimal == ',' else ','}'\u2019 \u00a0\u2007\u2009\u202f]"


@functools.lru_cache(maxsize=256)
def words_pattern(words: tuple[str, ...]) -> str:
    """Pattern of a text that is one of `words`, in any case, blanks around it."""
    return f"{SPACE}*(?:{'|'.join(map(_of_any_case, words))}){SPACE}*"


def _of_any_case(word: str) -> str:
    letters = (
        f"[{c.lower()}{c.upper()}]" if c.isascii() and c.isalpha() else _escaped(c)
        for c in word
    )
    return "".join(letters)


def _escaped(text: str) -> str:
    punctuation = (c.isascii() and c.isprintable() and not c.isalnum() for c in text)
    return "".join(
        f"\\{c}" if special and c != " " else c
        for c, special in zip(text, punctuation, strict=True)
    )


_YEAR = "[0-9]{4}"
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = "|".join(
    (
        f"{_YEAR}-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
        f"{_YEAR}-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
        f"{_YEAR}-02-(?:0[1-9]|1[0-9]|2[0-8])",
        f"{_LEAP}-02-29",
        f"{_YEAR}-(?:0[1-9]|1[0-2])",
        _YEAR,
    )
)
_HOUR, _SIXTY = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_SECOND = f"(?::({_SIXTY})(?:[.,]([0-9]{{1,9}}))?)?"
_ZONE = f"(?: ?(?:Z|UTC|([-+])({_HOUR})(?::?({_SIXTY}))?))?"
# Groups: date, hour, minute, second, fraction, and sign, hour and minute of the zone.
DATETIME = (
    f"{SPACE}*({_DATE})(?:[T ]({_HOUR})(?::({_SIXTY}){_SECOND})?{_ZONE})?{SPACE}*"
)
TIME = f"{SPACE}*()({_HOUR}):({_SIXTY}){_SECOND}()()(){SPACE}*"


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled once."""
    return re.compile(pattern)


def _number(text: str, decimal: str, unit: str) -> float:
    match = compiled(number_pattern(decimal, unit)).fullmatch(text)
    if match is None:
        return math.nan
    digits = "".join(group or "" for group in match.groups())
    digits = re.sub(marks_to_drop(decimal), "", digits).replace(",", ".")
    if not digits or len(digits) > MAX_DIGITS:
        return math.nan
    value = float(digits)
    if math.isinf(value):
        return math.nan
    return -value if compiled(NEGATIVE).fullmatch(text) else value


def _boolean(text: str, yes: tuple[str, ...], no: tuple[str, ...]) -> float:
    if compiled(words_pattern(yes)).fullmatch(text):
        return 1.0
    return 0.0 if compiled(words_pattern(no)).fullmatch(text) else math.nan


def _seconds(text: str, pattern: str) -> float:
    """Since 1970-01-01; since midnight where there is no date."""
    match = compiled(pattern).fullmatch(text)
    if match is None:
        return math.nan
    date, hour, minute, second, fraction, sign, zone, rest = (
        group or "" for group in match.groups()
    )
    year, month, day = map(int, ((date or "1970") + "-01-01")[:10].split("-"))
    clock = _whole(hour) * 3600 + _whole(minute) * 60 + _whole(second)
    offset = _whole(zone) * 3600 + _whole(rest) * 60
    total = days(year, month, day) * 86400 + clock
    total += offset if sign == "-" else -offset
    micro = int((fraction + "000000")[:6])
    return (total * 1_000_000 + micro) / 1_000_000  # integers, so it rounds once


def _whole(digits: str) -> int:
    return int(digits or 0)


def days(year: Any, month: Any, day: Any) -> Any:
    """Days since 1970-01-01 of integers, or of tensors of them.

    Source: Hinnant, 2013, "chrono-compatible low-level date algorithms".
    """
    late = (month + 9) // 12  # 0 in January and February, else 1
    year = year - 1 + late
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + 9 - 12 * late) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
