"""Several networks as one model, against NumPy."""

import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.layers import Head, MinMaxScaling, StandardScaling
from keras_trainkit.models import (
    MemberModel,
    TaskModel,
    bilstm_attention,
    ensemble,
    loss_for,
    mlp,
)

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def networks(outputs=1, count=2, **arguments):
    return [mlp((3,), outputs, (4,), **arguments) for _ in range(count)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_probabilities_are_averaged():
    each = networks(task="binary", classes=["no", "yes"])
    model = ensemble(each)
    expected = np.mean([sigmoid(n.predict(X, verbose=0)) for n in each], axis=0)
    assert_close(sigmoid(model.predict(X, verbose=0)), expected, atol=1e-6)
    assert (model.task, model.classes) == ("binary", ("no", "yes"))


def test_every_member_counts_once_in_the_units_of_the_targets():
    scaling = StandardScaling()
    scaling.adapt(np.array([[1e6], [3e6]]))
    each = [
        mlp((3,), 1, (4,), members=members, target_scaling=scaling, task="regression")
        for members in (1, 3)
    ]
    one, three = (network.predict(X, verbose=0) for network in each)
    assert_close(ensemble(each).predict(X, verbose=0), (one + 3 * three) / 4, rtol=1e-5)


@pytest.mark.first_quick
@pytest.mark.parametrize("task", ["regression", "binary", "classification"])
def test_networks_count_by_their_weights_whatever_their_members(task, tmp_path):
    each = [mlp((3,), 3, (4,), members=m, task=task) for m in (1, 3)]
    found = [network.predict(X, verbose=0).astype("float64") for network in each]
    if task == "classification":
        found = [np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in found]
    elif task == "binary":
        found = [sigmoid(z) for z in found]
    expected = (3 * found[0] + 5 * found[1]) / 8
    if task != "regression":
        expected = np.log(expected) - np.log(1 - expected) * (task == "binary")
    model = ensemble(each, weights=[3, 5])
    assert_close(model.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(X), model(X), atol=1e-6)


def test_weights_within_a_member_of_an_ensemble_stay():
    each = networks(count=3, task="regression")
    one, two, three = (network.predict(X, verbose=0) for network in each)
    inner = ensemble(each[:2], weights=[1, 3])
    by_weight = ensemble([inner, each[2]], weights=[1, 1])
    expected = (one + 3 * two) / 8 + three / 2
    assert_close(by_weight.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)
    by_members = ensemble([inner, each[2]])
    expected = (one / 4 + 3 * two / 4) * 2 / 3 + three / 3
    assert_close(by_members.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, np.inf], "ab", [1, "b"]])
def test_weights_are_one_for_each_network(weights):
    with pytest.raises(ValueError, match="^`weights` say .* 2 finite numbers above 0"):
        ensemble(networks(task="binary"), weights=weights)


def test_one_network_stays_what_it_is():
    (network,) = networks(3, 1, members=2, task="classification")
    assert_close(ensemble([network])(X), network(X), atol=1e-6)


def test_weights_are_those_of_the_networks_and_train_on():
    each = networks(task="regression")
    model = ensemble(each)
    before = model.predict(X, verbose=0)
    kernel = each[0].get_layer("dense_1").kernel
    model.compile("sgd", loss_for(model))
    model.fit(X, X[:, :1], verbose=0)
    assert any(weight is kernel for weight in model.weights)
    assert np.abs(model.predict(X, verbose=0) - before).max() > 0


def test_saved_it_predicts_the_same(tmp_path):
    model = ensemble(networks(3, members=2, dropout=0.1, task="classification"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, MemberModel)
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(m(X)) for m in (model, loaded))
    )


def test_networks_of_tables_keep_the_names_of_their_inputs():
    sizes = [3, 2]
    each = [mlp((2,), 1, (4,), category_sizes=sizes, task="binary") for _ in range(2)]
    model = ensemble(each)
    assert set(model.input) == set(each[0].input)
    rows = {name: np.zeros((2, *t.shape[1:])) for name, t in model.input.items()}
    assert model.predict(rows, verbose=0).shape == (2, 1)


