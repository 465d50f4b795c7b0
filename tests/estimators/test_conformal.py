"""The quantile of split-conformal prediction, by its definition and by trial."""

import numpy as np
import pytest

from keras_trainkit.estimators._conformal import conformal_quantile

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("rows", "coverage", "expected"),
    [
        (9, 0.9, 9),  # rank ceil(10 * 0.9)
        (19, 0.9, 18),  # ceil(20 * 0.9)
        (20, 0.9, 19),  # ceil(18.9)
        (99, 0.95, 95),
        (4, 0.5, 3),  # ceil(2.5)
    ],
)
def test_rank_among_the_scores(rows, coverage, expected):
    assert conformal_quantile(np.arange(rows, 0, -1), coverage) == expected


def test_each_output_has_a_quantile_of_its_own():
    scores = np.stack([np.arange(9), 10 * np.arange(9)], axis=1)
    assert conformal_quantile(scores, 0.8).tolist() == [7, 70]


def test_new_rows_are_covered_as_often_as_asked():
    rng = np.random.default_rng(0)
    covered = [
        rng.exponential() <= conformal_quantile(rng.exponential(size=12), 0.8)
        for _ in range(4000)
    ]
    assert 0.8 - 0.02 < np.mean(covered) < 0.8 + 1 / 13 + 0.02


def test_too_few_rows_for_the_coverage_are_refused():
    with pytest.raises(ValueError, match="at least 9 of them.*0.9 with 8 validation"):
        conformal_quantile(np.arange(8), 0.9)


@pytest.mark.parametrize("coverage", [0, 1, 1.5, "much", None])
def test_a_coverage_that_is_no_share_is_refused(coverage):
    with pytest.raises(ValueError, match="^`coverage` is the share"):
        conformal_quantile(np.arange(50), coverage)
