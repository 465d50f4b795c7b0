"""Raw inputs to a model that was trained on prepared ones."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import layers, models, serving

pytestmark = pytest.mark.tensorflow_only

WORDS = ["good", "bad", "film"]  # ids 2, 3, 4; 0 is padding, 1 unknown
TEXTS = ["a Good film!", "bad", "good good bad film"]


def vectorization(**settings):
    return keras.layers.TextVectorization(vocabulary=WORDS, **settings)


def scored(width=None, dtype="int32"):
    """Token ids to two scores, padding masked."""
    tokens = keras.Input((width,), dtype=dtype, name="tokens")
    x = keras.layers.Embedding(40, 4, mask_zero=True)(tokens)
    x = layers.AttentionPooling(query="learned")(x)
    head = keras.layers.Dense(2, bias_initializer="uniform", name="score")
    return keras.Model(tokens, head(x))


def text_model(*outputs):
    """A preprocessing model of one text, of what `outputs` makes of its ids."""
    text = keras.Input((), dtype="string", name="text")
    ids = vectorization()(text)
    (output,) = [make(ids) for make in outputs] or [ids]
    return keras.Model(text, output)


def exported(model, path, examples=TEXTS, **arguments):
    path = serving.export(model, path, examples, **arguments)
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def golden(path, name):
    return json.loads((path / "assets.extra" / f"golden_{name}.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, [[1, 2, 4, 0], [3, 0, 0, 0], [2, 2, 3, 4], [0, 0, 0, 0]]),
        ({"output_sequence_length": 2}, [[1, 2], [3, 0], [2, 2], [0, 0]]),
        ({"standardize": "lower"}, [[1, 2, 1, 0], [3, 0, 0, 0], [2, 2, 3, 4], [0] * 4]),
        ({"split": None}, [[1], [3], [1], [0]]),
        ({"split": None, "output_sequence_length": 3}, [[1, 0, 0], [3, 0, 0]]),
        ({"ngrams": (2,)}, [[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 0]]),
    ],
)
def test_texts_are_answered_as_their_token_ids_are(tmp_path, settings, ids):
    model = scored()
    served = exported(model, tmp_path, preprocessing=vectorization(**settings))
    texts = [*TEXTS, ""][: len(ids)]
    expected = model(np.array(ids))
    np.testing.assert_allclose(
        served(tokens=tf.constant(texts))["score"], expected, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_hot", "count", "tf_idf"])
def test_bags_of_words_go_to_a_model_of_numbers(tmp_path, mode):
    idf = {"idf_weights": [1.0, 2.0, 5.0]} if mode == "tf_idf" else {}
    bags = {
        "multi_hot": [[0, 1, 1, 0], [0, 0, 0, 0]],
        "count": [[0, 2, 1, 0], [0, 0, 0, 0]],
        "tf_idf": [[0, 2 * 1.0, 2.0, 0], [0, 0, 0, 0]],
    }
    model = models.mlp((4,), 3, (5,))
    layer = vectorization(output_mode=mode, **idf)
    served = exported(model, tmp_path, preprocessing=layer)
    answer = served(features=tf.constant(["good bad good", ""]))["outputs"]
    np.testing.assert_allclose(answer, model(np.array(bags[mode])), atol=1e-6)


@pytest.mark.slow
def test_the_sequence_model_of_the_kit_takes_texts(tmp_path):
    model = models.bilstm_attention(
        (None,), 2, (3,), vocabulary_size=9, embedding_units=4, max_length=3
    )
    layer = vectorization(name="review")
    served = exported(model, tmp_path, preprocessing=layer)
    assert list(served.structured_input_signature[1]) == ["review"]
    answer = served(review=tf.constant(["good bad film film", ""]))["outputs"]
    expected = model(np.array([[3, 4, 4], [0, 0, 0]]))  # max_length, the end kept
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    # Nothing is left of a text without a token but the head's answer to zeros.
    np.testing.assert_allclose(answer[1], model.get_layer("outputs").bias, atol=1e-6)


@pytest.mark.first_quick
@pytest.mark.parametrize(("name", "served_name"), [(None, "tokens"), ("text", "text")])
def test_the_input_is_named_after_the_layer_or_else_the_models_input(
    tmp_path, name, served_name
):
    served = exported(scored(), tmp_path, preprocessing=vectorization(name=name))
    specs = served.structured_input_signature[1]
    assert specs == {served_name: tf.TensorSpec((None,), tf.string, served_name)}


def test_the_recorded_request_is_raw_text(tmp_path):
    texts = ["a Good film!", "", b"bad \xff", "Übel"]  # strings beside bytes
    path = serving.export(scored(), tmp_path, texts, preprocessing=vectorization())
    assert golden(path, "request")["inputs"] == {
        "tokens": ["a Good film!", "", {"b64": "YmFkIP8="}, "Übel"]
    }
    assert np.shape(golden(path, "response")["outputs"]["score"]) == (4, 2)


def test_a_model_in_front_gives_the_inputs_by_name(tmp_path):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    area = keras.Input((1,), name="area")
    count = keras.ops.sum(tokens, axis=1, keepdims=True)
    model = keras.Model([area, tokens], {"count": count, "area_again": area * 1.0})

    text = keras.Input((1,), dtype="string", name="text")
    feet = keras.Input((1,), name="feet", dtype="float64")
    made = {"tokens": vectorization()(text), "area": feet * 0.25}
    front = keras.Model({"text": text, "feet": feet}, made)

    examples = {"text": [["good bad"], [""]], "feet": [[8.0], [2.0]]}
    served = exported(model, tmp_path, examples, preprocessing=front)
    answer = served(
        text=tf.constant([["film film"]]), feet=tf.constant([[12.0]], "float64")
    )
    assert (int(answer["count"][0, 0]), float(answer["area_again"][0, 0])) == (8, 3.0)


def test_a_model_in_front_may_give_one_tensor_for_one_input(tmp_path):
    model = scored(dtype="float32")  # Keras' default, though ids are integers
    served = exported(model, tmp_path, preprocessing=text_model())
    answer = served(text=tf.constant([""]))["score"]
    np.testing.assert_allclose(answer, model(np.array([[0.0]])), atol=1e-6)


def test_a_model_joined_in_keras_takes_texts_as_well(tmp_path):
    text = keras.Input((), dtype="string", name="text")
    model = scored()
    joined = keras.Model(
        text, {"score": model(vectorization(output_sequence_length=5)(text))}
    )
    served = exported(joined, tmp_path)
    for sent in ("", b"\xff\xfe", "good " * 200_000):
        ids = {"": [[0] * 5], b"\xff\xfe": [[1, 0, 0, 0, 0]]}.get(sent, [[2] * 5])
        answer = served(text=tf.constant([sent]))["score"]
        np.testing.assert_allclose(answer, model(np.array(ids)), atol=1e-6)


def test_a_vocabulary_from_a_file_is_copied_into_the_folder(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("\n".join(WORDS))
    layer = keras.layers.TextVectorization(vocabulary=str(file))
    path = serving.export(scored(), tmp_path / "m", TEXTS, preprocessing=layer)
    assert (path / "assets" / "words.txt").read_text().split() == WORDS


def test_the_graph_holds_no_path_of_this_machine(tmp_path):
    path = serving.export(
        scored(), tmp_path / "m", TEXTS, preprocessing=vectorization()
    )
    assert bytes(tmp_path) not in (path / "saved_model.pb").read_bytes()


def averaged():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(9, 4, mask_zero=True)(tokens)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, keras.layers.Dense(2, name="score")(x))


def two_inputs():
    first, second = (keras.Input((None,), name=name) for name in ("first", "second"))
    return keras.Model([first, second], {"sum": first + second})


def strict(texts):
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="strict")


def as_float(ids):
    return keras.ops.cast(ids, "float32")


def unnamed_text():
    text = keras.Input((), dtype="string")
    return keras.Model(text, vectorization()(text))


def empty_lookup():
    word = keras.Input((1,), dtype="string", name="word")
    lookup = keras.layers.StringLookup(output_mode="int", name="place")
    return keras.Model(word, lookup(word))


@pytest.mark.parametrize(
    ("model", "preprocessing", "words"),
    [
        (scored, keras.layers.TextVectorization, "learned its vocabulary.*'text_vec"),
        (scored, empty_lookup, "must have learned its vocabulary.*'place'"),
        (scored, lambda: str.lower, "must be a `keras.layers.TextV.*<method 'lower'"),
        (scored, keras.layers.StringLookup, "wrap another layer as.*StringLookup"),
        (scored, lambda: keras.Sequential([]), "must be a built functional"),
        (scored, unnamed_text, "input's name is what clients send.*'keras_tensor"),
        (scored, lambda: vectorization(name="my-text"), "signature.*'my-text'"),
        (two_inputs, vectorization, r"`keras.Model` with an.*\['first', 'second'\]"),
        (two_inputs, text_model, r"keys \['first', 'second'\].*outputs <KerasT"),
        (
            scored,
            lambda: text_model(lambda ids: {"token": ids}),
            r"keys \['tokens'\].*outputs {'token': ",
        ),
        (
            scored,
            lambda: text_model(lambda ids: [ids, ids]),
            r"single tensor for a single input.*outputs \[<KerasT",
        ),
        (
            lambda: scored(9),
            vectorization,
            r"shape \(None, 9\).*`output_sequence_length`.*int64 \(None, None\)",
        ),
        (scored, lambda: vectorization(ragged=True), "dense.*a RaggedTensor"),
        (
            lambda: models.mlp((4,), 2, (3,)),
            lambda: vectorization(output_mode="multi_hot", sparse=True),
            "dense.*a SparseTensor",
        ),
        (scored, lambda: text_model(as_float), "int32 without loss.*float32"),
        (
            lambda: scored(dtype="int8"),
            vectorization,
            "becomes int8 without loss.*int64",
        ),
        (
            scored,
            lambda: text_model(lambda ids: ids[:, None]),
            r"shape \(None, None\).*int64 \(None, 1, None\)",
        ),
        (averaged, vectorization, r"\[b''\].*must give finite outputs.*'score'"),
        (
            scored,
            lambda: vectorization(standardize=strict),
            r"\[b'\\xff\\xfe\\x80'\].*be answered; look at `standardize`.*Invalid",
        ),
    ],
)
def test_what_would_not_serve_is_refused(model, preprocessing, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        serving.export(
            model(), tmp_path / "models", ["good"], preprocessing=preprocessing()
        )
    assert list(tmp_path.iterdir()) == []


def test_a_python_function_in_front_is_found(tmp_path):
    def shout(texts):
        shouted = tf.numpy_function(lambda t: t, [texts], tf.string)
        return tf.ensure_shape(shouted, texts.shape)

    with pytest.raises(ValueError, match="PyFunc"):
        serving.export(
            scored(),
            tmp_path,
            TEXTS,
            preprocessing=vectorization(standardize=shout),
        )
