"""The MLP of all values that stands beside the linear model of shapes."""

import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.estimators import SequenceClassifier, _sequence_recipe
from keras_trainkit.estimators._parts import Rows
from keras_trainkit.estimators._step_network import step_network
from keras_trainkit.estimators._training import Goal

SMALL = {"features_per_kernel": 2, "segments": 0, "preset": "fast", "random_state": 0}


def places(rows, seed=0):
    """Noise of eight steps; which of two is higher tells the class, in no shape."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8))
    return x, np.where(x[:, 1] > x[:, 6], "first", "last")


@pytest.fixture(scope="module")
def both():
    patch = pytest.MonkeyPatch()
    patch.setattr(_sequence_recipe, "MANY_ROWS", 200)
    yield SequenceClassifier(**SMALL).fit(*places(300))
    patch.undo()


@pytest.mark.slow
def test_places_are_told_which_shapes_leave_out(both):
    x, y = places(300, seed=1)
    shapes = SequenceClassifier(**SMALL, mlp_weight=0).fit(*places(300))
    assert both.score(x, y) > shapes.score(x, y) + 0.05
    assert both.recipe_["mlp_steps"]["value"] == 8
    assert len(both.history_["loss"]) > 1 and shapes.history_ == {}


@pytest.mark.slow
def test_rows_that_neither_was_fitted_to_size_the_sets(both):
    assert both.recipe_["validation_rows"]["value"] == 60
    assert len(both.conformity_scores_) == 60
    x, y = places(400, seed=2)
    codes = np.searchsorted(both.classes_, y)
    covered = both.predict_set(x, coverage=0.8)[np.arange(400), codes].mean()
    assert 0.65 < covered < 0.95


@pytest.mark.slow
def test_the_shapes_are_fitted_to_all_rows(both):
    """As without the MLP, but for how sure they are."""
    x, y = places(300)
    alone = SequenceClassifier(**SMALL, mlp_weight=0).fit(x, y)
    padded = both._encoded(x)
    shapes = both.model_.get_layer("network_2")(padded)[:, 0]
    found, expected = (ops.convert_to_numpy(z) for z in (shapes, alone.model_(padded)))
    # Of other rows the penalty is chosen by.
    assert np.corrcoef(found[:, 0], expected[:, 0])[0, 1] > 0.95


@pytest.mark.slow
def test_saved_it_predicts_the_same(both, tmp_path):
    x, _ = places(20, seed=3)
    both.save(tmp_path / "both")
    same = SequenceClassifier.load(tmp_path / "both")
    assert_close(same.predict_proba(x), both.predict_proba(x), atol=1e-6)
    assert_equal(same.predict_set(x, coverage=0.8), both.predict_set(x, coverage=0.8))


@pytest.mark.slow
@pytest.mark.parametrize("given", ["validation", "order", "groups"])
def test_rows_that_the_user_keeps_are_kept_from_both(given):
    x, y = places(300)
    if given == "validation":
        fitted = SequenceClassifier(**SMALL, mlp_weight=0.5, validation=0.3)
        fitted.fit(x, y)
        assert fitted.recipe_["validation_rows"]["value"] == 90
        return
    labels = {"order": np.arange(300), "groups": np.arange(300) // 10}[given]
    fitted = SequenceClassifier(**SMALL, mlp_weight=0.5).fit(x, y, **{given: labels})
    assert fitted.recipe_["validation_rows"]["value"] == 60
    assert fitted.score(*places(300, seed=1)) > 0.7


@pytest.mark.slow
def test_three_classes_weights_gaps_and_lengths_are_taken():
    rng = np.random.default_rng(0)
    x, y = places(120)
    y[:40] = "other"
    x[:40, 3] += 4
    x[5, 2] = np.nan
    fitted = SequenceClassifier(**SMALL, mlp_weight=0.5)
    fitted.fit(x, y, rng.uniform(0.5, 2, size=120))
    assert fitted.recipe_["missing"]["value"] == "indicator"
    assert fitted.predict_proba(x).shape == (120, 3)
    found = fitted.predict([row[: 4 + n % 5] for n, row in enumerate(x)])
    assert set(found) <= set(y)


def test_the_mlp_is_that_of_a_table_of_the_last_steps():
    """Steps of a shorter sequence stand behind zeros, the mean of scaled values."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 6, 2)).astype("float32")
    values = {
        "mlp_steps": 6,
        "hidden_units": (8,),
        "members": 2,
        "dropout": 0.1,
        "max_length": 100,
        "keep": "end",
    }
    seen = Rows(x, np.arange(90) % 3)
    goal = Goal("classification", ["a", "b", "c"])
    network = step_network(goal, None, seen, values)
    columns = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
    table = keras.Model(network.get_layer("mlp").input, network.get_layer("mlp").output)
    members = ops.softmax(table(columns.reshape(90, 12)))
    expected = np.log(ops.convert_to_numpy(members).mean(axis=1))
    assert_close(ops.softmax(network(x)), np.exp(expected), atol=1e-4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mlp_weight": 1}, "`mlp_weight` is the share of an MLP .* below 1"),
        ({"mlp_weight": 0.5, "units": (4,)}, "`mlp_weight` .*None beside what asks"),
        ({"mlp_weight": 0.5, "features_per_kernel": 0}, "Received: mlp_weight=0.5 and"),
    ],
)
def test_arguments_out_of_range_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        SequenceClassifier(**given).fit(*places(20))


@pytest.mark.slow
def test_few_series_of_one_channel_are_not_learned_in_folds():
    x, y = places(60)
    fitted = SequenceClassifier(**SMALL, mlp_weight=0.5).fit(x, y)
    assert fitted.recipe_["folds"]["value"] is None
    assert fitted.recipe_["validation_rows"]["value"] == 12
