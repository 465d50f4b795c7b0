"""What is exported answers in a process that has neither Keras nor this package."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import serving

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.slow]

SERVER = """
import json, pathlib, sys

ABSENT = ("keras", "keras_trainkit", "tf_keras")
sys.modules.update(dict.fromkeys(ABSENT))  # None: importing it raises
for name in ABSENT:
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} can be imported")

import numpy as np
import tensorflow as tf

root = pathlib.Path(sys.argv[1])
for version in sorted(root.glob("*/1")):
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    specs = serve.structured_input_signature[1]
    for file in sorted((root / "requests").glob(f"{version.parent.name}-*.npz")):
        with np.load(file) as request:
            sent = {n: tf.constant(request[n], specs[n].dtype) for n in request}
        answer = {name: value.numpy() for name, value in serve(**sent).items()}
        np.savez(root / "answers" / file.name, **answer)
    golden = version / "assets.extra"
    inputs = json.loads((golden / "golden_request.json").read_text())["inputs"]
    outputs = json.loads((golden / "golden_response.json").read_text())["outputs"]
    sent = {n: tf.constant(v, specs[n].dtype) for n, v in inputs.items()}
    for name, value in serve(**sent).items():
        np.testing.assert_allclose(value, outputs[name], atol=1e-6)
    print(version.parent.name, *sorted(specs), *sorted(serve.structured_outputs))
assert not any(name.startswith(("keras.", "keras_trainkit.")) for name in sys.modules)
"""
NAMES = {
    "table": "table age city price",
    "sequence": "sequence steps risk state",
    "text": "text review score",
    "mixed": "mixed features price",
}


def table():
    age = keras.Input((2,), name="age")
    city = keras.Input((), name="city", dtype="string")
    scaled = keras.layers.Normalization(mean=[40.0, 3.0], variance=[90.0, 4.0])(age)
    place = keras.layers.StringLookup(
        vocabulary=["Oslo", "Rome"], output_mode="one_hot"
    )
    joined = keras.layers.Concatenate()([scaled, place(city)])
    hidden = keras.layers.Dense(5, activation="swish")(joined)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.4)(hidden)
    return keras.Model([age, city], keras.layers.Dense(1, name="price")(hidden))


def sequence():
    steps = keras.Input((None, 2), name="steps")
    masked = keras.layers.Masking(-9.0)(steps)
    lstm = keras.layers.LSTM(3, dropout=0.2, recurrent_dropout=0.3)
    state = keras.layers.Bidirectional(lstm)(masked)
    risk = keras.layers.Dense(1, activation="sigmoid")(state)
    return keras.Model(steps, {"risk": risk, "state": state})


def text():
    review = keras.Input((), name="review", dtype="string")
    words = ["good", "bad", "film"]
    tokens = keras.layers.TextVectorization(vocabulary=words, output_sequence_length=6)(
        review
    )
    vectors = keras.layers.Embedding(6, 4, mask_zero=True)(tokens)
    state = keras.layers.GRU(3)(vectors)
    return keras.Model(review, keras.layers.Dense(2, name="score")(state))


def mixed():
    features = keras.Input((3,), name="features")
    hidden = keras.layers.Dense(4, activation="relu", dtype="mixed_bfloat16")(features)
    price = keras.layers.Dense(1, name="price", dtype="float32")(hidden)
    return keras.Model(features, price)


def requests():
    rng = np.random.default_rng(2)
    cities = ["Rome", "Bonn", "Oslo"]
    reviews = ["a good film", "bad", "good good bad film"]
    for rows in (1, 3, 0):
        age = rng.normal(40, 9, (rows, 2)).astype("float32")
        yield "table", rows, {"age": age, "city": np.array(cities[:rows], "U4")}
        yield "text", rows, {"review": np.array(reviews[:rows], "U20")}
        yield "mixed", rows, {"features": rng.normal(size=(rows, 3)).astype("float32")}
        for length in (1, 7, 300):
            steps = rng.normal(size=(rows, length, 2)).astype("float32")
            steps[:, 5:] = -9.0  # padding
            yield "sequence", f"{rows}x{length}", {"steps": steps}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The exported models, what was asked of them, and what a bare process said."""
    root = tmp_path_factory.mktemp("served")
    (root / "requests").mkdir()
    (root / "answers").mkdir()
    models = {build.__name__: build() for build in (table, sequence, text, mixed)}
    asked = {}
    for name, key, request in requests():
        asked[name, key] = request
        np.savez(root / "requests" / f"{name}-{key}.npz", **request)
    for name, model in models.items():
        first = next(r for (n, key), r in asked.items() if n == name and key != "0")
        serving.export(model, root / name, first)
    done = subprocess.run(
        [sys.executable, "-c", SERVER, str(root)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return root, models, asked, done.stdout.splitlines()


def test_signature_names_are_the_declared_ones(served):
    assert sorted(served[-1]) == sorted(NAMES.values())


@pytest.mark.parametrize("name", sorted(NAMES))
def test_answers_are_those_of_the_model_for_every_batch_and_length(served, name):
    root, models, asked, _ = served
    graph = tf.function(models[name], reduce_retracing=True)
    compared = 0
    for (asked_name, key), request in asked.items():
        if asked_name != name:
            continue
        expected = expected_of(models[name], graph, request)
        with np.load(root / "answers" / f"{name}-{key}.npz") as answer:
            for output in answer:
                compared += 1
                wanted = np.asarray(expected[output])
                tolerance = 1e-2 if name == "mixed" else 1e-6
                assert answer[output].shape == wanted.shape
                np.testing.assert_allclose(answer[output], wanted, atol=tolerance)
                assert answer[output].dtype == "float32"
    assert compared == (18 if name == "sequence" else 3)


def expected_of(model, graph, request):
    values = [tf.constant(request[i.name], i.dtype) for i in model.inputs]
    result = graph(values if len(values) > 1 else values[0], training=False)
    return result if isinstance(result, dict) else {model.output_names[0]: result}