@pytest.mark.slow
def test_networks_of_sequences_are_averaged():
    each = [bilstm_attention((4, 2), 1, (3,), task="regression") for _ in range(2)]
    x = np.random.default_rng(0).normal(size=(5, 4, 2)).astype("float32")
    expected = np.mean([network.predict(x, verbose=0) for network in each], axis=0)
    assert_close(ensemble(each).predict(x, verbose=0), expected, atol=1e-6)


BINARY = {"task": "binary", "classes": ["no", "yes"]}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (BINARY | {"classes": ["yes", "no"]}, "the classes"),
        ({"task": "binary"}, "the classes"),
        ({"task": "regression"}, "the mean 'binary_logits'"),
        ({}, "end in a `layers.Head` without"),
        ({"output_activation": "sigmoid"}, "end in a `layers.Head` without"),
    ],
)
def test_networks_of_two_kinds_are_refused(other, words):
    pair = networks(count=1, **BINARY) + networks(count=1, **other)
    with pytest.raises(ValueError, match=f"^`networks` are the models .*{words}"):
        ensemble(pair)


def test_targets_scaled_in_two_ways_are_refused():
    each = []
    for spread in (1.0, 2.0):
        scaling = StandardScaling()
        scaling.adapt(np.array([[0.0], [spread]]))
        each += networks(count=1, task="regression", target_scaling=scaling)
    with pytest.raises(ValueError, match="the target scaling"):
        ensemble(each)


def test_scalings_of_two_ranges_are_refused():
    each = []
    for low in (-1.0, 0.0):
        scaling = MinMaxScaling((low, 1.0), outside="extend")
        scaling.adapt(np.array([[0.0], [10.0]]))
        each += networks(count=1, task="regression", target_scaling=scaling)
    with pytest.raises(ValueError, match="the target scaling"):
        ensemble(each)


def test_networks_that_share_a_layer_are_refused():
    """Keras saves it once, and cannot load it twice."""
    scaling = StandardScaling()
    scaling.adapt(X)
    pair = networks(task="binary", scaling=scaling)
    with pytest.raises(ValueError, match="without a layer in common.*standard_scaling"):
        ensemble(pair)
    (network,) = networks(count=1, task="binary")
    with pytest.raises(ValueError, match="without a layer in common"):
        ensemble([network, network])


def test_ensembles_can_be_members_of_another(tmp_path):
    each = networks(count=3, task="binary")
    model = ensemble([ensemble(each[:2]), each[2]])
    expected = np.mean([sigmoid(n.predict(X, verbose=0)) for n in each], axis=0)
    assert_close(sigmoid(model.predict(X, verbose=0)), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(X), model(X), atol=1e-6)


def test_mixed_precision_ends_in_float32(mixed_precision):
    each = networks(task="regression")
    for network in each:
        head = network.layers[-1]
        head.kernel.assign(np.zeros(head.kernel.shape, "float32"))
        head.bias.assign(np.array([1e5], "float32"))  # bfloat16 has 99840 or 100352
    assert_close(ensemble(each)(X), np.full((6, 1), 1e5), rtol=1e-6)


@pytest.mark.parametrize("name", ["members", "outputs", "network_1"])
def test_an_input_may_have_any_name(name):
    each = []
    for _ in range(2):
        inputs = keras.Input((3,), name=name)
        head = Head(1, "regression")(inputs)
        each.append(TaskModel(inputs, head))
    expected = np.mean([network.predict(X, verbose=0) for network in each], axis=0)
    assert_close(ensemble(each)(X), expected, atol=1e-6)


@pytest.mark.parametrize("given", [[], None, [keras.Sequential()], "ab"])
def test_what_is_no_list_of_networks_is_refused(given):
    with pytest.raises(ValueError, match="^`networks` are the models"):
        ensemble(given)


def test_names_are_checked():
    with pytest.raises(ValueError, match="^`name`"):
        ensemble(networks(task="binary"), name="")
