"""Inputs and columns named as no argument can be: served by a stated other name."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import serving
from keras_trainkit.layers import TableEncoder

pytestmark = pytest.mark.tensorflow_only


def sum_of(*names):
    """A model that adds the columns of its inputs, each weighted by its place."""
    inputs = {name: keras.Input((2,), name=name) for name in names}
    weighted = [place * x for place, x in enumerate(inputs.values(), 1)]
    outputs = sum(weighted[1:], weighted[0])
    return keras.Model(inputs, {"total": outputs})


def signature(path):
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def test_inputs_named_like_words_of_python_get_a_prefix(tmp_path):
    names = ("class", "self", "None", "age")
    rows = {name: np.full((1, 2), float(n)) for n, name in enumerate(names)}
    path = serving.export(sum_of(*names), tmp_path, rows)
    served = signature(path)
    sent = {
        "input_class": [[1.0, 0.0]],
        "input_self": [[10.0, 0.0]],
        "input_None": [[100.0, 0.0]],
        "age": [[1000.0, 7.0]],
    }
    assert set(served.structured_input_signature[1]) == set(sent)
    total = served(**{name: tf.constant(value) for name, value in sent.items()})
    assert total["total"].numpy().tolist() == [[1 + 20 + 300 + 4000, 28]]
    golden = json.loads((path / "assets.extra" / "golden_request.json").read_text())
    assert golden["inputs"]["input_self"] == [[1.0, 1.0]]


def test_inputs_in_a_list_keep_their_order(tmp_path):
    pair = [keras.Input((2,), name="lambda"), keras.Input((2,), name="from")]
    model = keras.Model(pair, {"difference": pair[0] - pair[1]})
    served = signature(serving.export(model, tmp_path, [np.ones((1, 2))] * 2))
    came = served(
        input_from=tf.constant([[1.0, 2]]), input_lambda=tf.constant([[5.0, 7]])
    )
    assert came["difference"].numpy().tolist() == [[4, 5]]


def test_what_stands_in_front_may_bear_such_names_too(tmp_path):
    raw = keras.Input((2,), name="from")
    front = keras.Model(raw, {"class": raw * 10})
    path = serving.export(
        sum_of("class"), tmp_path / "a", {"from": np.ones((1, 2))}, preprocessing=front
    )
    came = signature(path)(input_from=tf.constant([[1.0, 2.0]]))
    assert came["total"].numpy().tolist() == [[10, 20]]

    words = keras.layers.TextVectorization(
        vocabulary=["a"], output_sequence_length=2, name="import"
    )
    ids = keras.Input((2,), name="ids")
    model = keras.Model(ids, {"again": ids * 1})
    path = serving.export(model, tmp_path / "b", ["a z"], preprocessing=words)
    came = signature(path)(input_import=tf.constant(["z a"]))
    assert came["again"].numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize("names", [("class", "input_class"), ("Age", "age")])
def test_inputs_that_a_signature_does_not_tell_apart_are_refused(names, tmp_path):
    rows = {name: np.ones((1, 2)) for name in names}
    with pytest.raises(ValueError, match=f"names must differ.*{list(names)[1]}"):
        serving.export(sum_of(*names), tmp_path / "models", rows)
    assert list(tmp_path.iterdir()) == []


def encoded(table):
    """An encoder of the table, and a model that gives its numbers again."""
    encoder = TableEncoder(scaling=None)
    encoder.adapt(table)
    numeric = keras.Input(encoder.numeric_shape, name="numeric")
    return encoder, keras.Model(numeric, {"again": numeric * 1})


def test_columns_named_like_words_of_python_get_a_prefix(tmp_path):
    table = {
        "class": [1.0, 2.0],
        "self": [3, 4],
        "True": [True, False],
        "Class": [5, 6],
    }
    encoder, model = encoded(table)
    served = signature(serving.export(model, tmp_path, table, preprocessing=encoder))
    came = served(
        column_class=tf.constant([7.0], "float64"),
        column_self=tf.constant([8.0], "float64"),
        column_True=tf.constant([1]),
        Class=tf.constant([9.0], "float64"),
    )
    assert came["again"].numpy().tolist() == [[7, 8, 1, 9]]


def test_columns_without_latin_letters_are_served_by_their_positions(tmp_path):
    table = {"年齢": [1.0, 2.0], "age": [3.0, 4.0], "性別": [5.0, 6.0]}
    encoder, model = encoded(table)
    served = signature(serving.export(model, tmp_path, table, preprocessing=encoder))
    sent = {"column_0": 7.0, "age": 8.0, "column_2": 9.0}
    came = served(**{k: tf.constant([v], "float64") for k, v in sent.items()})
    assert came["again"].numpy().tolist() == [[7, 8, 9]]


@pytest.mark.parametrize(
    "names", [["class", "column_class"], ["Age", "age"], ["20", "column 20"]]
)
def test_columns_that_a_signature_does_not_tell_apart_are_refused(names, tmp_path):
    table = {"x": [1.0], **{name: [2.0] for name in names}}
    encoder, model = encoded(table)
    with pytest.raises(ValueError, match="and so the model, stay as they are") as error:
        serving.export(model, tmp_path, table, preprocessing=encoder)
    assert str(error.value).endswith(f"columns {names}.")
    renamed = dict(zip(["x", "first", "second"], table.values(), strict=True))
    again = TableEncoder(scaling=None)
    again.adapt(renamed)
    assert serving.export(model, tmp_path, renamed, preprocessing=again).exists()
