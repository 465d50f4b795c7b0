"""Intervals and sets are those that MAPIE finds for the same model and rows."""

import numpy as np
import pytest

from keras_trainkit.estimators import TableClassifier, TableRegressor

pytest.importorskip("mapie")
from mapie.classification import SplitConformalClassifier  # noqa: E402
from mapie.regression import SplitConformalRegressor  # noqa: E402

VALIDATED, NEW = np.arange(120, 200), slice(200, 400)
TINY = {"members": 2, "hidden_units": (8,), "epochs": 4, "validation": VALIDATED}
every_coverage = pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])


@pytest.fixture(scope="module")
def x():
    """An array, since MAPIE first asks for a prediction for zeros without names."""
    return np.random.default_rng(0).normal(size=(400, 3))


@pytest.fixture(scope="module")
def regressor(x):
    return TableRegressor(**TINY, random_state=3).fit(x[:200], x[:200, 0] ** 2)


@pytest.fixture(scope="module")
def classifier(x):
    return TableClassifier(**TINY, random_state=3).fit(x[:200], thirds(x[:200]))


def thirds(x):
    return np.digitize(x[:, 0] - x[:, 1], [-0.5, 0.5])


@pytest.mark.first_quick
@every_coverage
def test_intervals_of_a_regressor(regressor, x, coverage):
    mapie = SplitConformalRegressor(regressor, confidence_level=coverage, prefit=True)
    mapie.conformalize(x[VALIDATED], x[VALIDATED, 0] ** 2)
    _, expected = mapie.predict_interval(x[NEW])
    found = np.stack(regressor.predict_interval(x[NEW], coverage), axis=1)
    np.testing.assert_allclose(found, expected[:, :, 0], atol=1e-4)


@pytest.mark.first_quick
@every_coverage
def test_sets_of_a_classifier(classifier, x, coverage):
    mapie = SplitConformalClassifier(
        classifier, confidence_level=coverage, prefit=True, conformity_score="lac"
    )
    mapie.conformalize(x[VALIDATED], thirds(x)[VALIDATED])
    _, expected = mapie.predict_set(x[NEW])
    found = classifier.predict_set(x[NEW], coverage)
    np.testing.assert_array_equal(found, expected[:, :, 0])
