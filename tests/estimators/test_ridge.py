"""Ridge regression in closed form, beside scikit-learn's fits."""

import numpy as np
import pytest
from comparing import assert_close
from sklearn.linear_model import Ridge, RidgeCV

from keras_trainkit.estimators._ridge import ridge

pytestmark = pytest.mark.backend_free

PENALTIES = 10.0 ** np.arange(-6, 4)
TRIED = {"penalties": PENALTIES}


@pytest.mark.parametrize("groups", [None, np.arange(30) // 4], ids=["rows", "groups"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("features", [50, 7], ids=["more features", "more rows"])
def test_rows_are_left_out_as_by_a_fit_without_them(groups, weighted, features):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 1, size=(30, features))
    x[:, 6] = x[:, 5]
    y = x[:, :2] + rng.normal(size=(30, 2))
    weights = rng.uniform(0.5, 2, size=30) if weighted else None
    kernel, bias, left_out, penalty, error = ridge(
        x, y, weights, groups, penalties=PENALTIES
    )
    whole = Ridge(penalty).fit(x, y, weights)
    assert_close(kernel, whole.coef_.T, atol=1e-9)
    assert_close(bias, whole.intercept_, atol=1e-9)
    for group in np.unique(np.arange(30) if groups is None else groups):
        out = (np.arange(30) if groups is None else groups) == group
        rest = None if weights is None else weights[~out]
        without = Ridge(penalty).fit(x[~out], y[~out], rest)
        assert_close(left_out[out], without.predict(x[out]), atol=1e-9)
    off = np.mean((left_out - y) ** 2, axis=1)
    assert error == pytest.approx(np.average(off, weights=weights))


def test_the_penalty_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 90))
    y = x[:, :3] + rng.normal(size=(40, 3))
    assert ridge(x, y, **TRIED).penalty == RidgeCV(PENALTIES).fit(x, y).alpha_


def test_a_row_without_weight_is_told_by_the_others():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 50))
    y = x[:, :2] + rng.normal(size=(30, 2))
    weights = np.where(np.arange(30) < 4, 0.0, 1.0)
    found = ridge(x, y, weights, **TRIED)
    others = Ridge(found.penalty).fit(x[4:], y[4:])
    assert_close(found.kernel, others.coef_.T, atol=1e-6)
    assert_close(found.left_out[:4], others.predict(x[:4]), atol=1e-6)
    assert found.error == pytest.approx(ridge(x[4:], y[4:], **TRIED).error, rel=1e-6)


def test_many_rows_of_few_features_need_no_products_of_all_rows():
    """20,000 rows, whose products with each other are 3.2 GB."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 3))
    y = x[:, :1] - 2 * x[:, 2:]
    found = ridge(x, y, **TRIED)
    assert_close(found.kernel, [[1], [0], [-2]], atol=1e-4)
    assert found.error < 1e-8
