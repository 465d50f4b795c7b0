import copy
import pickle

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from searching import Curves

from keras_trainkit import layers, tuners
from keras_trainkit.hypermodels import HyperBiLSTMAttention, HyperMLP
from keras_trainkit.models import MemberModel

SMALL = {"layers": 1, "units": 4, "optimizer": "adamw", "schedule": "constant"}


@pytest.fixture
def rows():
    x = np.random.default_rng(3).normal(50, 9, size=(40, 3)).astype("float32")
    return x, 1000 + 200 * x[:, :1]


def scaled(x_train, y_train):
    scaling, target_scaling = layers.StandardScaling(), layers.StandardScaling()
    scaling.adapt(x_train)
    target_scaling.adapt(y_train)
    return {"scaling": scaling, "target_scaling": target_scaling}


def two_scalings(x_train, y_train):
    standard, robust = layers.StandardScaling(), layers.RobustScaling()
    standard.adapt(x_train)
    robust.adapt(x_train)
    return {"scaling": {"standard": standard, "robust": robust}}


def encoded(table, y_train):
    encoder = layers.TableEncoder()
    encoder.adapt(table)
    return {
        "encoding": encoder,
        "input_shape": encoder.numeric_shape,
        "category_sizes": encoder.category_sizes,
    }


def regression(prepare, space=None):
    space = SMALL | (space or {})
    return HyperMLP((3,), 1, "regression", space=space, prepare=prepare)


def center_of(model):
    return keras.ops.convert_to_numpy(model.layers[1].center)


def test_models_are_built_with_what_was_learned(rows):
    hypermodel = regression(scaled)
    assert hypermodel.prepared is None
    assert hypermodel.prepare(*rows) is hypermodel.prepared
    model = hypermodel.build(keras_tuner.HyperParameters())
    assert isinstance(model, MemberModel)  # as a target scaling makes it
    assert center_of(model) == pytest.approx(rows[0].mean(0), rel=1e-5)


def test_prepared_again_a_fold_has_its_own_statistics(rows):
    hypermodel, hp = regression(scaled), keras_tuner.HyperParameters()
    hypermodel.prepare(rows[0][:20], rows[1][:20])
    first = hypermodel.build(hp)
    hypermodel.prepare(rows[0][20:], rows[1][20:])
    second = hypermodel.build(hp)
    assert center_of(first) == pytest.approx(rows[0][:20].mean(0), rel=1e-5)
    assert center_of(second) == pytest.approx(rows[0][20:].mean(0), rel=1e-5)


def test_trials_share_no_layer(rows):
    def prepare(x, y):
        embedding = layers.PiecewiseLinearEmbedding(bins=3, units=2)
        embedding.adapt(x)
        return {"numeric_embedding": embedding}

    hypermodel, hp = regression(prepare), keras_tuner.HyperParameters()
    given = hypermodel.prepare(*rows)["numeric_embedding"]
    before = keras.ops.convert_to_numpy(given.bias).copy()
    first, second = hypermodel.build(hp), hypermodel.build(hp)
    hypermodel.fit(hp, first, *rows, epochs=1, verbose=0)
    assert not np.array_equal(first.layers[1].bias, before)
    assert np.array_equal(second.layers[1].bias, before)
    assert np.array_equal(given.bias, before)
    assert np.array_equal(second.layers[1].edges, given.edges)


def test_before_rows_are_prepared_a_model_is_refused_and_the_space_is_known(rows):
    hypermodel, hp = regression(scaled), keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    assert "learning_rate" in hp
    with pytest.raises(keras_tuner.errors.FatalValueError, match="call `hypermodel.p"):
        hypermodel.build(hp)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("standard", layers.StandardScaling), ("robust", layers.RobustScaling)],
)
def test_space_chooses_by_name_from_several(name, kind, rows):
    hypermodel = regression(two_scalings, {"scaling": ["none", "robust", "standard"]})
    hypermodel.prepare(*rows)
    hp = keras_tuner.HyperParameters()
    hp.values["scaling"] = name
    assert isinstance(hypermodel.build(hp).layers[1], kind)
    hp = keras_tuner.HyperParameters()  # begins with the first name
    assert isinstance(hypermodel.build(hp).layers[1], keras.layers.Dense)


@pytest.mark.parametrize(
    ("returned", "space", "words"),
    [
        (None, {}, "must return a dict with some of these keys: encoding, .*: None"),
        ({"scale": 1}, {}, r"some of these keys: encoding, .*Received: \['scale'\]"),
        ({"scaling": {"a": 1}}, {}, r"where the space chooses, .*'scaling': \['a'\]"),
        ({"scaling": 1}, {"scaling": ["a"]}, "'scaling' a dict with the names .*: 1"),
        ({"scaling": {"b": 1}}, {"scaling": ["a"]}, r"chooses from: 'a' .*: \['b'\]"),
        ({}, {"scaling": "a"}, "a dict with the names .*None"),
    ],
)
def test_what_prepare_returns_is_checked(returned, space, words, rows):
    hypermodel = regression(lambda x, y: returned, space)
    with pytest.raises(ValueError, match=words):
        hypermodel.prepare(*rows)


