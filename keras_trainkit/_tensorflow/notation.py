"""Tensors of texts, read in the graph as `_tables.notation` reads arrays of them."""

import keras

from keras_trainkit._tables.notation import (
    DATETIME,
    LONGEST,
    NEGATIVE,
    TIME,
    Notation,
    days,
    marks_to_drop,
    number_pattern,
    words_pattern,
)


def is_text(tensor) -> bool:
    """Whether it is a tensor of texts."""
    return keras.backend.standardize_dtype(tensor.dtype) == "string"


def are_words(texts, words):
    """Bools: which texts are one of `words`, in any case, or blank around it."""
    return _fits(texts, words_pattern(tuple(words)))


def values(texts, notation: Notation):
    """float64 `(rows,)`; NaN for a text that is not so written."""
    if notation.of == "number":
        return _numbers(texts, notation.decimal, notation.unit)
    if notation.of == "boolean":
        return _booleans(texts, notation.yes, notation.no)
    return _seconds(texts, TIME if notation.of == "time" else DATETIME)


def _numbers(texts, decimal, unit):
    import tensorflow as tf

    pattern = number_pattern(decimal, unit)
    written = _fits(texts, pattern)
    digits = _groups(texts, pattern, written, r"\1\2\3")
    digits = tf.strings.regex_replace(digits, marks_to_drop(decimal), "")
    digits = tf.strings.regex_replace(digits, ",", ".")
    length = tf.strings.length(digits)
    written &= (length > 0) & (length <= LONGEST)
    sign = tf.where(_fits(texts, NEGATIVE), "-", "")
    digits = tf.where(written, tf.strings.join([sign, digits]), "0")
    found = tf.strings.to_number(digits, tf.float64)
    return tf.where(written & tf.math.is_finite(found), found, _nan())


def _booleans(texts, yes, no):
    import tensorflow as tf

    one, zero = tf.constant(1.0, tf.float64), tf.constant(0.0, tf.float64)
    found = tf.where(are_words(texts, no), zero, _nan())
    return tf.where(are_words(texts, yes), one, found)


def _seconds(texts, pattern):
    import tensorflow as tf

    written = _fits(texts, pattern)
    parts = [_groups(texts, pattern, written, rf"\{group}") for group in range(1, 9)]
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
    return tf.where(written, tf.strings.to_number(number, tf.float64), _nan())


def _fits(texts, pattern):
    import tensorflow as tf

    return tf.strings.regex_full_match(texts, f"(?:{pattern})")


def _groups(texts, pattern, written, chosen):
    """What groups of the pattern hold; "" where the text does not fit it."""
    import tensorflow as tf

    texts = tf.where(written, texts, "")
    return tf.where(
        written,
        tf.strings.regex_replace(texts, f"^(?:{pattern})$", chosen, False),
        "",
    )


def _padded(texts, length):
    """int64 of the first digits, with zeros after them."""
    import tensorflow as tf

    return _whole(tf.strings.join([texts, "0" * length]), 0, length)


def _whole(texts, start, length):
    import tensorflow as tf

    return tf.strings.to_number(tf.strings.substr(texts, start, length), tf.int64)


def _nan():
    import tensorflow as tf

    return tf.constant(float("nan"), tf.float64)
