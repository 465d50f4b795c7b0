"""Greedy selection of an ensemble from what its candidates predict."""

from collections.abc import Callable

import numpy as np

ROUNDS = 25
MOST = 5  # networks, or sets of networks in folds, in the ensemble


def greedy_ensemble(
    predictions: np.ndarray,
    score: Callable[[np.ndarray], float],
    rounds: int = ROUNDS,
    most: int = MOST,
    is_over: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """Number of times that each candidate counts in the mean that scores best.

    In each round the candidate is added, with replacement, whose addition to the mean
    scores best; the first of equals, so candidates come best first. What was chosen
    after the best of all rounds counts, the first of equals again.

    Args:
        predictions: `(candidates, rows, ...)`: probabilities or values, of rows that
            the candidate was not trained on.
        score: Function of such a mean `(rows, ...)`: higher is better.
        rounds: Int >= 1.
        most: Int >= 1. Different candidates, at most.
        is_over: Function of nothing. True ends the rounds, after the first.

    Returns:
        Ints `(candidates,)` that sum to `rounds` at most.

    Source: Caruana, Niculescu-Mizil, Crew and Ksikes, 2004, "Ensemble Selection from
    Libraries of Models". There bags of the library are drawn, and the ensemble begins
    with several of the best; the number of different candidates is not limited.
    """
    total = np.zeros(predictions.shape[1:], "float64")
    counts = np.zeros(len(predictions), int)
    best, best_score = counts, -np.inf
    for number in range(1, rounds + 1):
        if number > 1 and is_over():
            break
        open_ = counts > 0 if np.count_nonzero(counts) >= most else counts >= 0
        scores = [
            score((total + candidate) / number) if is_open else -np.inf
            for candidate, is_open in zip(predictions, open_, strict=True)
        ]
        chosen = int(np.argmax(scores))
        total = total + predictions[chosen]
        counts = counts.copy()
        counts[chosen] += 1
        if scores[chosen] > best_score:
            best, best_score = counts, scores[chosen]
    return best