def test_tables_are_encoded_by_what_the_training_rows_taught():
    table = pd.DataFrame(
        {"age": [31.0, 58.0, 44.0, 20.0], "town": ["Ulm", "Bonn", "Ulm", "Bonn"]}
    )
    y = np.array([0, 1, 0, 1])
    hypermodel = HyperMLP(None, 1, "binary", space=SMALL, prepare=encoded)
    hypermodel.prepare(table, y)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    assert set(hypermodel.encode(table)) == {"numeric", "categorical"}
    history = hypermodel.fit(
        hp, model, table, y, validation_data=(table[:2], y[:2]), epochs=1, verbose=0
    )
    assert np.isfinite(history.history["val_loss"]).all()
    answers = model.predict(hypermodel.encode(table), verbose=0)
    assert answers.shape == (4, 1)


def test_validation_rows_to_be_encoded_come_as_a_pair():
    hypermodel = HyperMLP((3,), 1, "binary", prepare=lambda x, y: {"encoding": abs})
    hypermodel.prepare(None)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    x, y = np.zeros((4, 3), "float32"), np.zeros(4)
    with pytest.raises(ValueError, match="`validation_data` goes through the encoding"):
        hypermodel.fit(hp, model, x, y, validation_data=x)


def test_without_an_encoding_x_stays_as_it_is(rows):
    assert HyperMLP((3,), 2).encode(rows[0]) is rows[0]
    assert HyperMLP((3,), 2).prepare(*rows) == {}


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))]
)
def test_copies_and_pickles_build_the_same_model(copied, rows):
    hypermodel = regression(scaled)
    hypermodel.prepare(*rows)
    again = copied(hypermodel)
    model = again.build(keras_tuner.HyperParameters())
    assert again.build.__self__ is again
    assert center_of(model) == pytest.approx(rows[0].mean(0), rel=1e-5)


def test_search_of_keras_tuner_takes_what_was_prepared_before(rows, tmp_path):
    hypermodel = regression(scaled, {"batch_size": 20})
    hypermodel.prepare(*rows)
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=1, directory=tmp_path
    )
    model = tuner.hypermodel.build(tuner.oracle.get_space())
    assert center_of(model) == pytest.approx(rows[0].mean(0), rel=1e-5)


def test_vocabulary_of_texts_may_come_from_prepare():
    def prepare(tokens, y):
        return {"vocabulary_size": int(tokens.max()) + 1}

    hypermodel = HyperBiLSTMAttention((None,), 2, space={"layers": 1}, prepare=prepare)
    hypermodel.prepare(np.array([[3, 5, 0], [8, 1, 2]]))
    model = hypermodel.build(keras_tuner.HyperParameters())
    assert model.get_layer("embedding").input_dim == 9


class Counted(Curves):
    """Keeps the number of rows that it was prepared with."""

    def prepare(self, x, y=None):
        self.rows = len(x)


def test_a_search_by_folds_ends_with_all_rows_prepared(tmp_path):
    hypermodel, rows = Counted([0.5], [0.6]), np.zeros((6, 1))
    tuner = tuners.RandomSearch(
        hypermodel, "val_loss", max_trials=1, folds=2, directory=tmp_path
    )
    tuner.search(rows, rows, verbose=0)
    assert hypermodel.rows == 6


def test_the_space_switches_augmentation_on_and_off(rows):
    def prepare(x, y):
        noise = layers.GaussianFeatureNoise(0.1, seed=1)
        strong = [noise, layers.GaussianFeatureNoise(2.0, seed=2)]
        return {"augmentation": {"weak": noise, "strong": strong}}

    hypermodel = regression(prepare, {"augmentation": ["none", "weak", "strong"]})
    hypermodel.prepare(*rows)
    found = {}
    for choice in ("none", "weak", "strong"):
        hp = keras_tuner.HyperParameters()
        hp.Fixed("augmentation", choice)
        model = hypermodel.build(hp)
        found[choice] = [
            layer
            for layer in model.layers
            if isinstance(layer, layers.GaussianFeatureNoise)
        ]
    assert [len(noises) for noises in found.values()] == [0, 1, 2]
    assert found["weak"][0] is not found["strong"][0]  # trials share no seed


def test_tokens_are_augmented_by_the_choice_of_the_space():
    texts = np.random.default_rng(0).integers(1, 9, (20, 6))
    hypermodel = HyperBiLSTMAttention(
        (None,),
        1,
        "binary",
        vocabulary_size=9,
        space=SMALL | {"augmentation": ["none", "dropped"]},
        prepare=lambda x, y: {
            "augmentation": {"dropped": layers.TokenDropout(0.2, seed=1)}
        },
    )
    hypermodel.prepare(texts, texts[:, 0] > 4)
    hp = keras_tuner.HyperParameters()
    hp.Fixed("augmentation", "dropped")
    kinds = [type(layer) for layer in hypermodel.build(hp).layers]
    assert kinds.index(layers.TokenDropout) < kinds.index(keras.layers.Embedding)
