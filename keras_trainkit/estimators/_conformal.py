"""Conformal prediction: how far off validation rows were, for other rows."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_number
from keras_trainkit._types import Model, Tensor
from keras_trainkit.layers import MemberMean

ROUNDING = 1e-6  # of a prediction; a batch of another size may round otherwise


def conformal_quantile(scores: np.ndarray, coverage: float) -> np.ndarray:
    """The score that a new row stays below with probability `coverage` or more.

    Of n scores the one of rank `ceil((n + 1) * coverage)`, which holds for any n where
    the new row and the n rows are exchangeable.

    Args:
        scores: `(rows,)` or `(rows, outputs)`, larger where a prediction was worse.
        coverage: Float in (0, 1).

    Returns:
        Array `()` or `(outputs,)`.

    Raises:
        ValueError: Fewer rows than the coverage needs, `coverage / (1 - coverage)`.

    Source: Vovk, Gammerman and Shafer, 2005; Angelopoulos and Bates, 2021,
    arXiv:2107.07511, section 1.
    """
    return np.sort(scores, axis=0)[_rank(len(scores), coverage) - 1]


def _rank(rows: int, coverage: float) -> int:
    check_number(
        "coverage", coverage, "is the share of rows to be covered", above=0, below=1
    )
    rank = math.ceil(round((rows + 1) * coverage, 9))  # 10 * 0.9 is 9
    if rank > rows:
        needed = math.ceil(round(coverage / (1 - coverage), 9))
        raise ValueError(
            "`coverage` is the share of rows to be covered, learned from the rows "
            f"kept for validation, and needs at least {needed} of them. "
            f"Received: coverage={coverage} with {rows} validation rows."
        )
    return rank


def class_sets(
    model: Model, temperature: float, scores: Sequence[np.ndarray], coverage: float
) -> Model:
    """Model of the classes that a row may be of, by the networks of folds.

    A class of a new row is compared with the rows of each fold as the network says
    that left these out, never with what their mean says, which is less sure of itself.
    It is in the set if it is no less probable than the true class is in enough rows of
    all folds together.

    Args:
        model: A `models.ensemble` of one network for each fold, or of several times as
            many, fold after fold.
        temperature: Float > 0. By which logits are divided.
        scores: For each fold `(rows,)`, ascending: 1 less the probability of the truth.
        coverage: Float in (0, 1).

    Returns:
        Model of the same inputs; bools `(batch, classes)`.

    Raises:
        ValueError: As `conformal_quantile`.

    Source: Vovk, 2015, arXiv:1208.0806, cross-conformal predictors, with the score of
    arXiv:1609.00451.
    """
    rows = sum(map(len, scores))
    at_least = rows + 1 - _rank(rows, coverage)
    sets = _ClassSets(temperature, scores, at_least)
    return keras.Model(model.input, sets(_logits_of_folds(model, len(scores))))


def _logits_of_folds(model: Model, folds: int) -> list[Tensor]:
    """Of each fold the mean of its networks."""
    networks = [n for n in model.layers if n.name.startswith("network_")]
    mean = model.layers[-1]
    sizes = [network.output.shape[1] for network in networks]
    shares = mean.shares or [1 / sum(sizes)] * sum(sizes)
    of_networks = np.split(np.array(shares), np.cumsum(sizes)[:-1])
    found = []
    for fold in range(folds):
        own = np.concatenate(of_networks[fold::folds])
        members = [network(model.input) for network in networks[fold::folds]]
        together = members[0] if len(members) == 1 else ops.concatenate(members, axis=1)
        shares, dtype = (own / own.sum()).tolist(), mean.dtype_policy
        average = MemberMean(mean.kind, shares=shares, dtype=dtype)
        found.append(average(together))
    return found


class _ClassSets(keras.layers.Layer):
    """Classes that are no less probable than the true one of enough validation rows."""

    def __init__(
        self, temperature: float, scores: Sequence[np.ndarray], at_least: int
    ) -> None:
        super().__init__(dtype="float32", name="class_sets")
        self.temperature = temperature
        self.scores = [np.asarray(of_fold, "float32") for of_fold in scores]
        self.at_least = at_least

    def call(self, inputs: list[Tensor]) -> Tensor:
        counts = [
            self._rows_no_more_probable(logits, known)
            for logits, known in zip(inputs, self.scores, strict=True)
        ]
        return sum(counts) >= self.at_least

    def _rows_no_more_probable(self, logits: Tensor, scores: np.ndarray) -> Tensor:
        if logits.shape[1] == 1:
            logits = ops.concatenate([ops.zeros_like(logits), logits], axis=1)
        own = 1 - ops.softmax(logits / self.temperature, axis=-1) - ROUNDING
        lower = ops.searchsorted(scores, ops.reshape(own, (-1,)))
        return len(scores) - ops.reshape(lower, ops.shape(own))

    def compute_output_spec(self, inputs: list[Tensor]) -> keras.KerasTensor:
        rows, outputs = inputs[0].shape
        return keras.KerasTensor((rows, max(2, outputs)), "bool")
