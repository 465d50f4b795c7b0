"""Scores by name, by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from keras_trainkit.estimators._scoring import check_classes, scoring_for

pytestmark = pytest.mark.backend_free

Y = np.array([0, 1, 1, 2, 0, 2, 1, 0])
W = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 1.0, 0.0])
THREE = np.random.default_rng(0).dirichlet([1, 1, 1], size=8)
TWO = np.random.default_rng(1).dirichlet([1, 1], size=8)
NUMBERS = np.random.default_rng(2).normal(size=(2, 8, 2))


@pytest.mark.parametrize("weights", [None, W])
@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("accuracy", lambda y, p, w: metrics.accuracy_score(y, p.argmax(1), **w)),
        (
            "balanced_accuracy",
            lambda y, p, w: metrics.balanced_accuracy_score(y, p.argmax(1), **w),
        ),
        ("log_loss", lambda y, p, w: -metrics.log_loss(y, p, **w)),
        (
            "f1_macro",
            lambda y, p, w: metrics.f1_score(y, p.argmax(1), average="macro", **w),
        ),
    ],
)
def test_scores_of_classes_are_scikit_learns(name, oracle, weights):
    for y, found, task in ((Y, THREE, "classification"), (Y % 2, TWO, "binary")):
        expected = oracle(y, found, {"sample_weight": weights})
        score = scoring_for(name, task, 1).score(y, found, weights)
        assert score == pytest.approx(expected)


@pytest.mark.parametrize("weights", [None, W])
def test_areas_and_f1_of_two_classes_are_scikit_learns(weights):
    y, given = Y % 2, {"sample_weight": weights}
    area = metrics.roc_auc_score(y, TWO[:, 1], **given)
    assert scoring_for("auc", "binary", 1).score(y, TWO, weights) == pytest.approx(area)
    f1 = metrics.f1_score(y, TWO.argmax(1), **given)
    assert scoring_for("f1", "binary", 1).score(y, TWO, weights) == pytest.approx(f1)


def test_the_area_of_three_classes_is_the_mean_of_each_against_the_rest():
    expected = metrics.roc_auc_score(Y, THREE, multi_class="ovr")
    score = scoring_for("roc_auc", "classification", 1).score(Y, THREE, None)
    assert score == pytest.approx(expected)


@pytest.mark.parametrize("name", ["roc_auc", "balanced_accuracy", "f1_macro"])
def test_a_class_that_does_not_occur_is_left_out(name):
    """A class with one row is in no validation part; scikit-learn warns, or refuses."""
    y = np.array([0, 0, 1, 1])
    found = np.array([[0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.3, 0.6, 0.1], [0, 0.9, 0.1]])
    assert scoring_for(name, "classification", 1).score(y, found, None) == 1


def test_areas_are_refused_where_all_rows_are_of_one_class():
    area = scoring_for("auc", "binary", 1)
    check_classes(area, np.array([0, 0, 1]))
    check_classes(scoring_for("accuracy", "binary", 1), np.array([1, 1]))
    with pytest.raises(ValueError, match='^`scoring` .*"roc_auc" .*: 2 such rows'):
        check_classes(area, np.array([1, 1]))


@pytest.mark.parametrize("weights", [None, W])
@pytest.mark.parametrize(
    ("name", "oracle", "sign"),
    [
        ("rmse", metrics.root_mean_squared_error, -1),
        ("mae", metrics.mean_absolute_error, -1),
        ("mse", metrics.mean_squared_error, -1),
        ("r2", metrics.r2_score, 1),
    ],
)
def test_scores_of_numbers_are_scikit_learns(name, oracle, sign, weights):
    y, found = NUMBERS
    expected = sign * oracle(y, found, sample_weight=weights)
    score = scoring_for(name, "regression", 2).score(y, found, weights)
    assert score == pytest.approx(expected)


def test_r2_of_a_constant_target_is_a_number():
    y = np.full((3, 1), 4.0)
    r2 = scoring_for("r2", "regression", 1)
    assert r2.score(y, y, None) == 1
    assert r2.score(y, y + 1, None) == 0


@pytest.mark.parametrize(
    ("name", "task", "outputs", "expected"),
    [
        (None, "binary", 1, "log_loss"),
        (None, "regression", 1, "rmse"),
        (None, "regression", 2, "r2"),
        ("neg_log_loss", "classification", 1, "log_loss"),
        ("binary_crossentropy", "binary", 1, "log_loss"),
        ("neg_root_mean_squared_error", "regression", 1, "rmse"),
        ("r2_score", "regression", 1, "r2"),
    ],
)
def test_names_of_scikit_learn_and_keras(name, task, outputs, expected):
    assert scoring_for(name, task, outputs).name == expected


@pytest.mark.parametrize("name", ["rmse", "acc", 3, ["accuracy"], "", "r2"])
def test_unknown_names_are_refused_with_those_of_the_task(name):
    with pytest.raises(ValueError, match="^`scoring` .* for classes.*log_loss, acc"):
        scoring_for(name, "binary", 1)


def test_a_score_of_classes_is_refused_for_numbers():
    with pytest.raises(ValueError, match="for numbers, one of rmse, mae.*'roc_auc'"):
        scoring_for("roc_auc", "regression", 1)


def test_f1_of_more_classes_says_of_which():
    with pytest.raises(ValueError, match='^`scoring` .*"f1_macro"'):
        scoring_for("f1", "classification", 1)
