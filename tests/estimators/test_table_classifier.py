"""Classes by name, probabilities that can be believed, sets that cover the truth."""

import keras
import numpy as np
import pytest

from keras_trainkit import models
from keras_trainkit.estimators import TableClassifier

TINY = {
    "members": 1,
    "hidden_units": (8,),
    "numeric_embedding": False,
    "epochs": 2,
    "validation": 0.2,
    "random_state": 3,
}


@pytest.fixture(scope="module")
def sizes():
    """Three classes by number, of unequal size, from a column and noise."""
    x = np.random.default_rng(1).normal(size=(120, 3))
    return x, np.digitize(x[:, 0], [-1.0, 0.3]) * 10


@pytest.fixture(scope="module")
def of_three(sizes):
    tiny = TINY | {
        "epochs": 15,
        "batch_size": 8,
        "learning_rate": 0.02,
        "dropout": 0.0,
        "class_weight": {0: 3.0},
    }
    auc = keras.metrics.AUC(from_logits=True, name="auc")
    return TableClassifier(**tiny, metrics=[auc]).fit(*sizes)


def test_classes_are_predicted_by_name(classifier, frame, dear):
    assert classifier.classes_.tolist() == ["cheap", "dear"]
    assert classifier.score(frame, dear) > 0.8
    assert set(classifier.predict(frame)) == {"cheap", "dear"}


def test_attributes_are_the_keras_parts(classifier, frame):
    encoded = classifier.encoder_(frame)
    assert isinstance(classifier.model_, models.MemberModel)
    names = models.predict_labels(classifier.model_, encoded, verbose=0)
    assert names.tolist() == classifier.predict(frame).tolist()
    assert set(classifier.history_) >= {"loss", "val_loss", "val_accuracy"}
    assert classifier.n_features_in_ == 4
    assert classifier.feature_names_in_.tolist() == list(frame)
    rows = [
        classifier.recipe_[f"{n}_rows"]["value"] for n in ("training", "validation")
    ]
    assert rows == [150, 50]


def test_probabilities_are_those_of_the_calibrated_model(classifier, frame):
    found = classifier.predict_proba(frame)
    encoded = classifier.encoder_(frame)
    model = classifier.calibrated_model_
    np.testing.assert_allclose(
        found, models.predict_proba(model, encoded, verbose=0), atol=1e-6
    )
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    logits = classifier.model_.predict(encoded, verbose=0)[:, 0]
    by_hand = 1 / (1 + np.exp(-logits / classifier.temperature_))
    np.testing.assert_allclose(found[:, 1], by_hand, atol=1e-6)


def test_columns_are_found_by_name_in_any_order_and_library(classifier, frame):
    probabilities = classifier.predict_proba(frame)
    turned = {name: frame[name].to_numpy() for name in reversed(frame.columns)}
    np.testing.assert_array_equal(classifier.predict_proba(turned), probabilities)


def test_sets_hold_the_truth_as_often_as_asked_on_validation_rows(classifier, frame):
    sets = classifier.predict_set(frame, coverage=0.8)
    assert sets.shape == (200, 2) and sets.dtype == bool
    limit = np.sort(classifier.conformity_scores_)[40]  # ceil(51 * 0.8) = 41 of 50
    np.testing.assert_array_equal(sets, 1 - classifier.predict_proba(frame) <= limit)


def test_a_coverage_needs_enough_validation_rows(classifier, frame):
    with pytest.raises(ValueError, match="at least 99 of them.* 50 validation rows"):
        classifier.predict_set(frame, coverage=0.99)


def test_integer_classes_of_an_array_stay_integers(of_three, sizes):
    x, y = sizes
    assert of_three.classes_.tolist() == [0, 10, 20]
    predicted = of_three.predict(x)
    assert predicted.dtype == y.dtype
    assert np.mean(predicted == y) > 0.7
    assert of_three.predict_proba(x).shape == (120, 3)
    assert not hasattr(of_three, "feature_names_in_")


