"""Numbers in their own units, with intervals, for one target and for several."""

import numpy as np
import pytest

from keras_trainkit.estimators import TableRegressor


def test_predictions_are_in_the_units_of_the_targets(regressor, frame, price):
    predicted = regressor.predict(frame)
    assert predicted.shape == (200,)
    assert np.sqrt(np.mean((predicted - price) ** 2)) < 8e4 < price.std()
    assert regressor.score(frame, price) > 0.5
    assert "val_rmse" in regressor.history_


def test_intervals_are_as_wide_as_validation_rows_were_off(regressor, frame):
    lower, upper = regressor.predict_interval(frame, coverage=0.8)
    predicted = regressor.predict(frame)
    assert len(regressor.conformity_scores_) == 50
    width = regressor.conformity_scores_[40, 0]  # ceil(51 * 0.8) = 41 of 50
    np.testing.assert_allclose(lower, predicted - width, rtol=1e-5)
    np.testing.assert_allclose(upper, predicted + width, rtol=1e-5)
    assert ((upper - lower) / 2 >= width).all()


def test_rows_that_were_not_seen_are_covered(regressor, frame, price):
    """Trained and validated rows together, so a little more than was asked."""
    lower, upper = regressor.predict_interval(frame, coverage=0.8)
    assert 0.7 < np.mean((lower <= price) & (price <= upper)) < 0.95


def test_a_coverage_needs_enough_validation_rows(regressor, frame):
    with pytest.raises(ValueError, match="at least 99 of them.* 50 validation rows"):
        regressor.predict_interval(frame, coverage=0.99)


@pytest.mark.slow
def test_several_outputs_keep_their_axis():
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.stack([x[:, 0], 1e6 * x[:, 1]], axis=1)
    tiny = TableRegressor(
        members=1, hidden_units=(4,), numeric_embedding=False, epochs=1, validation=20
    )
    tiny.fit(x, y)
    assert tiny.predict(x).shape == (60, 2)
    lower, upper = tiny.predict_interval(x, coverage=0.5)
    widths = (upper - lower)[0]
    assert lower.shape == (60, 2) and widths[1] > 1e5 * widths[0]


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_new_rows_are_covered_as_often_as_asked(coverage, sines):
    """500 rows kept from training: a standard deviation of 2 % at 0.8."""
    regressor, x, y = sines
    lower, upper = regressor.predict_interval(x, coverage)
    assert np.mean((lower <= y) & (y <= upper)) == pytest.approx(coverage, abs=0.05)


@pytest.fixture(scope="module")
def sines():
    """A fitted regressor, and 2000 rows that it has not seen."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3000, 3))
    y = np.sin(2 * x[:, 0]) + 0.3 * rng.standard_t(3, size=3000)
    small = {"members": 2, "hidden_units": (32,), "epochs": 9, "random_state": 0}
    small |= {"learning_rate": 0.01}
    regressor = TableRegressor(validation=500, **small).fit(x[:1000], y[:1000])
    return regressor, x[1000:], y[1000:]
