import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import serving

pytestmark = pytest.mark.tensorflow_only


def golden(path, name):
    return json.loads((path / "assets.extra" / f"golden_{name}.json").read_text())


def test_recorded_request_gets_the_recorded_answer_to_the_last_bit(
    priced, rows, tmp_path
):
    path = serving.export(priced, tmp_path, rows)
    request, response = golden(path, "request"), golden(path, "response")
    assert request["signature_name"] == "serving_default"
    sent = np.array(request["inputs"]["features"], "float32")
    np.testing.assert_array_equal(sent, rows)
    answer = np.array(response["outputs"]["price"], "float32")
    np.testing.assert_array_equal(answer, priced(rows))


def test_text_is_text_and_other_bytes_are_base64(tmp_path):
    words = keras.Input((2,), name="words", dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=["far", "near"], name="index")
    model = keras.Model(words, lookup(words))
    examples = np.array([["far", "nul\x00"], ["Zürich", b"\xff\xfe"]], dtype=object)
    path = serving.export(model, tmp_path, examples)
    assert golden(path, "request")["inputs"]["words"] == [
        ["far", "nul\x00"],
        ["Zürich", {"b64": "//4="}],
    ]
    assert golden(path, "response") == {"outputs": {"index": [[1, 0], [0, 0]]}}


def test_a_missing_value_travels_as_the_token_that_servers_read(tmp_path):
    inputs = keras.Input((1,), name="age")
    known = keras.ops.where(keras.ops.isnan(inputs), 7.0, inputs)
    path = serving.export(keras.Model(inputs, {"known": known}), tmp_path, [[np.nan]])
    text = (path / "assets.extra" / "golden_request.json").read_text()
    assert "[[NaN]]" in text
    assert golden(path, "response") == {"outputs": {"known": [[7.0]]}}


def test_servers_leave_the_record_alone(priced, rows, tmp_path):
    path = serving.export(priced, tmp_path, rows)
    assert set(tf.saved_model.load(str(path)).signatures) == {
        "serve",
        "serving_default",
    }
    assert sorted(p.name for p in path.iterdir()) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
