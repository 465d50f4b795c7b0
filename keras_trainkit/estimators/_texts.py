"""Texts from any container, and the numbers of their words."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import keras
import narwhals.stable.v2 as nw
import numpy as np
from keras import ops

from keras_trainkit._arrays import as_numpy
from keras_trainkit._libraries import is_lazy, readable
from keras_trainkit._tables.objects import is_missing, object_array
from keras_trainkit._text_batches import text_batches

PURPOSE = "`X` holds the texts, one per row,"


class Words(NamedTuple):
    """Numbers of the words of each text.

    Args:
        numbers: Of each text int32 `(words,)`, without padding, those that are read.
        lengths: `(rows,)`. Words of each, read or not.
    """

    numbers: list[np.ndarray]
    lengths: np.ndarray


class Texts(NamedTuple):
    """Texts, none missing.

    Args:
        values: Objects of the type str, `(rows,)`.
    """

    values: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.values)


def read_texts(data: Any) -> Texts:
    """The texts of a list, an array, a Series or a DataFrame of one column.

    Raises:
        ValueError: No rows, several columns, values that are missing or no texts.
    """
    if isinstance(data, Texts):
        return data
    values = _values(data)
    if not len(values):
        _refuse("must hold at least one", "n_samples=0")
    others = [row for row, value in enumerate(values) if not isinstance(value, str)]
    gaps = [
        row for row in others if not np.ndim(values[row]) and is_missing(values[row])
    ]
    if gaps:
        received = f"{len(gaps)} missing, the first in row {gaps[0]}"
        _refuse('may miss none (leave the row out, or write "")', received)
    if others:
        value = values[others[0]]
        received = f"{type(value).__name__} values, such as {reprlib.repr(value)}"
        _refuse("must hold texts alone", received)
    for row, text in enumerate(values):
        if not _is_unicode(text):
            received = f"{reprlib.repr(text)} in row {row}"
            _refuse("must hold characters of Unicode alone, no NUL", received)
    return Texts(object_array([str(value) for value in values]))


def vectorization_of(
    split: str, max_tokens: int | None = None, words: list[str] | None = None
) -> keras.layers.TextVectorization:
    return keras.layers.TextVectorization(
        max_tokens, split=split, vocabulary=words, name="text"
    )


def fields_of(vectorization: keras.layers.TextVectorization) -> dict[str, Any]:
    """Values that it was made with; the estimator's arguments may have changed."""
    split = vectorization.get_config()["split"]
    return {"split": split, "words": words_of(vectorization)}


def words_of(vectorization: keras.layers.TextVectorization) -> list[str]:
    """The words that are told apart, the most frequent first."""
    return list(vectorization.get_vocabulary(include_special_tokens=False))


def word_numbers(
    vectorization: keras.layers.TextVectorization,
    texts: np.ndarray,
    max_length: int,
    keep: str,
) -> Words:
    """The numbers of the words of each text.

    Args:
        max_length: Int >= 1. Words that are kept of each.
        keep: "start" or "end", of longer texts.
    """
    found, lengths = [], []
    for batch in text_batches(texts):
        for row in ops.convert_to_numpy(vectorization(batch)):
            words = row[row > 0].astype("int32")
            lengths.append(len(words))
            found.append(words[:max_length] if keep == "start" else words[-max_length:])
    return Words(found, np.array(lengths))


def cut_words(ids: np.ndarray, max_length: int, keep: str) -> np.ndarray:
    """The same texts, of which less is read; padded as `padded_words` gives them."""
    if ids.shape[1] <= max_length:
        return ids
    if keep == "start":
        return ids[:, :max_length]
    return padded_words([row[row > 0][-max_length:] for row in ids])


def padded_words(words: Sequence[np.ndarray]) -> np.ndarray:
    """int32 `(rows, time)`, 0 behind what is shorter; at least one step."""
    found = np.zeros((len(words), max(1, *map(len, words))), "int32")
    for row, numbers in zip(found, words, strict=True):
        row[: len(numbers)] = numbers
    return found


def _is_unicode(text: str) -> bool:
    """False for halves of characters, and for NUL, which NumPy strips from words."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _values(data: Any) -> Sequence:
    one_column = "must be a list, a Series, an array or a column of texts"
    if is_lazy(data):
        _refuse("must hold its rows (`.collect()` reads them)", type(data).__name__)
    data = readable(data)
    data = nw.from_native(data, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(data, nw.Series):
        return data.to_list()
    if isinstance(data, nw.DataFrame):
        if len(data.columns) != 1:
            _refuse(one_column, f"columns {data.columns}")
        return data[:, 0].to_list()
    if hasattr(data, "dtype") and not isinstance(data, np.ndarray):
        data = as_numpy(data).astype(object)  # arrays and indices of pandas, tensors
    if isinstance(data, np.ndarray):
        if data.ndim != 1 and data.shape[1:] != (1,):
            _refuse(one_column, f"X of shape {data.shape}")
        return data.ravel().tolist()
    if not isinstance(data, Sequence) or isinstance(data, str | bytes | Mapping):
        _refuse(one_column, f"X={reprlib.repr(data)}")
    if all(isinstance(row, list | tuple) and len(row) == 1 for row in data):
        return [row[0] for row in data]
    return data


def _refuse(allowed: str, received: str) -> NoReturn:
    raise ValueError(f"{PURPOSE} and {allowed}. Received: {received}.")