def test_given_metrics_take_the_place_of_the_recipes(of_three):
    assert "val_auc" in of_three.history_ and "accuracy" not in of_three.history_


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ({"rooms": [1.0]}, r"\['age', 'town', 'sold'\] missing, \[\] unknown"),
        (np.zeros((2, 4)), "must name them .*X has 4 features without names"),
    ],
)
def test_other_columns_are_refused(classifier, x, words):
    with pytest.raises(ValueError, match=f"^`X` is read by the 4 columns .*{words}"):
        classifier.predict(x)


def test_an_array_of_another_width_is_refused(of_three):
    words = "X has 2 features, but TableClassifier is expecting 3 features as input"
    with pytest.raises(ValueError, match=words):
        of_three.predict(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "best"}, "^`preset`"),
        ({"members": 0}, "^`members`"),
        ({"epochs": 1.5}, "^`epochs`"),
        ({"batch_size": 0}, "^`batch_size`"),
        ({"hidden_units": (4, 0)}, r"^`hidden_units\[1\]`"),
        ({"dropout": 1}, "^`dropout`"),
        ({"learning_rate": 0}, "^`learning_rate`"),
        ({"weight_decay": -1}, "^`weight_decay`"),
        ({"label_smoothing": 1}, "^`label_smoothing`"),
        ({"numeric_embedding": 1}, "^`numeric_embedding`"),
        ({"scaling": "max"}, "^`scaling`"),
        ({"kinds": {"x0": "text"}}, r"^`kinds\['x0'\]`"),
        ({"categories": "x0"}, "^`categories`"),
        ({"missing_values": 7}, "^`missing_values`"),
        ({"max_categories": 0}, "^`max_categories`"),
        ({"metrics": []}, "^`metrics`"),
        ({"keras_callbacks": print}, "^`keras_callbacks`"),
        ({"random_state": -1}, "^`random_state`"),
        ({"weight_decay": 0.1, "optimizer": "sgd"}, "^`weight_decay` .*beside another"),
        ({"label_smoothing": 0.1, "loss": "mse"}, "^`label_smoothing` .*'mse'"),
        ({"class_weight": {7: 1}}, r"^`class_weight` .*\[7\]"),
        ({"validation": [0, 1, 2, 3, 4]}, r"^`validation` .*none of \[0\]"),
        ({"folds": 1}, "^`folds`"),
        ({"folds": 11}, "^`folds`"),
    ],
)
def test_arguments_out_of_range_are_refused_before_training(arguments, words):
    y = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    with pytest.raises(ValueError, match=words):
        TableClassifier(**arguments).fit(np.arange(10.0)[:, None], y)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        ({"y": [1] * 10}, "^`y` .*two classes"),
        ({"X": np.full((10, 1), np.nan)}, "^`X` .*missing values alone"),
        ({"groups": [1]}, r"^`groups` .*10 rows.*\(1,\)"),
        ({"order": [[1]] * 10}, r"^`order` .*10 rows.*\(10, 1\)"),
        ({"sample_weight": [1, 2]}, "^`sample_weight`"),
    ],
)
def test_data_out_of_range_are_refused_before_training(fit, words):
    usual = {"X": np.arange(10.0)[:, None], "y": [0, 1] * 5}
    with pytest.raises(ValueError, match=words):
        TableClassifier().fit(**usual | fit)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_column_without_a_value_is_left_out_and_weights_count():
    """Rows of weight 0 have a label of their own, which is then no class."""
    x = {"a": np.arange(30.0), "nothing": [None] * 30}
    y = ["u", "v", "w"] * 10
    weights = np.array([1.0, 2.0, 0.0] * 10)
    optimizer = keras.optimizers.SGD(0.1)
    tiny = TableClassifier(**TINY, optimizer=optimizer, class_weight="balanced")
    with pytest.warns(UserWarning, match="Left out, .*: nothing"):
        tiny.fit(x, y, sample_weight=weights)
    assert tiny.classes_.tolist() == ["u", "v"]
    assert tiny.recipe_["columns_left_out"]["value"] == ["nothing"]
    assert tiny.recipe_["training_rows"]["value"] == 16
    assert tiny.predict(x).shape == (30,)
    assert not optimizer.built  # a training has a copy of its own
    assert isinstance(tiny.model_.optimizer, keras.optimizers.SGD)
