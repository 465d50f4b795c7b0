import keras
import numpy as np
import pytest

from keras_trainkit import layers, models
from keras_trainkit.models import loss_for, metrics_for, mlp

X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
CODES = np.arange(12) % 3
CASES = {
    "classification": (3, CODES, {}),
    "one_hot": (3, np.eye(3)[CODES], {"one_hot": True}),
    "binary": (1, (CODES == 1)[:, None].astype("float32"), {}),
    "regression": (1, X[:, :1], {}),
}


@pytest.mark.first_quick
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("members", [1, 2])
def test_loss_and_metrics_train_the_head_without_a_warning(case, members):
    outputs, y, arguments = CASES[case]
    task = "classification" if case == "one_hot" else case
    model = mlp((4,), outputs, (), task=task, members=members, dropout=0.0)
    loss, metrics = loss_for(model, **arguments), metrics_for(model, **arguments)
    model.compile("sgd", loss, metrics=metrics)
    said = model.predict(X, verbose=0)
    came = model.evaluate(X, y, verbose=0, return_dict=True)
    if task == "regression":
        expected = np.sqrt(np.mean((said - y) ** 2))
        assert came["root_mean_squared_error"] == pytest.approx(expected, rel=1e-5)
        return
    shares = models.predict_proba(model, X, verbose=0)
    truth = CODES if task == "classification" else y[:, 0].astype("int32")
    entropy = -np.log(shares[np.arange(12), truth]).mean()
    assert came["loss"] == pytest.approx(entropy, rel=1e-5)
    right = np.mean(models.predict_labels(model, X, verbose=0) == truth)
    assert came["accuracy"] == pytest.approx(right)


def test_a_head_that_gives_probabilities_is_told_apart():
    inputs = keras.Input((4,), name="features")
    head = layers.Head(1, "binary", activation="sigmoid")
    model = models.TaskModel(inputs, head(inputs))
    assert not loss_for(model).get_config()["from_logits"]
    assert metrics_for(model)[0].get_config()["threshold"] == 0.5


@pytest.mark.parametrize("reloaded", [False, True])
def test_values_in_a_shape_with_an_activation_know_their_task(reloaded, tmp_path):
    model = models.bilstm_attention(
        *((None, 4), (3, 2), (5,)), task="regression", output_activation="sigmoid"
    )
    if reloaded:
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    assert model.task == "regression"
    assert isinstance(loss_for(model), keras.losses.MeanSquaredError)


def test_an_activation_over_labels_or_nothing_known_tells_no_task():
    inputs = keras.Input((4,), name="features")
    labels = layers.Head(2, "classification", name="labels")(inputs)
    for before in (inputs, labels, keras.layers.Dense(2)(inputs)):
        outputs = keras.layers.Activation("sigmoid")(before)
        assert models.TaskModel(inputs, outputs).task is None


def test_smoothing_is_handed_on_and_needs_labels_that_can_be_smoothed():
    binary = mlp((4,), 1, (), task="binary")
    assert loss_for(binary, label_smoothing=0.2).get_config()["label_smoothing"] == 0.2
    classes = mlp((4,), 3, (), task="classification")
    smoothed = loss_for(classes, one_hot=True, label_smoothing=0.2)
    assert smoothed.get_config()["label_smoothing"] == 0.2
    with pytest.raises(ValueError, match="`label_smoothing` is the share.*must be 0"):
        loss_for(classes, label_smoothing=0.2)
    with pytest.raises(ValueError, match="`label_smoothing` is the share.*below 1"):
        loss_for(binary, label_smoothing=1)


@pytest.mark.parametrize("function", [loss_for, metrics_for])
def test_refuses_a_model_that_does_not_know_its_task_and_labels_it_cannot_have(
    function,
):
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    for model in (plain, mlp((4,), 1, ()), None):
        with pytest.raises(ValueError, match="`model` knows what its outputs stand"):
            function(model)
    binary = mlp((4,), 1, (), task="binary")
    with pytest.raises(ValueError, match="`one_hot` tells.*task='binary'"):
        function(binary, one_hot=True)
    with pytest.raises(ValueError, match="`one_hot` tells.*must be True or False"):
        function(binary, one_hot=1)
