"""`models.bilstm_attention` with several members."""

import keras
import numpy as np
import pytest
from comparing import assert_close, in_one
from keras import ops
from member_losses import members_of, sparse_entropy

from keras_trainkit.layers import StandardScaling
from keras_trainkit.models import (
    MemberModel,
    attention_scores,
    bilstm_attention,
    ensemble,
)

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(6, 5, 2)).astype("float32")
LABELS = np.arange(6) % 3
TOKENS = np.array([[5, 3, 9, 1, 0, 0], [2, 0, 0, 0, 0, 0], [4, 4, 8, 1, 7, 6]])


def floats(outputs=3, **arguments):
    arguments = {"task": "classification", "members": 2, **arguments}
    return bilstm_attention((None, 2), outputs, (3,), **arguments)


def tokens(**arguments):
    arguments = {"task": "classification", "members": 3, **arguments}
    return bilstm_attention(
        *((None,), 3, (3,)), vocabulary_size=12, embedding_units=4, **arguments
    )


def answers(model, x):
    return ops.convert_to_numpy(in_one(model)(x))


def test_members_share_the_embedding_and_nothing_else():
    model = tokens(convolutions=((4, 2),))
    assert isinstance(model, MemberModel)
    kinds = [type(layer).__name__ for layer in model.layers]
    own = ("MaskedConv1D", "BatchNormalization", "VariationalLSTM", "AttentionPooling")
    assert [kinds.count(kind) for kind in own] == [3, 3, 3, 3]
    assert kinds.count("Embedding") == 1
    convolution, normalization = 2 * 4 * 4, 2 * 4
    lstm = 2 * (4 * 12 + 3 * 12 + 12)
    attention, head = 6 * 6 + 6 * 6 + 6, 12 * 3 + 3
    each = convolution + normalization + lstm + attention + head
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == 12 * 4 + 3 * each


def test_members_begin_apart():
    first, second = members_of(floats(), FLOATS).transpose(1, 0, 2)
    assert np.abs(first - second).max() > 1e-3


def test_the_prediction_is_the_mean_of_the_probabilities():
    model = floats()
    each = members_of(model, FLOATS).astype("float64")
    shares = np.exp(each) / np.exp(each).sum(axis=-1, keepdims=True)
    expected = np.log(shares.mean(axis=1))
    assert_close(answers(model, FLOATS), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_the_loss_is_the_mean_of_those_of_the_members():
    model = floats(dropout=0.0, recurrent_dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss)
    each = members_of(model, FLOATS)
    expected = np.mean([sparse_entropy(LABELS, said) for said in each.swapaxes(0, 1)])
    logs = model.train_on_batch(FLOATS, LABELS, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-4)


def test_each_member_is_the_network_of_one():
    model = floats(pool_size=2, convolutions=((4, 3),))
    plain = floats(pool_size=2, convolutions=((4, 3),), members=1)
    for layer in plain.layers:
        if layer.weights and layer.name != "outputs":
            same = model.get_layer(f"member_2_{layer.name}")
            layer.set_weights(list(map(ops.convert_to_numpy, same.weights)))
    kernel, bias = map(ops.convert_to_numpy, model.get_layer("members").weights)
    plain.get_layer("outputs").set_weights([kernel[1], bias[1]])
    expected = members_of(model, FLOATS)[:, 1]
    assert_close(answers(plain, FLOATS), expected, atol=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_attention_is_the_mean_of_the_members():
    model = tokens(members=2)
    weights = attention_scores(model).predict(TOKENS, verbose=0)
    each = [
        answers(keras.Model(model.input, layer.output[1]), TOKENS)
        for layer in model.layers
        if layer.name.endswith("attention")
    ]
    assert len(each) == 2
    assert_close(weights, np.mean(each, axis=0), atol=1e-6)
    assert (weights[TOKENS == 0] == 0).all()
    assert weights.sum(axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_comes_back_from_a_file_and_trains_on(tmp_path):
    scaling = StandardScaling()
    y = (100 + 9 * RNG.normal(size=(6, 4, 2))).astype("float32")
    scaling.adapt(y)
    model = floats((4, 2), task="regression", target_scaling=scaling)
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = answers(loaded, FLOATS)
    assert found.shape == y.shape
    assert np.array_equal(found, answers(model, FLOATS))
    assert np.isfinite(loaded.train_on_batch(FLOATS, y)).all()


@pytest.mark.slow
def test_networks_with_members_make_an_ensemble():
    networks = [floats(), floats(members=1)]
    model = ensemble(networks)
    each = np.exp([members_of(networks[0], FLOATS)[:, n] for n in (0, 1)])
    each = np.concatenate([each, np.exp(answers(networks[1], FLOATS))[None]])
    expected = np.log((each / each.sum(-1, keepdims=True)).mean(axis=0))
    assert_close(answers(model, FLOATS), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_is_served(tmp_path):
    tf = pytest.importorskip("tensorflow")
    from keras_trainkit import serving

    model = tokens(convolutions=((4, 3),), pool_size=2)
    path = serving.export(model, tmp_path, TOKENS)
    served = tf.saved_model.load(path).signatures["serving_default"]
    found = served(tokens=tf.constant(TOKENS, "int32"))["probabilities"].numpy()
    expected = np.exp(answers(model, TOKENS))
    assert_close(found, expected / expected.sum(-1, keepdims=True), atol=1e-5)


def test_refuses_no_members():
    with pytest.raises(ValueError, match="`members` is the number of members .*=0"):
        floats(members=0)
