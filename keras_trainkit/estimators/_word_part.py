"""The linear model of words and pairs of words, beside the network of texts.

Where its numbers come from is in docs/figures/sequences.md.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from keras_trainkit._types import Layer, Model
from keras_trainkit.estimators._outputs import rows_at_once
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._training import Goal, targets
from keras_trainkit.layers import Bigrams
from keras_trainkit.models import bag_of_words

INVERSE_PENALTY = 1.0  # scikit-learn's C
SMOOTHING = 1.0  # texts more, that have each word
MOST_ITERATIONS = 1_000


def fitted_words(
    parts: Sequence[Part], vocabulary_size: int, goal: Goal, values: Mapping[str, Any]
) -> tuple[list[Model], np.ndarray]:
    """Linear models, one for each fold; without folds one, fitted to all rows.

    Args:
        parts: Each validates what is fitted to its training rows.
        vocabulary_size: Int. Token ids.
        values: Numbers of the recipe.

    Returns:
        The models, not compiled; and outputs for the validation rows, each of what was
        fitted without them.
    """
    size = min(vocabulary_size, Bigrams.max_vocabulary_size)
    pairs = _pairs_in(parts[0], size, values["num_bigrams"])
    bigrams = _bigrams(size, pairs)
    fits = [_logistic(bigrams, part.training, goal) for part in parts]
    outputs = [
        _numbers_of_words(bigrams, part.validation.x) @ kernel + bias
        for part, (kernel, bias) in zip(parts, fits, strict=True)
    ]
    if len(parts) == 1:
        fits = [_logistic(bigrams, _together(parts[0]), goal)]
    found = [_model(_bigrams(size, pairs), *fit, goal, values) for fit in fits]
    return found, np.concatenate(outputs).astype("float32")


def _pairs_in(part: Part, vocabulary_size: int, most: int) -> np.ndarray:
    """The most frequent pairs of the texts, no more than there are, `(pairs, 2)`."""
    bigrams = Bigrams(vocabulary_size, most)
    bigrams.adapt(np.concatenate([rows.x for rows in part]))
    (pairs,) = bigrams.get_weights()
    return pairs[pairs.any(axis=1)]


def _bigrams(vocabulary_size: int, pairs: np.ndarray) -> Layer:
    bigrams = Bigrams(vocabulary_size, len(pairs), name="bigrams")
    bigrams.build((None, None))
    bigrams.set_weights([pairs])
    return bigrams


def _model(
    bigrams: Layer,
    kernel: np.ndarray,
    bias: np.ndarray,
    goal: Goal,
    values: Mapping[str, Any],
) -> Model:
    model = bag_of_words(
        (None,),
        len(bias),
        bigrams,
        max_length=values["linear_length"],
        keep=values["keep"],
        task=goal.task,
        classes=goal.classes,
    )
    model.get_layer("weights").set_weights([kernel])
    model.layers[-1].set_weights([np.eye(len(bias)), bias])
    return model


def _together(part: Part) -> Rows:
    """The rows of both kinds."""
    weights = [_weights_of(rows) for rows in part]
    x, y = (np.concatenate([getattr(rows, name) for rows in part]) for name in "xy")
    return Rows(x, y, np.concatenate(weights))


def _logistic(bigrams: Layer, rows: Rows, goal: Goal) -> tuple[np.ndarray, np.ndarray]:
    """Kernel `(numbers, outputs)` and bias: each class against all others.

    Each word counts as much as it tells the class from others by itself (the ratio of
    naive Bayes), times what logistic regression learns.
    """
    numbers = _numbers_of_words(bigrams, rows.x)
    weights = _weights_of(rows)
    kernels, biases = [], []
    for is_class in targets(rows.y, goal).T > 0:
        ratio = _log_ratio(numbers, is_class, weights)
        found = LogisticRegression(C=INVERSE_PENALTY, max_iter=MOST_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is near enough
            found.fit(numbers.multiply(ratio).tocsr(), is_class, weights)
        kernels.append(ratio * found.coef_[0])
        biases.append(found.intercept_[0])
    return np.stack(kernels, axis=1), np.array(biases)


def _log_ratio(
    numbers: sparse.csr_array, is_class: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Log of how much more often a class has each word than the others have."""
    shares = []
    for rows in (is_class, ~is_class):
        counts = (weights * rows) @ numbers + SMOOTHING
        shares.append(counts / counts.sum())
    return np.log(shares[0] / shares[1])


def _numbers_of_words(bigrams: Layer, ids: np.ndarray) -> sparse.csr_array:
    """1 where a text has the word or the pair, `(rows, numbers)`."""
    found = []
    size, width = rows_at_once(ids), bigrams.vocabulary_size + bigrams.num_bigrams
    for start in range(0, len(ids), size):
        numbers = ops.convert_to_numpy(bigrams(ids[start : start + size]))
        rows, places = np.nonzero(numbers)
        ones = np.ones(len(rows))
        shape = (len(numbers), width)
        found.append(sparse.csr_array((ones, (rows, numbers[rows, places])), shape))
    return sparse.vstack(found, "csr")


def _weights_of(rows: Rows) -> np.ndarray:
    return np.ones(len(rows.y)) if rows.weights is None else rows.weights
