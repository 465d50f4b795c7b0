"""Probabilities and labels from a model, loaded or not, on every backend."""

import keras
import numpy as np
import pytest

from keras_trainkit import layers, models
from keras_trainkit.models import mlp, predict_labels, predict_proba

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype("float32")


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@pytest.mark.first_quick
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(
    "classes", [("c", "a", "b"), (7, 5, 9), (0.5, 2.5, 1.5), None], ids=str
)
def test_classes_come_with_their_probabilities_and_the_first_by_name(
    members, classes, tmp_path
):
    model = mlp((4,), 3, (), task="classification", classes=classes, members=members)
    model = saved(model, tmp_path)
    shares = predict_proba(model, X, verbose=0)
    expected = softmax(model.predict(X, verbose=0).astype("float64"))
    np.testing.assert_allclose(shares, expected, rtol=1e-5)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    names = np.array(classes if classes else (0, 1, 2))
    said = predict_labels(model, X, batch_size=4, verbose=0)
    np.testing.assert_array_equal(said, names[expected.argmax(1)])
    assert said.dtype == names.dtype


@pytest.mark.first_quick
@pytest.mark.parametrize("classes", [(False, True), ("no", "yes"), (-1, 1)], ids=str)
@pytest.mark.parametrize("members", [1, 3])
def test_a_yes_no_output_is_two_classes(classes, members, tmp_path):
    model = mlp((4,), 1, (), task="binary", classes=classes, members=members)
    model = saved(model, tmp_path)
    yes = sigmoid(model.predict(X, verbose=0)[:, 0].astype("float64"))
    shares = predict_proba(model, X, verbose=0)
    np.testing.assert_allclose(shares, np.stack([1 - yes, yes], 1), rtol=1e-5)
    said = predict_labels(model, X, verbose=0)
    np.testing.assert_array_equal(said, np.array(classes)[(yes > 0.5).astype(int)])


def test_labels_that_hold_together_are_a_yes_or_no_each():
    model = mlp((4,), 3, (), task="binary", classes=["red", "big", "new"])
    expected = sigmoid(model.predict(X, verbose=0).astype("float64"))
    np.testing.assert_allclose(predict_proba(model, X, verbose=0), expected, rtol=1e-5)
    np.testing.assert_array_equal(predict_labels(model, X, verbose=0), expected > 0.5)


@pytest.mark.parametrize(("task", "outputs"), [("classification", 3), ("binary", 1)])
def test_calibrated_logits_keep_their_classes_in_a_plain_model(task, outputs, tmp_path):
    classes = ["c", "a", "b"][: max(outputs, 2)]
    model = mlp((4,), outputs, (), task=task, classes=classes)
    logits = model.predict(X, verbose=0)
    temperature = layers.TemperatureScaling()
    temperature.build()
    temperature.temperature.assign(2.5)
    calibrated = saved(keras.Model(model.input, temperature(model.output)), tmp_path)
    shares = predict_proba(calibrated, X, verbose=0)
    if outputs == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], 1)
    np.testing.assert_allclose(shares, softmax(logits / 2.5), rtol=1e-4)
    said = predict_labels(calibrated, X, verbose=0)
    np.testing.assert_array_equal(said, predict_labels(model, X, verbose=0))


@pytest.mark.parametrize(
    ("task", "units", "activation"),
    [("classification", 3, "softmax"), ("binary", 1, "sigmoid")],
)
def test_a_head_of_probabilities_is_not_squashed_again(task, units, activation):
    inputs = keras.Input((4,), name="features")
    head = layers.Head(units, task, activation=activation)
    model = models.TaskModel(inputs, head(inputs))
    shares = predict_proba(model, X, verbose=0)
    given = model.predict(X, verbose=0)
    np.testing.assert_allclose(shares[:, -units:], given, rtol=1e-6)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    yes = given[:, 0] > 0.5 if units == 1 else given.argmax(1)
    np.testing.assert_array_equal(predict_labels(model, X, verbose=0), yes)


def test_an_answer_per_step_keeps_its_steps():
    inputs = keras.Input((None, 4), name="steps")
    model = models.TaskModel(inputs, layers.Head(2, "classification")(inputs))
    x = X.reshape(2, 3, 4)
    assert predict_proba(model, x, verbose=0).shape == (2, 3, 2)
    assert predict_labels(model, x, verbose=0).shape == (2, 3)


@pytest.mark.parametrize("function", [predict_proba, predict_labels])
def test_refuses_models_without_classes(function):
    with pytest.raises(ValueError, match="`model` knows what its outputs stand for"):
        function(mlp((4,), 2, ()), X)
    with pytest.raises(ValueError, match="`model` tells classes apart.*'regression'"):
        function(mlp((4,), 2, (), task="regression"), X)
