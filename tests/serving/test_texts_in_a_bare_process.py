"""Raw texts to a moved folder, in a process without Keras and this package."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_trainkit import layers, serving

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.slow]

SERVER = """
import pathlib, sys, time

ABSENT = ("keras", "keras_trainkit", "tf_keras")
sys.modules.update(dict.fromkeys(ABSENT))  # None: importing it raises
import numpy as np
import tensorflow as tf

MEGABYTE = 2**20
TEXTS = {
    "normal": ["a Good film!"],
    "empty": [""],
    "blank": [" \\t ..."],
    "not UTF-8": [b"good \\xff\\xfe bad\\x80"],
    "1 MB of words": ["good " * (MEGABYTE // 5) + "bad"],
    "1 MB in a word": ["g" * MEGABYTE],
    "1 MB not UTF-8": [b"\\xff" * MEGABYTE],
    "several": ["bad", "", b"\\xff", "good film"],
    "none": [],
}
root = pathlib.Path(sys.argv[1])
for version in sorted(root.glob("*/1")):
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    answers = {}
    for key, texts in TEXTS.items():
        start = time.perf_counter()
        answer = serve(**{name: tf.constant(texts, tf.string, (len(texts),))})
        answers[key] = answer["score"].numpy()
        answers["seconds, " + key] = time.perf_counter() - start
    np.savez(root / f"{version.parent.name}.npz", **answers)
"""
WORDS = ["good", "bad", "film"]  # ids 2, 3, 4; 0 is padding, 1 unknown
LAST = 6  # tokens that the model keeps
FIRST = 7  # tokens that the fixed width keeps
IDS = {
    "normal": [[1, 2, 4]],
    "empty": [[0]],
    "blank": [[0]],
    "not UTF-8": [[2, 1, 1]],
    "1 MB of words": [[2] * (LAST - 1) + [3]],
    "1 MB in a word": [[1]],
    "1 MB not UTF-8": [[1]],
    "several": [[3, 0], [0, 0], [1, 0], [2, 4]],
}
FRONTS = {
    "any_width": {},
    "fixed_width": {"output_sequence_length": FIRST},
    "from_file": {"vocabulary": "words.txt"},
}


def reader():
    """Long texts cut before the recurrent layer, padding masked throughout."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    valid = keras.ops.not_equal(tokens, 0)
    x = layers.SequenceTruncation(LAST, keep="end")(tokens, mask=valid)
    x = keras.layers.Embedding(9, 4, mask_zero=True)(x)
    lstm = layers.VariationalLSTM(
        3, bidirectional=True, return_sequences=True, return_state=True
    )
    x, *states = lstm(x)
    x = layers.AttentionPooling()([x, keras.layers.Concatenate()(states[::2])])
    head = keras.layers.Dense(2, bias_initializer="uniform", name="score")
    return keras.Model(tokens, head(x))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The models and what a bare process answered from where their folders went."""
    root = tmp_path_factory.mktemp("texts")
    (root / "words.txt").write_text("\n".join(WORDS))
    found = {}
    for name, settings in FRONTS.items():
        settings = {"vocabulary": WORDS, **settings}
        if settings["vocabulary"] == "words.txt":
            settings["vocabulary"] = str(root / "words.txt")
        front = keras.layers.TextVectorization(**settings)
        found[name] = reader()
        serving.export(
            found[name], root / "made" / name, ["good film"], preprocessing=front
        )
    (root / "words.txt").unlink()
    moved = (root / "made").rename(root / "elsewhere")
    done = subprocess.run(
        [sys.executable, "-c", SERVER, str(moved)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        name: (model, np.load(moved / f"{name}.npz")) for name, model in found.items()
    }


@pytest.mark.parametrize("text", sorted(IDS))
@pytest.mark.parametrize("front", sorted(FRONTS))
def test_each_text_gets_the_answer_to_its_ids(served, front, text):
    model, answers = served[front]
    ids = np.array(IDS[text])
    if front == "fixed_width" and text == "1 MB of words":
        ids = np.array([[2] * LAST])  # of the first ones
    assert np.isfinite(answers[text]).all()
    np.testing.assert_allclose(answers[text], model(ids), atol=1e-6)


@pytest.mark.parametrize("front", sorted(FRONTS))
def test_a_text_without_a_word_is_answered_by_the_heads_bias(served, front):
    model, answers = served[front]
    bias = np.asarray(model.get_layer("score").bias)
    assert np.abs(bias).max() > 0
    for text in ("empty", "blank"):
        np.testing.assert_allclose(answers[text][0], bias, atol=1e-6)
    np.testing.assert_allclose(answers["several"][1], bias, atol=1e-6)


@pytest.mark.parametrize("front", sorted(FRONTS))
def test_no_texts_are_no_answers(served, front):
    assert served[front][1]["none"].shape == (0, 2)


@pytest.mark.parametrize("front", sorted(FRONTS))
def test_a_megabyte_takes_seconds_at_most(served, front):
    _, answers = served[front]
    long = [key for key in answers if key.startswith("seconds, 1 MB")]
    assert len(long) == 3
    assert all(answers[key] < 10 for key in long)  # measured: 0.1
