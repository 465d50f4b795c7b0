"""Skip-gram with negative sampling: pairs of near words, the model, and its loss.

In the order of a pass over the texts: `subsampled`, `batches_of_pairs`,
`with_negatives`, and the step of `skip_gram` by `negative_sampling`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_trainkit._dense_gradient import dense_gradient
from keras_trainkit._types import Model, Tensor

POWER = 0.75  # of the counts, by which negatives are drawn


class Words(NamedTuple):
    """The words of all texts, one text after the other.

    Args:
        numbers: int32 `(words,)`, of at least 1.
        texts: int32 `(words,)`. Number of the text of each.
    """

    numbers: np.ndarray
    texts: np.ndarray


def skip_gram(
    vocabulary_size: int, embedding_units: int, random: np.random.Generator
) -> Model:
    """Uncompiled model from a word, and others, to the logits that these stand near it.

    Inputs int32 `(batch, 1)` and `(batch, others)`, output float32 `(batch, others)`:
    products of the vector of the word, in the layer "words", and of those that the
    others have as neighbours.
    """
    shape = (vocabulary_size, embedding_units)
    small = (random.random(shape, "float32") - 0.5) / embedding_units
    starts = {"words": small, "neighbours": np.zeros(shape, "float32")}
    inputs, vectors = [], []
    for (name, start), number in zip(starts.items(), (1, None), strict=True):
        tokens = keras.Input((number,), dtype="int32", name=f"{name}_tokens")
        embedding = keras.layers.Embedding(
            *shape, "zeros", weights=[start], dtype="float32", name=name
        )
        inputs.append(tokens)
        vectors.append(embedding(tokens))
    logits = ops.sum(vectors[0] * vectors[1], axis=-1)
    return keras.Model(inputs, logits, name="skip_gram")


class Adam(keras.optimizers.Adam):
    """Adam that squares the sum of what a batch asks of a word, on every backend.

    Keras' own squares each part on TensorFlow, and so takes longer steps for words that
    a batch has many times.
    """

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        super().apply([dense_gradient(each) for each in grads], trainable_variables)


def negative_sampling(signs: Tensor, logits: Tensor) -> Tensor:
    """Loss of each pair `(batch,)`: the sum of -log(sigmoid(sign * logit)).

    Args:
        signs: `(batch, others)`. 1 for the neighbour, -1 for a negative, 0 for what
            does not count.
        logits: `(batch, others)`.
    """
    return ops.sum(ops.abs(signs) * ops.softplus(-signs * logits), axis=-1)


def subsampled(
    words: Words, counts: np.ndarray, subsampling: float, random: np.random.Generator
) -> Words:
    """The words without some occurrences of the frequent ones.

    Args:
        counts: `(vocabulary_size,)`, of each word.
        subsampling: Share of all words up to which a word keeps all occurrences.
    """
    shares = counts / counts.sum()
    keeps = np.sqrt(subsampling / np.maximum(shares, subsampling))
    kept = random.random(len(words.numbers)) < keeps[words.numbers]
    return Words(words.numbers[kept], words.texts[kept])


def batches_of_pairs(
    words: Words, window: int, batch_size: int, random: np.random.Generator
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """All words in random order with their neighbours, as pairs in batches.

    The neighbours of a word are those up to 1 ... `window` words away, drawn for each
    word anew, in the same text.

    Yields:
        Share of the words that were read before, words int32 `(batch_size,)`, and a
        neighbour of each; the last batch is filled up with 0.
    """
    order = random.permutation(len(words.numbers))
    offsets = np.delete(np.arange(-window, window + 1), window)
    left = np.zeros((2, 0), "int32")
    for start in range(0, len(order), batch_size):
        centres = order[start : start + batch_size, None]
        radius = random.integers(1, window + 1, centres.shape)
        places = np.clip(centres + offsets, 0, len(order) - 1)
        is_near = (np.abs(offsets) <= radius) & (places == centres + offsets)
        is_near &= words.texts[places] == words.texts[centres]
        rows, columns = np.nonzero(is_near)
        pairs = np.stack([centres[rows, 0], places[rows, columns]])
        left = np.concatenate([left, words.numbers[pairs]], axis=1)
        while left.shape[1] >= batch_size:
            yield start / len(order), left[0, :batch_size], left[1, :batch_size]
            left = left[:, batch_size:]
    if left.shape[1]:
        filled = np.pad(left, [(0, 0), (0, batch_size - left.shape[1])])
        yield 1 - 1 / len(order), filled[0], filled[1]


def with_negatives(
    neighbours: np.ndarray,
    counts: np.ndarray,
    negatives: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours with other words beside them, and the signs for the loss.

    Args:
        neighbours: int32 `(batch,)`, 0 for none.
        counts: `(vocabulary_size,)`, of each word.
        negatives: Words that are drawn for each neighbour, from all texts.

    Returns:
        int32 `(batch, 1 + negatives)` and float32 of the same shape, as in
        `negative_sampling`. A draw of the neighbour itself does not count.
    """
    ends = np.cumsum(counts**POWER)
    draws = random.random((len(neighbours), negatives)) * ends[-1]
    drawn = np.searchsorted(ends, draws, side="right").astype("int32")
    others = np.concatenate([neighbours[:, None], drawn], axis=1)
    signs = np.where(others == neighbours[:, None], 0.0, -1.0)
    signs[:, 0] = 1
    signs[neighbours == 0] = 0
    return others, signs.astype("float32")
