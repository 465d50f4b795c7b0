"""Values of texts in a TensorFlow graph; results as in `_tables.notation`."""

from collections.abc import Iterable

from keras_trainkit._tables.notation import (
    DATETIME,
    MAX_DIGITS,
    NEGATIVE,
    TIME,
    Notation,
    days,
    marks_to_drop,
    number_pattern,
    words_pattern,
)
from keras_trainkit._types import Tensor


def are_words(texts: Tensor, words: Iterable[str]) -> Tensor:
    """True for each text that is one of `words`, in any case, blanks around it."""
    return _matches(texts, words_pattern(tuple(words)))


def values(texts: Tensor, notation: Notation) -> Tensor:
    """Values of texts, float64 `(rows,)`; NaN for one that is not in the notation."""
    if notation.of == "number":
        return _numbers(texts, notation.decimal, notation.unit)
    if notation.of == "boolean":
        return _booleans(texts, notation.yes, notation.no)
    return _seconds(texts, TIME if notation.of == "time" else DATETIME)


def _numbers(texts: Tensor, decimal: str, unit: str) -> Tensor:
    import tensorflow as tf

    pattern = number_pattern(decimal, unit)
    matches = _matches(texts, pattern)
    digits = _groups(texts, pattern, matches, r"\1\2\3")
    digits = tf.strings.regex_replace(digits, marks_to_drop(decimal), "")
    digits = tf.strings.regex_replace(digits, ",", ".")
    length = tf.strings.length(digits)
    matches &= (length > 0) & (length <= MAX_DIGITS)
    sign = tf.where(_matches(texts, NEGATIVE), "-", "")
    digits = tf.where(matches, tf.strings.join([sign, digits]), "0")
    found = tf.strings.to_number(digits, tf.float64)
    return tf.where(matches & tf.math.is_finite(found), found, _nan())


def _booleans(texts: Tensor, yes: tuple[str, ...], no: tuple[str, ...]) -> Tensor:
    import tensorflow as tf

    one, zero = tf.constant(1.0, tf.float64), tf.constant(0.0, tf.float64)
    found = tf.where(are_words(texts, no), zero, _nan())
    return tf.where(are_words(texts, yes), one, found)


def _seconds(texts: Tensor, pattern: str) -> Tensor:
    import tensorflow as tf

    matches = _matches(texts, pattern)
    parts = [_groups(texts, pattern, matches, rf"\{group}") for group in range(1, 9)]
    date = tf.where(parts[0] == "", "1970", parts[0])
    date = tf.strings.join([date, "-01-01"])
    since = days(_whole(date, 0, 4), _whole(date, 5, 2), _whole(date, 8, 2))
    hour, minute, second = (_padded(part, 2) for part in parts[1:4])
    offset = _padded(parts[6], 2) * 3600 + _padded(parts[7], 2) * 60
    offset = tf.where(parts[5] == "-", -offset, offset)
    total = since * 86400 + hour * 3600 + minute * 60 + second - offset
    micro = total * 1_000_000 + _padded(parts[4], 6)
    # As text, since TensorFlow divides by a constant with two roundings.
    size = tf.abs(micro)
    rest = tf.strings.as_string(size % 1_000_000, width=6, fill="0")
    sign = tf.where(micro < 0, "-", "")
    number = tf.strings.join([sign, tf.strings.as_string(size // 1_000_000), ".", rest])
    return tf.where(matches, tf.strings.to_number(number, tf.float64), _nan())


def _matches(texts: Tensor, pattern: str) -> Tensor:
    import tensorflow as tf

    return tf.strings.regex_full_match(texts, f"(?:{pattern})")


def _groups(texts: Tensor, pattern: str, matches: Tensor, groups: str) -> Tensor:
    """Groups of the pattern, such as "\\1\\2"; "" where the text does not match."""
    import tensorflow as tf

    texts = tf.where(matches, texts, "")
    found = tf.strings.regex_replace(texts, f"^(?:{pattern})$", groups, False)
    return tf.where(matches, found, "")


def _padded(texts: Tensor, length: int) -> Tensor:
    """The first `length` digits as int64, zeros after them where there are fewer."""
    import tensorflow as tf

    return _whole(tf.strings.join([texts, "0" * length]), 0, length)


def _whole(texts: Tensor, start: int, length: int) -> Tensor:
    import tensorflow as tf

    return tf.strings.to_number(tf.strings.substr(texts, start, length), tf.int64)


def _nan() -> Tensor:
    import tensorflow as tf

    return tf.constant(float("nan"), tf.float64)
