import numpy as np
import pandas as pd
import pytest
from comparing import assert_close, assert_equal

from keras_trainkit.data import mixup

RNG = np.random.default_rng(0)
X = np.eye(300)  # a mixture shows the rows that it is made of, and their shares
CLASSES = RNG.integers(0, 4, 300)


def test_targets_are_mixed_as_inputs_are():
    x, y = mixup(X, CLASSES, num_classes=4, seed=3)
    assert x.dtype == y.dtype == "float32"
    assert_close(x.sum(axis=1), 1, atol=1e-6)
    assert ((x > 0).sum(axis=1) <= 2).all()
    assert_close(y, x @ np.eye(4)[CLASSES], atol=1e-6)


def test_numbers_are_mixed_as_inputs_are():
    target = RNG.normal(size=(300, 2))
    x, y = mixup(X, target, alpha=0.7, seed=3)
    assert_close(y, x @ target, atol=1e-6)


def test_one_hot_rows_may_be_integers():
    one_hot = np.eye(4, dtype=int)[CLASSES]
    assert_close(mixup(X, one_hot)[1], mixup(X, CLASSES, num_classes=4)[1])
    with pytest.raises(ValueError, match="array of floats"):
        mixup(X, 3 * one_hot)


def test_shares_have_the_moments_of_the_beta_distribution():
    x, _ = mixup(np.arange(20_000.0), np.zeros(20_000), alpha=0.4, seed=3)
    one = np.where(np.arange(20_000) % 2, 1.0, 0.0)
    mixed, _ = mixup(one, one, alpha=0.4, seed=3)
    # Half of the pairs are alike; of the others the variance of Beta(a, a) is
    # 1 / (4 (2 a + 1)), and 1 / 4 of pairs alike.
    expected = (1 / 4 + 1 / (4 * 1.8)) / 2
    assert mixed.var() == pytest.approx(expected, abs=0.004)
    assert x.mean() == pytest.approx(9999.5, rel=0.02)


def test_cross_entropy_is_that_of_both_weighted_targets():
    weight = RNG.uniform(0, 3, 300)
    weight[:40] = 0
    log_p = np.log(RNG.dirichlet(np.ones(4), 300))
    x, y, w = mixup(X, CLASSES, weight, num_classes=4, seed=3)
    expected = ((x * weight) @ np.eye(4)[CLASSES] * log_p).sum(axis=1)
    assert_close(w * (y * log_p).sum(axis=1), expected, atol=1e-5)
    assert_close(y.sum(axis=1), 1, atol=1e-6)


def test_a_seed_repeats_and_another_differs():
    first, again, other = (mixup(X, X, seed=seed)[0] for seed in (3, 3, 4))
    assert_equal(first, again)
    assert (first != other).any()


def test_the_rows_given_stay_as_they_are():
    x = X.copy()
    mixup(x, x, seed=3)
    assert_equal(x, X)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 0}, "how far rows are mixed.*above 0"),
        ({"seed": -1}, "repeatable.*at least 0"),
        ({"x": np.ones((300, 2), int)}, "array of floats.*int64"),
        ({"y": CLASSES}, "array of floats.*`num_classes`"),
        ({"y": CLASSES, "num_classes": 3}, "integers from 0 to 2"),
        ({"y": CLASSES / 1.0, "num_classes": 4}, "integers from 0 to 3.*float64"),
        ({"num_classes": 1}, "width of one-hot rows.*at least 2"),
        ({"y": np.ones(299)}, r"as many rows.*\[299, 300\]"),
        ({"sample_weight": -np.ones(300)}, "finite numbers of at least 0"),
        ({"sample_weight": np.ones((300, 1))}, r"shape \(300, 1\)"),
        ({"sample_weight": ["a"] * 300}, "what a row counts and must be numbers.*'a'"),
        ({"x": [[1.0], [2.0, 3.0]]}, r"^`x` .*array of floats.*x=\[\[1.0\], \[2.0"),
        ({"y": [[1.0], [2.0, 3.0]]}, r"^`y` .*array of floats.*y=\[\[1.0\], \[2.0"),
        ({"y": [[1], [2, 3]], "num_classes": 4}, r"integers from 0 to 3.*y=\[\[1\]"),
        (
            {"x": pd.Series(X[0]), "y": pd.Series(X[0], index=np.arange(300)[::-1])},
            "`y` belongs to the rows of `x` by position",
        ),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        mixup(**{"x": X, "y": np.ones(300), **arguments})


def test_masked_numbers_are_missing():
    x = np.ma.array([[1.0], [-9.0]], mask=[[False], [True]])
    mixed, _ = mixup(x, np.ones(2), seed=0)
    assert np.isnan(mixed).any()
    weights = np.ma.array([1.0, 5.0], mask=[False, True])
    with pytest.raises(ValueError, match="^`sample_weight` .*finite numbers"):
        mixup(np.eye(2), np.ones(2), weights)
    with pytest.raises(ValueError, match="^`y` holds class numbers.*float64"):
        mixup(np.eye(2), np.ma.array([0, 1], mask=[0, 1]), num_classes=2)


def test_numbers_whose_differences_are_lost_are_refused():
    far = 1e9 + RNG.uniform(0, 1, 300)  # float32 has steps of 64 there
    words = "mixed by a weighted mean and must differ by more than 1e-05 of its size"
    with pytest.raises(ValueError, match=f"^`y` is {words}"):
        mixup(X, far)
    with pytest.raises(ValueError, match=f"^`x` is {words}"):
        mixup(np.stack([far, np.ones(300)], axis=1), np.ones(300))
    with pytest.raises(ValueError, match="^`x` .* must reach further than 1e-35"):
        mixup(1e-40 * X, np.ones(300))
    with pytest.raises(ValueError, match="^`sample_weight` .*Received: 300 that bec"):
        mixup(X, np.ones(300), np.full(300, 1e-50))
    mixup(far.astype("float32"), np.full(300, 1e9))  # as they came, and a constant


def test_numbers_that_become_infinite_are_refused():
    with pytest.raises(
        ValueError, match="^`y` is mixed .*finite. Received: 2 infinite"
    ):
        mixup(np.eye(2), np.full(2, 1e39))
