"""Kernel ridge regression in closed form, and the weights of its columns."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_ridge import KernelRidge

from keras_trainkit.estimators import _kernel_ridge
from keras_trainkit.estimators._kernel_ridge import (
    _fitted,
    _mean_squared_slopes,
    kernel_ridge,
)


def waves(rows=200, noise=0.1, columns=5, seed=0):
    """Of all columns, each of another size, the first two tell something."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(rows, columns))
    y = np.sin(2 * z[:, :1]) + 0.5 * z[:, 1:2] + noise * random.normal(size=(rows, 1))
    return z * 10.0 ** np.arange(columns) + 3, y


def error(fit, x, y):
    return float(np.mean((fit.predict(x) - y) ** 2))


def test_it_is_the_regression_of_scikit_learn(monkeypatch):
    x, y = waves(60)
    monkeypatch.setattr(_kernel_ridge, "PENALTIES", np.array([0.3]))
    y -= y.mean()
    scales = 1 / x.std(axis=0)
    fit, kernel = _fitted(x, y, x, scales, None, None)
    # Of likenesses less their mean; what is told of a row is then the mean's too.
    likeness = Matern(nu=1.5)(x * scales)
    among = likeness - likeness.mean(axis=0)
    among -= among.mean(axis=1, keepdims=True)
    expected = KernelRidge(alpha=0.3, kernel="precomputed").fit(among, y).predict(among)
    alone = _kernel_ridge.KernelRidge(x, scales, kernel, fit.bias, np.zeros((0, 1)))
    found = alone.predict(x)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_columns_that_tell_nothing_count_less():
    x, y = waves()
    fit = kernel_ridge(x, y)
    relative = fit.scales * x.std(axis=0)
    assert relative[:2].min() > 2 * relative[2:].max()


def test_other_rows_are_told_better_than_with_columns_alike(monkeypatch):
    x, y = waves(columns=12)
    others, truth = waves(500, noise=0, columns=12, seed=1)
    found = error(kernel_ridge(x, y), others, truth)
    monkeypatch.setattr(_kernel_ridge, "ROUNDS", 0)
    assert found < 0.5 * error(kernel_ridge(x, y), others, truth)


def test_the_size_of_a_column_changes_nothing():
    x, y = waves()
    other = x * 2.0 ** np.arange(5) - 7
    found = kernel_ridge(other, y).predict(other)
    np.testing.assert_allclose(found, kernel_ridge(x, y).predict(x), atol=1e-6)


def test_slopes_are_those_of_the_function():
    x, y = waves(80)
    fit = kernel_ridge(x, y)
    steps = 1e-6 * np.diag(x.std(axis=0))
    along = [
        (fit.predict(x + step) - fit.predict(x - step)) / (2 * step.sum())
        for step in steps
    ]
    expected = np.mean(np.square(along), axis=(1, 2))
    found = _mean_squared_slopes(x, fit.centers, fit.scales, fit.kernel, None)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_a_row_twice_is_a_row_of_twice_the_weight(monkeypatch):
    monkeypatch.setattr(_kernel_ridge, "PENALTIES", np.array([0.01]))
    x, y = waves(60)
    weights = np.ones(60)
    weights[:20] = 2
    scales = 1 / x.std(axis=0)
    fits = [
        _fitted(x, y, x, scales, weights, None)[0],
        _fitted(
            np.concatenate([x, x[:20]]),
            np.concatenate([y, y[:20]]),
            x,
            scales,
            None,
            np.concatenate([np.arange(60), np.arange(20)]),
        )[0],
    ]
    np.testing.assert_allclose(fits[0].kernel, fits[1].kernel, atol=1e-9)
    np.testing.assert_allclose(fits[0].left_out, fits[1].left_out[:60], atol=1e-9)


def test_rows_of_a_group_do_not_tell_each_other():
    """Alike within a group, which says nothing of other groups."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 5)
    x = random.normal(size=(30, 3))[groups] + 0.01 * random.normal(size=(150, 3))
    y = random.normal(size=(30, 1))[groups]
    apart, alone = kernel_ridge(x, y, groups=groups), kernel_ridge(x, y)
    assert np.abs(apart.predict(x)).mean() < 0.5 * np.abs(alone.predict(x)).mean()


def test_of_a_single_group_rows_are_left_out_one_by_one():
    x, y = waves(60)
    found = kernel_ridge(x, y, groups=np.zeros(60, int))
    np.testing.assert_array_equal(found.kernel, kernel_ridge(x, y).kernel)


def test_some_rows_are_kept_of_many(monkeypatch):
    monkeypatch.setattr(_kernel_ridge, "MOST_CENTERS", 90)
    monkeypatch.setattr(_kernel_ridge, "FIRST_CENTERS", 40)
    x, y = waves(400)
    fit = kernel_ridge(x, y, seed=1)
    assert fit.centers.shape == (90, 5) and fit.kernel.shape == (90, 1)
    others, truth = waves(500, noise=0, seed=1)
    assert error(fit, others, truth) < 0.1
    assert (kernel_ridge(x, y, seed=2).centers != fit.centers).any()


@pytest.mark.parametrize("x", [np.zeros((20, 3)), np.ones((20, 1)) * 1e6])
def test_columns_that_never_change_give_the_mean(x):
    y = np.random.default_rng(0).normal(size=(20, 2))
    found = kernel_ridge(x, y).predict(x)
    np.testing.assert_allclose(found, np.tile(y.mean(axis=0), (20, 1)), atol=1e-6)


def test_more_columns_than_rows_are_taken():
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 300))
    y = x[:, :1] / 3
    assert error(kernel_ridge(x, y), x, y) < 0.1


def steps(rows=120, seed=0):
    """A jump along each of four columns; and its features, columns above levels."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4))
    levels = np.array([-1, -0.5, 0, 0.5, 1])
    features = (x[:, :, None] > levels).reshape(rows, -1).astype("float64")
    y = np.sum(x > [0, 0.5, -0.5, 0], axis=1, keepdims=True) + 0.1 * random.normal(
        size=(rows, 1)
    )
    return x, y, features


@pytest.mark.parametrize("weights", [None, np.repeat([1.0, 2.0], 60)])
def test_features_beside_tell_jumps(weights):
    x, y, features = steps()
    others, truth, of_others = steps(500, seed=1)
    fit = kernel_ridge(x, y, weights, features=features)
    error_beside = np.mean((fit.predict(others, of_others) - truth) ** 2)
    assert error_beside < 0.2 * error(kernel_ridge(x, y, weights), others, truth)


@pytest.mark.parametrize("width", [0, 3])
def test_features_that_tell_no_more_change_nothing(width):
    x, y = waves()
    features = np.random.default_rng(5).normal(size=(200, width))
    fit, alone = kernel_ridge(x, y, features=features), kernel_ridge(x, y)
    np.testing.assert_array_equal(fit.beside, np.zeros((width, 1)))
    np.testing.assert_array_equal(fit.predict(x, features), alone.predict(x))


def test_features_that_never_change_are_left_out():
    x, y = waves(60)
    fit = kernel_ridge(x, y, features=np.ones((60, 2)))
    np.testing.assert_array_equal(fit.beside, np.zeros((2, 1)))


def test_the_size_of_all_features_changes_nothing():
    x, y, features = steps()
    found = kernel_ridge(x, y, features=1024 * features).predict(x, 1024 * features)
    expected = kernel_ridge(x, y, features=features).predict(x, features)
    np.testing.assert_allclose(found, expected, atol=1e-9)
