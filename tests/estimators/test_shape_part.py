"""The linear model of shapes, which classes are told by without an argument."""

import json

import keras
import numpy as np
import pytest
from comparing import assert_close

from keras_trainkit.estimators import SequenceClassifier, _shape_part
from keras_trainkit.estimators._shape_part import _level_share

SMALL = {"features_per_kernel": 3, "random_state": 0}


def waves(rows, channels=1, seed=0):
    """Slow and fast waves from any phase, of 20 to 39 steps, in noise."""
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(rows) % 3 == 0, "slow", "fast")
    x = []
    for label in y:
        time = np.arange(rng.integers(20, 40)) + rng.uniform(0, 40)
        wave = np.sin(time * (0.3 if label == "slow" else 0.9))
        x.append(wave[:, None] + rng.normal(0, 0.3, size=(len(time), channels)))
    return x, y


@pytest.fixture(scope="module")
def classifier():
    return SequenceClassifier(features_per_kernel=12, random_state=0).fit(*waves(60))


def test_a_class_without_weight_is_told_at_no_row():
    x, y = waves(30)
    fitted = SequenceClassifier(**SMALL, class_weight={"slow": 0}).fit(x, y)
    assert set(fitted.predict(x)) == {"fast"}


def test_one_huge_group_leaves_another_to_leave_out(monkeypatch):
    """Of 90 rows one is of another group, and 20 of them choose the share."""
    monkeypatch.setattr(_shape_part, "ENOUGH_ROWS", 20)
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=(90, 8)), np.zeros(90, int)
    groups[5] = 1
    y = x[:, 4:5]  # a level tells it all
    assert _level_share(x, 4, y, np.ones(90), groups, groups >= 0) > 0
    with pytest.raises(ValueError, match="must name two groups of the training"):
        SequenceClassifier(**SMALL, validation=0.5).fit(
            rng.normal(size=(20, 9)), np.arange(20) % 2, groups=np.arange(20) // 10
        )


def test_series_of_any_length_are_told_apart_in_seconds(classifier):
    x, y = waves(60, seed=1)
    assert classifier.score(x, y) > 0.95
    assert classifier.recipe_["validation_rows"]["value"] == 60
    assert "epochs" not in classifier.recipe_
    assert classifier.history_ == {}


def test_a_level_late_in_the_sequence_is_told():
    """Noise whose second half is a little higher or lower."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.normal(size=(60, 40))
    x[:, 20:] += 0.4 * (2 * y - 1)[:, None]
    fitted = SequenceClassifier(**SMALL).fit(x[:40], y[:40])
    assert fitted.recipe_["level_share"]["value"] > 0
    assert fitted.score(x[40:], y[40:]) >= 0.9
    without = SequenceClassifier(**SMALL, segments=0).fit(x[:40], y[:40])
    assert without.recipe_["level_share"]["value"] == 0


def test_the_rows_left_out_correct_the_probabilities(classifier):
    """As sure as a fit without a row is of it: neither 1 everywhere, nor a half."""
    assert len(classifier.conformity_scores_) == 60
    x, y = waves(200, seed=2)
    sets = classifier.predict_set(x, coverage=0.9)
    codes = np.searchsorted(classifier.classes_, y)
    assert 0.8 < sets[np.arange(200), codes].mean() <= 1
    truth = classifier.predict_proba(x)[np.arange(200), codes]
    assert -np.log(truth).mean() < 0.3


@pytest.mark.parametrize("classes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_saved_and_pickled_it_predicts_the_same(classes, tmp_path):
    x, y = waves(30, channels=2)
    y[:classes] = ["a", "b", "c"][:classes]
    y[classes : 2 * classes] = ["a", "b", "c"][:classes]
    fitted = SequenceClassifier(**SMALL).fit(x, y)
    expected = fitted.predict_proba(x)
    assert_close(expected.sum(1), np.ones(30), atol=1e-6)
    fitted.save(tmp_path / "shapes")
    loaded = SequenceClassifier.load(tmp_path / "shapes")
    assert_close(loaded.predict_proba(x), expected, atol=1e-6)
    assert loaded.history_ == {}


def test_classes_of_one_row_are_learned():
    """Forty shapes, of which each is seen once: told again in noise."""
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(40, 30, 1)).cumsum(axis=1)
    noisy = shapes + rng.normal(0, 0.1, size=shapes.shape)
    for few in (shapes, np.concatenate([shapes, shapes[:1]])):
        y = np.arange(len(few)) % 40
        fitted = SequenceClassifier(features_per_kernel=20, random_state=0).fit(few, y)
        assert np.mean(fitted.predict(noisy) == np.arange(40)) > 0.9
    assert fitted.recipe_["validation_rows"]["value"] == 2
    assert fitted.recipe_["training_rows"]["value"] == 41


def test_missing_values_are_read():
    x, y = waves(40)
    for row in x[::2]:
        row[3] = np.nan
    fitted = SequenceClassifier(**SMALL).fit(x, y)
    assert fitted.recipe_["missing"]["value"] == "indicator"
    assert fitted.score(x, y) > 0.9


def test_copies_of_a_row_do_not_tell_of_each_other():
    """Noise, of which five copies each are in one group: nothing can be told."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(12, 30)), 5, axis=0)
    y = np.repeat(np.arange(12) % 2, 5)
    apart = SequenceClassifier(**SMALL).fit(x, y)
    together = SequenceClassifier(**SMALL).fit(x, y, groups=np.repeat(range(12), 5))
    assert np.median(apart.conformity_scores_) < 0.1
    assert np.median(together.conformity_scores_) > 0.3


