"""Outputs that can be read: the same names whatever the model."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import layers, models, serving
from keras_trainkit.serving import _verification

pytestmark = pytest.mark.tensorflow_only

X = np.random.default_rng(3).normal(size=(5, 4)).astype("float32")
LABELLED = {"probabilities", "classes", "label"}


def answers(path, x=X, name="features"):
    graph = tf.saved_model.load(str(path)).signatures["serving_default"]
    return {key: value.numpy() for key, value in graph(**{name: x}).items()}


def golden(path):
    text = (path / "assets.extra" / "golden_response.json").read_text()
    return json.loads(text)["outputs"]


def decoded(array):
    return np.char.decode(array.astype("S")) if array.dtype == object else array


def calibrated(model):
    temperature = layers.TemperatureScaling(name="calibrated")
    temperature.build()
    temperature.temperature.assign(2.5)
    return keras.Model(model.input, temperature(model.output), name="calibrated")


@pytest.mark.first_quick
@pytest.mark.parametrize(
    "calibrate",
    [pytest.param(False, marks=pytest.mark.slow), True],
    ids=["raw", "calibrated"],
)
@pytest.mark.parametrize(
    ("task", "outputs", "members", "classes"),
    [
        ("classification", 3, 1, ["Köln", "Ulm", "Rom"]),
        ("classification", 3, 2, [7, 5, 9]),
        ("binary", 1, 1, ["no", "yes"]),
        ("binary", 1, 2, [False, True]),
        ("classification", 2, 1, [0.5, 1.5]),
        ("classification", 2, 1, None),
    ],
    ids=str,
)
def test_a_classifier_answers_with_probabilities_names_and_a_label(
    task, outputs, members, classes, calibrate, tmp_path
):
    model = models.mlp((4,), outputs, (3,), task=task, classes=classes, members=members)
    model = calibrated(model) if calibrate else model
    path = serving.export(model, tmp_path, X)
    came = answers(path)
    assert set(came) == set(golden(path)) == LABELLED
    shares = models.predict_proba(model, X, verbose=0)
    np.testing.assert_allclose(came["probabilities"], shares, atol=1e-6)
    np.testing.assert_allclose(came["probabilities"].sum(1), 1, rtol=1e-6)
    names = [0, 1] if classes is None else classes
    np.testing.assert_array_equal(decoded(came["classes"]), [names] * 5)
    labels = models.predict_labels(model, X, verbose=0)
    np.testing.assert_array_equal(decoded(came["label"]), labels)
    assert golden(path)["classes"] == [names] * 5
    assert golden(path)["label"] == labels.tolist()


def test_labels_that_hold_together_are_a_yes_or_no_each(tmp_path):
    model = models.mlp((4,), 3, (), task="binary", classes=["red", "big", "new"])
    came = answers(serving.export(model, tmp_path, X))
    shares = models.predict_proba(model, X, verbose=0)
    np.testing.assert_allclose(came["probabilities"], shares, atol=1e-6)
    np.testing.assert_array_equal(came["label"], shares > 0.5)
    assert decoded(came["classes"]).tolist() == [["red", "big", "new"]] * 5


@pytest.mark.parametrize("members", [1, 2])
def test_a_regression_answers_with_predictions(members, tmp_path):
    model = models.mlp((4,), 2, (), task="regression", members=members)
    rescale = keras.layers.Rescaling(9.0, 40.0, name="prediction")
    for number, served in enumerate(
        (model, keras.Model(model.input, rescale(model.output)))
    ):
        path = serving.export(served, tmp_path / str(number), X)
        ((name, values),) = answers(path).items()
        assert name == "predictions"
        np.testing.assert_allclose(values, served.predict(X, verbose=0), atol=1e-4)


@pytest.mark.slow
def test_texts_are_answered_with_a_label(tmp_path):
    texts = ["a good film", "a bad film", "good"]
    words = keras.layers.TextVectorization(name="text")
    words.adapt(texts)
    model = models.bilstm_attention(
        (None,),
        2,
        (3,),
        vocabulary_size=words.vocabulary_size(),
        task="classification",
        classes=["bad", "good"],
    )
    path = serving.export(model, tmp_path, texts, preprocessing=words)
    came = answers(path, tf.constant(texts), "text")
    labels = models.predict_labels(model, words(texts), verbose=0)
    np.testing.assert_array_equal(decoded(came["label"]), labels)
    assert set(golden(path)) == LABELLED


def users_own(units, activation=None, **arguments):
    inputs = keras.Input((4,), name="features")
    last = keras.layers.Dense(units, activation=activation, **arguments)
    return keras.Model(inputs, last(inputs))


@pytest.mark.first_quick
@pytest.mark.parametrize(
    ("units", "activation", "given", "squash"),
    [
        (3, None, {"classes": ["a", "b", "c"]}, tf.nn.softmax),
        (3, "softmax", {"classes": ["a", "b", "c"]}, tf.identity),
        (3, "softmax", {"task": "classification"}, tf.identity),
        (1, None, {"classes": ["a", "b"]}, tf.sigmoid),
        (1, "sigmoid", {"task": "binary"}, tf.identity),
        (3, "sigmoid", {"classes": ["a", "b", "c"]}, tf.identity),
    ],
)
def test_a_model_of_ones_own_is_told_its_classes_or_task(
    units, activation, given, squash, tmp_path
):
    model = users_own(units, activation)  # nor does its output need a name
    came = answers(serving.export(model, tmp_path, X, **given))
    assert set(came) == LABELLED
    expected = squash(model(X)).numpy()
    np.testing.assert_allclose(came["probabilities"][:, -units:], expected, atol=1e-6)
    assert came["classes"].shape == came["probabilities"].shape == (5, max(units, 2))


def test_a_model_of_ones_own_with_values_is_told_so(tmp_path):
    came = answers(serving.export(users_own(2), tmp_path, X, task="regression"))
    assert set(came) == {"predictions"}


def test_a_model_that_does_not_know_its_task_keeps_the_names_of_its_layers(tmp_path):
    model = users_own(2, name="scores")
    assert set(answers(serving.export(model, tmp_path / "own", X))) == {"scores"}
    plain = models.mlp((4,), 2, ())
    assert set(answers(serving.export(plain, tmp_path / "mlp", X))) == {"outputs"}


def test_classes_given_at_the_export_take_the_place_of_the_models(tmp_path):
    model = models.mlp((4,), 2, (), task="classification", classes=["a", "b"])
    came = answers(serving.export(model, tmp_path, X, classes=["nein", "ja"]))
    assert decoded(came["classes"])[0].tolist() == ["nein", "ja"]


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        (users_own(3), {"classes": ["a", "b"]}, "`classes` names .* 3 of them"),
        (users_own(3), {"classes": "abc"}, "`classes` names .* a list"),
        (users_own(3), {"task": "multiclass"}, "`task` .*one of"),
        (users_own(1), {"task": "classification"}, "number of classes.* at least 2"),
        (
            users_own(3),
            {"task": "regression", "classes": ["a", "b", "c"]},
            "`classes` names .* None where the task has no classes",
        ),
        (users_own(3, "relu"), {"classes": ["a", "b", "c"]}, "logits or probabilities"),
        (
            models.mlp((4,), 2, (), task="classification"),
            {"task": "binary"},
            "`task` says .*'classification'.*Received: task='binary'",
        ),
    ],
    ids=str,
)
def test_refuses_classes_and_tasks_that_do_not_suit_the_outputs(
    model, given, words, tmp_path
):
    with pytest.raises(ValueError, match=words):
        serving.export(model, tmp_path, X, **given)


def test_refuses_classes_of_several_outputs(tmp_path):
    inputs = keras.Input((4,), name="features")
    heads = [keras.layers.Dense(2, name=name)(inputs) for name in ("a", "b")]
    with pytest.raises(ValueError, match="`task` and `classes` .* one tensor"):
        serving.export(keras.Model(inputs, heads), tmp_path, X, classes=["no", "yes"])


def test_a_label_that_the_last_bits_decide_may_differ():
    shares = np.array([[0.5, 0.5], [0.2, 0.8], [0.4999999, 0.5000001]])
    tied = _verification._is_tie(shares, None, 1e-6)
    assert tied.tolist() == [True, False, True]
    each = _verification._is_tie(shares, 0.5, 1e-6)
    assert each.tolist() == [[True] * 2, [False] * 2, [True] * 2]


def test_classes_of_some_probability_are_a_set(tmp_path):
    model = models.mlp((4,), 3, (3,), task="classification")
    came = answers(serving.export(model, tmp_path, X, min_probability=0.3))
    assert set(came) == {*LABELLED, "set"} and came["set"].dtype == bool
    np.testing.assert_array_equal(came["set"], came["probabilities"] >= 0.3)
    assert golden(tmp_path / "1")["set"] == came["set"].tolist()


def test_a_class_at_the_very_limit_of_the_set_is_no_error(tmp_path):
    """Where the last bit of a probability decides, the two graphs may differ."""
    model = models.mlp((4,), 2, (), task="classification")
    model.set_weights([0 * weight for weight in model.get_weights()])
    came = answers(serving.export(model, tmp_path, X, min_probability=0.5))
    assert came["set"].shape == (5, 2)


@pytest.mark.parametrize("value", [-0.1, 1.1, "high", True])
def test_probabilities_out_of_range_are_refused(value, tmp_path):
    model = models.mlp((4,), 3, (3,), task="classification")
    with pytest.raises(ValueError, match="^`min_probability` is the probability"):
        serving.export(model, tmp_path, X, min_probability=value)


def test_values_have_no_set(tmp_path):
    model = models.mlp((4,), 1, (3,), task="regression")
    with pytest.raises(ValueError, match="^`min_probability` .*no classes"):
        serving.export(model, tmp_path, X, min_probability=0.5)


def at_least(share, model):
    """Model of the classes at least so probable."""
    found = keras.ops.softmax(model.output) >= share
    return keras.Model(model.input, found)


def test_a_model_says_which_classes_are_in_the_set(tmp_path):
    model = models.mlp((4,), 3, (3,), task="classification")
    sets = at_least(0.3, model)
    came = answers(serving.export(model, tmp_path, X, class_sets=sets))
    assert set(came) == {*LABELLED, "set"} and came["set"].dtype == bool
    np.testing.assert_array_equal(came["set"], came["probabilities"] >= 0.3)


def test_class_sets_belong_to_classes_and_are_given_once(tmp_path):
    model = models.mlp((4,), 3, (3,), task="classification")
    values = models.mlp((4,), 3, (3,), task="regression")
    for given, limit in ((model, 0.3), (values, None)):
        with pytest.raises(ValueError, match="^`class_sets` .*`min_probability`"):
            sets = at_least(0.3, given)
            serving.export(given, tmp_path, X, class_sets=sets, min_probability=limit)


@pytest.mark.parametrize("width", [3, 5])
def test_class_sets_have_the_inputs_and_classes_of_the_model(width, tmp_path):
    model = models.mlp((4,), 3, (3,), task="classification")
    other = models.mlp((width,), 2, (3,), task="classification")
    with pytest.raises(ValueError, match="^`class_sets` .*inputs of `model`"):
        serving.export(model, tmp_path, X, class_sets=at_least(0.3, other))
