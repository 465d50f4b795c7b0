import reprlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_count, check_number, check_seed
from keras_trainkit._text_batches import text_batches
from keras_trainkit.data._skip_gram import (
    Adam,
    Words,
    batches_of_pairs,
    negative_sampling,
    skip_gram,
    subsampled,
    with_negatives,
)
from keras_trainkit.data._texts import text_list

MANY_STEPS = 500


def word_vectors(
    texts: Iterable,
    vocabulary: keras.layers.TextVectorization | int,
    embedding_units: int = 128,
    *,
    window: int = 5,
    negatives: int = 5,
    subsampling: float = 1e-3,
    epochs: int = 20,
    batch_size: int = 1024,
    learning_rate: float = 0.01,
    seed: int | None = 0,
) -> np.ndarray:
    """Vectors of words, learned from texts without labels: skip-gram.

    Words of like company get vectors of like direction. From each word those around it
    are told apart from words drawn at random, by the product of two vectors; those of
    the words are kept, and those that they have as neighbours are not. For
    `embedding_matrix=` of `models.bilstm_attention`, which trains them further, or
    keeps them with `train_embedding=False`.

    Learn from training texts, and from all others that have no label: there lies the
    use. Texts to validate or test on are neither. Pairs are drawn batch by batch, some
    `window + 1` for each word and pass; memory holds the texts as numbers and some ten
    times the result.

    Args:
        texts: List, array or Series of strings, read by the `vocabulary`. Or, with an
            int, an iterable of token ids, each `(words,)`, from 1 to `vocabulary` - 1;
            0 is padding and left out.
        vocabulary: Adapted `keras.layers.TextVectorization` from strings to ids. Or int
            >= 2, the `vocabulary_size=` of the model.
        embedding_units: Int >= 1. Numbers per word.
        window: Int >= 1. Neighbours are at most so many words away, and for each
            word at most a number from 1 to `window` that is drawn at each pass: near
            ones count more.
        negatives: Int >= 1. Words drawn at random beside each neighbour, in proportion
            to their count to the power of 0.75.
        subsampling: Float in (0, 1]. A word whose share s of all words exceeds it is
            left out of a pass with the probability `1 - sqrt(subsampling / s)`, as if
            it were not in the text. 1: none is.
        epochs: Int >= 1. Passes over the texts; 5 do for millions of words.
        batch_size: Int >= 1. Pairs per step.
        learning_rate: Float > 0. Of Adam in the first step; falls to 0 linearly.
        seed: Int >= 0; the same seed gives the same vectors on one backend. None: a
            random one.

    Returns:
        float32 `(vocabulary_size, embedding_units)`. Row 0, padding, is 0. Of a word
        that `texts` do not hold, such as that for all unknown ones, it is the mean of
        the others.

    Raises:
        ValueError: Something else than texts, a vocabulary without words, ids outside
            it, no two words in a text, or an argument outside its range.

    Example:

    ```python
    texts = ["red wine", "white wine", "red car", "white car"] * 10
    vectorization = keras.layers.TextVectorization()
    vectorization.adapt(texts)
    vectors = word_vectors(texts, vectorization, 16)
    vectors.shape  # (6, 16): padding, unknown words, and four words
    ```

    Source: Mikolov et al., 2013, arXiv:1310.4546. There words that are rare are left
    out, here they are one word of the vocabulary; there each pair is a step of gradient
    descent, here a batch is one of Adam. A negative that is the neighbour itself does
    not count, as in the authors' code.
    """
    _check_arguments(locals())
    words, vocabulary_size = _read(texts, vocabulary)
    counts = np.bincount(words.numbers, minlength=vocabulary_size)
    random = np.random.default_rng(seed)
    model = skip_gram(vocabulary_size, embedding_units, random)
    optimizer = Adam(learning_rate)
    model.compile(
        optimizer,
        negative_sampling,
        auto_scale_loss=False,
        jit_compile=_fused(len(words.numbers) * epochs * (window + 1) // batch_size),
    )
    for epoch in range(epochs):
        kept = subsampled(words, counts, subsampling, random)
        batches = batches_of_pairs(kept, window, batch_size, random)
        for share, centres, neighbours in batches:
            optimizer.learning_rate = learning_rate * (1 - (epoch + share) / epochs)
            others, signs = with_negatives(neighbours, counts, negatives, random)
            model.train_on_batch([centres[:, None], others], signs)
    return _with_unseen(model.get_layer("words").get_weights()[0], counts)


def _fused(steps: int) -> bool | str:
    """True where the step's passes over all vectors are made one by XLA.

    TensorFlow does so when it is asked to. A step takes three quarters of the time, and
    to compile it as long as a hundred and fifty steps.
    """
    is_worth_it = keras.config.backend() == "tensorflow" and steps > MANY_STEPS
    return True if is_worth_it else "auto"


def _check_arguments(given: dict[str, Any]) -> None:
    purposes = {
        "embedding_units": "is the number of numbers per word",
        "window": "is the most words that a neighbour is away",
        "negatives": "is the number of words drawn beside a neighbour",
        "epochs": "is the number of passes over the texts",
        "batch_size": "is the number of pairs per step",
    }
    for name, purpose in purposes.items():
        check_count(name, given[name], purpose)
    purpose = "is the share of all words above which a word is frequent"
    check_number("subsampling", given["subsampling"], purpose, above=0, at_most=1)
    purpose = "is the learning rate of the first step"
    check_number("learning_rate", given["learning_rate"], purpose, above=0)
    check_seed("seed", given["seed"])


def _read(texts: Any, vocabulary: Any) -> tuple[Words, int]:
    """The words of the texts, and the size of the vocabulary with padding."""
    if isinstance(vocabulary, keras.layers.TextVectorization):
        size = _size_of(vocabulary)
        rows = _read_strings(texts, vocabulary)
    else:
        purpose = (
            "gives the texts their token ids, as an adapted "
            "`keras.layers.TextVectorization`, or is their number with padding"
        )
        check_count("vocabulary", vocabulary, purpose, at_least=2)
        size = int(vocabulary)
        rows = _read_ids(texts, size)
    rows = [row[row > 0].astype("int32") for row in rows]
    lengths = [len(row) for row in rows]
    if max(lengths, default=0) < 2:
        raise ValueError(
            "`texts` show which words stand near each other and must have two words in "
            f"one of them. Received: {len(rows)} texts, the longest of "
            f"{max(lengths, default=0)} words."
        )
    numbers = np.arange(len(rows), dtype="int32")
    return Words(np.concatenate(rows), np.repeat(numbers, lengths)), size


def _size_of(vectorization: keras.layers.TextVectorization) -> int:
    mode, size = vectorization.get_config()["output_mode"], 0
    if mode == "int":
        size = vectorization.vocabulary_size()
    if size < 3:  # padding, and any other word
        raise ValueError(
            "`vocabulary` gives the texts their token ids and must be adapted on "
            "words, with `output_mode='int'`. "
            f"Received: output_mode={mode!r}, {size} ids."
        )
    return size


def _read_strings(
    texts: Any, vectorization: keras.layers.TextVectorization
) -> list[np.ndarray]:
    found = []
    for batch in text_batches(text_list(texts)):
        found += [row[row > 0] for row in as_numpy(vectorization(batch))]
    return found


def _read_ids(texts: Any, size: int) -> list[np.ndarray]:
    purpose = "`texts` are token ids, as `vocabulary` is their number, and must be"
    if not isinstance(texts, Iterable) or isinstance(texts, str):
        raise ValueError(
            f"{purpose} sequences of integers. Received: texts={reprlib.repr(texts)}."
        )
    rows = []
    for number, text in enumerate(texts):
        row = as_numpy(text)
        is_ids = row.ndim == 1 and (not len(row) or row.dtype.kind in "iu")
        if not is_ids or ((row < 0) | (row >= size)).any():
            raise ValueError(
                f"{purpose} integers from 0 to {size - 1}, one sequence per text; "
                "strings need an adapted `keras.layers.TextVectorization`. "
                f"Received: {reprlib.repr(text)} at position {number}."
            )
        rows.append(row)
    return rows


def _with_unseen(vectors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Padding as 0, and words without a count as the mean of the others."""
    vectors = np.array(vectors)
    vectors[counts == 0] = vectors[counts > 0].mean(axis=0)
    vectors[0] = 0
    return vectors
