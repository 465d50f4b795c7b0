"""Data sets in place of arrays, beside the batches that Keras makes of arrays."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit._tensorflow import row_batches
from keras_trainkit._tensorflow.row_batches import with_row_batches
from keras_trainkit.hypermodels import HyperMLP

pytestmark = pytest.mark.tensorflow_only
SIZES = {"batch_size": 10, "validation_batch_size": 256}


@pytest.fixture
def rows():
    x = np.random.default_rng(3).normal(size=(24, 3))
    return {"x": x, "y": (x[:, 0] > 0).astype("int32")}


def test_an_epoch_has_every_row_once_in_an_order_of_its_own(rows):
    batches = with_row_batches({**rows, **SIZES})["x"]
    assert len(batches) == 3
    epochs = [list(batches.as_numpy_iterator()) for _ in range(2)]
    assert [len(x) for x, _ in epochs[0]] == [10, 10, 4]
    first, second = (np.concatenate([x for x, _ in epoch]) for epoch in epochs)
    assert not np.array_equal(first, second)
    for epoch in (first, second):
        np.testing.assert_array_equal(
            np.sort(epoch, axis=0), np.sort(rows["x"].astype("float32"), axis=0)
        )
    for x, y in epochs[0]:
        np.testing.assert_array_equal(y, x[:, 0] > 0)


def test_types_are_those_of_keras(rows):
    x = {"numeric": rows["x"], "categorical": np.zeros((24, 2), "int64")}
    batches = with_row_batches({"x": [x], "y": rows["y"] > 0, **SIZES})["x"]
    ((x,), y), *_ = batches.as_numpy_iterator()
    assert x["numeric"].dtype == keras.config.floatx()
    assert (x["categorical"].dtype, y.dtype) == ("int64", "bool")


@pytest.mark.slow
@pytest.mark.parametrize("is_weighted", [False, True])
def test_fit_without_shuffling_gives_what_arrays_give(rows, is_weighted):
    weights = {"sample_weight": np.linspace(0.0, 2.0, 24)} if is_weighted else {}
    found = []
    for way in ("ours", "Keras"):
        hypermodel = HyperMLP((3,), 2, space={"batch_size": 10, "schedule": "constant"})
        hp = keras_tuner.HyperParameters()
        keras.utils.set_random_seed(4)
        model = hypermodel.build(hp)
        given = {"epochs": 3, "verbose": 0, "shuffle": False, **weights}
        validation = (rows["x"][::-1], rows["y"][::-1], *weights.values())
        given |= {**rows, "validation_data": validation}
        if way == "ours":
            history = hypermodel.fit(hp, model, **given)
        else:
            history = model.fit(**given, **SIZES)
        found.append(history.history)
    assert found[0] == found[1]


def test_validation_rows_keep_their_order(rows):
    pair = (rows["x"], rows["y"])
    batches = with_row_batches({"validation_data": pair, **rows, **SIZES})
    ((x, y),) = batches["validation_data"].as_numpy_iterator()
    np.testing.assert_array_equal(x, rows["x"].astype("float32"))
    np.testing.assert_array_equal(y, rows["y"])


@pytest.mark.parametrize(
    "given",
    [
        {"validation_split": 0.5},
        {"class_weight": {0: 1.0, 1: 2.0}},
        {"steps_per_epoch": 2},
        {"shuffle": "batch"},
        {"y": None, "sample_weight": np.ones(24)},
        {"y": np.ones(23)},
        {"x": np.array(["a"] * 24)},
    ],
)
def test_what_data_sets_do_not_go_with_is_left_to_keras(rows, given):
    arguments = {**rows, **SIZES, **given}
    assert with_row_batches(arguments) == arguments


def test_many_rows_are_left_to_keras(rows, monkeypatch):
    arguments = {**rows, **SIZES, "validation_data": (rows["x"][:5], rows["y"][:5])}
    monkeypatch.setattr(row_batches, "MOST_ROWS", 23)
    found = with_row_batches(arguments)
    assert found["x"] is rows["x"]
    assert found["validation_data"] is not arguments["validation_data"]
    monkeypatch.setattr(row_batches, "MOST_ROWS", 24)
    assert with_row_batches(arguments)["x"] is not rows["x"]


@pytest.mark.slow
def test_same_seed_same_training(rows):
    losses = []
    for seed in (1, 1, 2):
        hypermodel = HyperMLP((3,), 2, space={"batch_size": 5})
        hp = keras_tuner.HyperParameters()
        keras.utils.set_random_seed(seed)
        model = hypermodel.build(hp)
        history = hypermodel.fit(hp, model, **rows, epochs=2, verbose=0)
        losses.append(history.history["loss"])
    assert losses[0] == losses[1] != losses[2]
