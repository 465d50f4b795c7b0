"""The encoder in a graph gives the arrays that it gives outside; and in files."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

from keras_trainkit.layers import TableEncoder

# The rows that are encoded hold some on purpose; test_table_encoder.py asks for it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Infinite numbers count as missing.*:UserWarning"
)


def table_of(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(3, 2, rows)),
            "constant": np.full(rows, 1e8),
            "town": rng.choice(["Ulm", "Aue\n", "[UNK]", "Köln", None], rows),
            "street": rng.choice([f"s{i}" for i in range(300)], rows),
            "yes": rng.choice(np.array([True, False, None], object), rows),
            "at": np.datetime64("2019-05-05", "s") + 99_991 * np.arange(rows),
            "zip": rng.integers(0, 20, rows) / 2,
        }
    )


def encoder_of(**arguments):
    arguments = {"categories": ["zip"], "max_categories": 50, **arguments}
    encoder = TableEncoder(**arguments)
    encoder.adapt(table_of())
    return encoder


def odd_table():
    """Unseen levels, infinite numbers, gaps where there were none."""
    frame = table_of(seed=1)
    frame.loc[:9, "x"] = [np.inf, -np.inf, 1e300, -1e300, 0, -0.0, 1e-300, 7, 8, 9]
    frame.loc[:4, "town"] = ["", "Rome", "\ufffd", "ulm", "Ulm "]
    frame.loc[:4, "zip"] = [np.nan, np.inf, -1, 0.25, 1e300]
    frame.loc[10:30, ["constant", "street", "at", "zip"]] = None
    return frame


def assert_same(came, expected):
    for key, array in expected.items():
        values = np.asarray(came[key])
        assert values.dtype == array.dtype
        np.testing.assert_array_equal(values, array)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("scaling", ["robust", "standard", None])
@pytest.mark.parametrize("drawn", [False, True])
def test_tensors_give_the_same_arrays(scaling, drawn):
    import tensorflow as tf

    encoder, frame = encoder_of(scaling=scaling), odd_table()
    plain = encoder.plain_columns(frame)
    tensors = {name: tf.constant(values) for name, values in plain.items()}
    call = tf.function(lambda t: encoder(t), autograph=False) if drawn else encoder
    assert_same(call(tensors), encoder(frame))
    columns = {name: tensor[:, None] for name, tensor in tensors.items()}
    assert_same(call(columns), encoder(frame))


@pytest.mark.tensorflow_only
def test_a_model_that_holds_the_encoder_comes_back_from_its_file(tmp_path):
    encoder, frame = encoder_of(), odd_table()
    plain = encoder.plain_columns(frame)
    kinds = {name: array.dtype.name for name, array in plain.items()}
    inputs = {
        name: keras.Input((), dtype="string" if kind == "object" else kind, name=name)
        for name, kind in kinds.items()
    }
    model = keras.Model(inputs, encoder(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    sent = {
        name: keras.ops.convert_to_tensor(
            array.tolist() if array.dtype == object else array
        )
        for name, array in plain.items()
    }
    assert_same(loaded(sent), encoder(frame))


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("name", "values", "words"),
    [("town", [1.0], "'town' .* texts"), ("x", ["a"], "'x' .* numbers")],
)
def test_a_tensor_of_another_kind_is_named(name, values, words):
    import tensorflow as tf

    encoder = TableEncoder()
    encoder.adapt({"town": ["a"], "x": [1.0]})
    tensors = {"town": tf.constant(["a"]), "x": tf.constant([1.0])}
    with pytest.raises(ValueError, match=words):
        encoder(tensors | {name: tf.constant(values)})
    with pytest.raises(ValueError, match=r"\['x'\] missing"):
        encoder({"town": tf.constant(["a"])})


def test_an_encoder_has_a_file_of_its_own(tmp_path):
    encoder, frame = encoder_of(), odd_table()
    keras.saving.save_model(encoder, tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert_same(loaded(frame), encoder(frame))
    assert loaded.summary() == encoder.summary()
    assert loaded.get_config() == encoder.get_config()


def test_what_was_learned_travels_as_json():
    encoder, frame = encoder_of(), odd_table()
    text = json.dumps(keras.saving.serialize_keras_object(encoder), allow_nan=False)
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert_same(copy(frame), encoder(frame))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "code"},
        {"levels": ["a", "a"]},
        {"levels": [1.0, "a"]},
        {"levels": []},
        {"center": float("nan")},
        {"spread": -1.0},
        {"cycles": ["month"]},
        {"fill": "1"},
    ],
)
def test_a_file_with_what_cannot_be_learned_is_refused(change):
    encoder = TableEncoder()
    encoder.adapt({"t": ["a", "b"]})
    config = encoder.get_build_config()
    config["columns"][0] |= change
    with pytest.raises(ValueError, match="must be one that it can learn"):
        TableEncoder().build_from_config(config)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_arrays_have_their_types_under_every_policy(policy):
    encoder = TableEncoder(dtype=policy)
    encoder.adapt(table_of())
    assert_same(
        encoder(table_of()),
        encoder_of(categories="auto", max_categories=256)(table_of()),
    )


def test_tensors_of_numbers_are_read_under_every_backend():
    encoder = TableEncoder(scaling=None)
    encoder.adapt({"x": keras.ops.convert_to_tensor([1.0, 5.0])})
    encoded = encoder({"x": keras.ops.convert_to_tensor([2.0])})
    assert np.asarray(encoded["numeric"]).tolist() == [[2.0]]