def test_validation_rows_are_not_trained_on():
    x, y = waves(60)
    fitted = SequenceClassifier(**SMALL, validation=range(40, 60)).fit(x, y)
    without = SequenceClassifier(**SMALL).fit(x[:40], y[:40])
    assert len(fitted.conformity_scores_) == 20
    for weight, same in zip(
        fitted.model_.get_weights(), without.model_.get_weights(), strict=True
    ):
        assert_close(weight, same, atol=1e-4)


def test_the_last_rows_in_time_are_validated():
    x, y = waves(60)
    fitted = SequenceClassifier(**SMALL).fit(x, y, order="rows")
    assert len(fitted.conformity_scores_) == 12


@pytest.mark.slow
def test_weights_count():
    """Noise, so that a class of less weight is less probable everywhere."""
    x, y = np.random.default_rng(0).normal(size=(60, 30)), np.arange(60) % 2
    weights = np.where(y == 0, 0.1, 1.0)
    fitted = SequenceClassifier(**SMALL).fit(x, y, sample_weight=weights)
    plain = SequenceClassifier(**SMALL).fit(x, y)
    few, many = (one.predict_proba(x)[:, 0].mean() for one in (fitted, plain))
    assert few < many - 0.05
    assert many == pytest.approx(0.5, abs=0.15)


@pytest.mark.slow
def test_an_argument_of_a_network_trains_one():
    x, y = waves(40)
    quick = {"epochs": 1, "validation": 0.2}
    for given in ({"units": (2,)}, quick, {"features_per_kernel": 0} | quick):
        few = {"units": (2,), "convolutions": (), "epochs": 1} | given
        fitted = SequenceClassifier(**few).fit(x, y)
        assert "features_per_kernel" not in fitted.recipe_
        assert len(fitted.history_["val_loss"]) == 1


@pytest.mark.slow
def test_the_model_is_compiled_for_its_task():
    x, y = waves(30)
    fitted = SequenceClassifier(**SMALL).fit(x, y)
    codes = np.searchsorted(fitted.classes_, y)[:, None]
    padded = fitted._encoded(x)
    found = fitted.model_.evaluate(padded, codes, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx(fitted.score(x, y))


def test_a_report_has_no_curves(classifier, tmp_path):
    x, y = waves(30, seed=3)
    page = classifier.report(tmp_path / "shapes.html", x, y)
    numbers = json.loads(page.with_suffix(".json").read_text())
    assert numbers["verdict"].startswith("The model was fitted in closed form")
    assert "penalty" in numbers["sections"]["recipe"]["numbers"]


def test_what_cannot_be_left_out_is_refused():
    x, y = waves(6)
    with pytest.raises(ValueError, match=r"must name two groups.*6 rows"):
        SequenceClassifier().fit(x, y, groups=np.zeros(6))
    with pytest.raises(ValueError, match="`features_per_kernel`"):
        SequenceClassifier(features_per_kernel=-1).fit(x, y)
    for network in ({"units": (2,)}, {"features_per_kernel": 0}):
        with pytest.raises(ValueError, match=r"`segments`.*beside what asks for a net"):
            SequenceClassifier(segments=3, **network).fit(x, y)
    with pytest.raises(ValueError, match="`segments` is the number of parts"):
        SequenceClassifier(segments=-1).fit(x, y)
    with pytest.raises(ValueError, match="`epochs`"):
        SequenceClassifier(features_per_kernel=3, epochs=5).fit(x, y)


@pytest.mark.slow
def test_it_is_fitted_alike_twice():
    x, y = waves(40, channels=3)
    one, other = (SequenceClassifier(**SMALL).fit(x, y) for _ in range(2))
    assert np.array_equal(one.predict_proba(x), other.predict_proba(x))
    assert isinstance(one.model_, keras.Model)
