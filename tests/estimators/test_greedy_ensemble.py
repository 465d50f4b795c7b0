"""The choice of an ensemble, against a plain one in NumPy and by hand."""

import itertools

import numpy as np
import pytest

from keras_trainkit.estimators._greedy_ensemble import greedy_ensemble

pytestmark = pytest.mark.backend_free


def minus_mse(y):
    return lambda mean: -float(np.mean((y - mean) ** 2))


def plain_greedy(predictions, score, rounds, most):
    """Every step by its definition: lists of the candidates chosen so far."""
    chosen, best, best_score = [], [], -np.inf
    for _ in range(rounds):
        allowed = range(len(predictions))
        if len(set(chosen)) >= most:
            allowed = sorted(set(chosen))
        scores = {
            c: score(np.mean([predictions[n] for n in [*chosen, c]], axis=0))
            for c in allowed
        }
        chosen = [*chosen, max(scores, key=scores.get)]
        if score(np.mean([predictions[n] for n in chosen], axis=0)) > best_score:
            best = chosen
            best_score = score(np.mean([predictions[n] for n in best], axis=0))
    return np.bincount(best, minlength=len(predictions))


def test_errors_that_cancel_are_chosen_by_hand():
    """0 and 6 mean 3; two of 2 and one of 5 mean 3 as well, but come later."""
    y = np.array([[3.0]])
    predictions = np.array([[[2.0]], [[5.0]], [[9.0]]])
    # Round 1: 2 (off by 1). Round 2: 2 + 5 = 3.5 (.5). Round 3: 2 + 2 + 5 = 3 (0).
    assert greedy_ensemble(predictions, minus_mse(y)).tolist() == [2, 1, 0]
    assert greedy_ensemble(predictions, minus_mse(y), rounds=2).tolist() == [1, 1, 0]


def test_the_first_of_equals_is_chosen():
    y = np.zeros((3, 1))
    predictions = np.ones((4, 3, 1))
    assert greedy_ensemble(predictions, minus_mse(y)).tolist() == [1, 0, 0, 0]


def test_no_more_candidates_than_the_most():
    y = np.zeros((4, 1))
    predictions = np.eye(4)[:, :, None] * 4
    assert greedy_ensemble(predictions, minus_mse(y), most=2).tolist() == [1, 1, 0, 0]
    assert greedy_ensemble(predictions, minus_mse(y)).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_choices_are_those_of_the_plain_one(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(30, 2))
    predictions = y + rng.normal(size=(7, 30, 2)) * rng.uniform(0.5, 2, (7, 1, 1))
    for rounds, most in itertools.product([1, 12], [2, 5]):
        found = greedy_ensemble(predictions, minus_mse(y), rounds, most)
        expected = plain_greedy(predictions, minus_mse(y), rounds, most)
        assert found.tolist() == expected.tolist()


def test_probabilities_are_averaged_for_a_score_of_classes():
    y = np.array([0, 0, 1])

    def accuracy(mean):
        return float(np.mean(mean.argmax(1) == y))

    sure = np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])  # the second row is wrong
    other = np.array([[0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])  # the first row is wrong
    # Their mean has all three right: .65, .65, .25 for the class 0.
    assert greedy_ensemble(np.stack([sure, other]), accuracy).tolist() == [1, 1]
