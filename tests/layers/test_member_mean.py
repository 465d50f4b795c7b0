import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.layers import (
    MemberMean,
    MinMaxScaling,
    RobustScaling,
    StandardScaling,
)

MEMBERS = np.random.default_rng(0).normal(0, 3, size=(6, 4, 3)).astype("float32")


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_mean_of_values():
    assert_close(MemberMean()(MEMBERS), MEMBERS.mean(1), rtol=1e-5, atol=1e-6)
    assert MemberMean().compute_output_shape((None, 4, 3)) == (None, 3)


def test_logits_come_from_the_mean_of_probabilities():
    layer = MemberMean("logits")
    mean = softmax(MEMBERS.astype("float64")).mean(1)
    assert_close(layer(MEMBERS), np.log(mean), rtol=1e-4, atol=1e-5)
    assert_close(softmax(ops.convert_to_numpy(layer(MEMBERS))), mean, rtol=1e-4)


def test_binary_logits_come_from_the_mean_of_probabilities():
    mean = sigmoid(MEMBERS.astype("float64")).mean(1)
    came = MemberMean("binary_logits")(MEMBERS)
    assert_close(came, np.log(mean / (1 - mean)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["values", "logits", "binary_logits"])
def test_members_count_by_their_shares_as_if_they_stood_there_so_often(kind):
    shares = [0.5, 0.25, 0.125, 0.125]
    often = np.repeat(MEMBERS, [4, 2, 1, 1], axis=1)
    came = MemberMean(kind, shares=shares)(MEMBERS)
    assert_close(came, MemberMean(kind)(often), rtol=1e-4, atol=1e-5)


def test_shares_are_one_for_each_member():
    with pytest.raises(ValueError, match="`shares` are .* 4 members. Received: 2 "):
        MemberMean(shares=[0.5, 0.5])(MEMBERS)


@pytest.mark.parametrize("kind", ["logits", "binary_logits"])
def test_large_logits_stay_finite_and_one_member_stays_what_it_was(kind):
    large = np.array([[[300.0, -300.0]], [[-200.0, 500.0]]], "float32")
    outputs = ops.convert_to_numpy(MemberMean(kind)(large))
    assert_close(outputs[:, 1] - outputs[:, 0], large[:, 0, 1] - large[:, 0, 0])
    repeated = np.repeat(large, 5, axis=1)
    assert_close(MemberMean(kind)(repeated), outputs, rtol=1e-5)


@pytest.mark.parametrize(
    "scaling",
    [StandardScaling(), RobustScaling(clip=None), MinMaxScaling(outside="extend")],
)
def test_values_go_back_to_the_units_of_the_targets(scaling, tmp_path):
    scaling.adapt(np.random.default_rng(1).normal(500, 70, size=(40, 3)))
    inputs = keras.Input((4, 3), name="members")
    model = keras.Model(inputs, MemberMean(target_scaling=scaling)(inputs))
    expected = ops.convert_to_numpy(scaling.inverse(MEMBERS.mean(1)))
    assert_close(model(MEMBERS), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1].target_scaling) is type(scaling)
    assert_close(loaded(MEMBERS), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shares": [0.4, 0.4]}, r"`shares` are .*sum to 1.*\[0.4, 0.4\]"),
        ({"shares": [1.5, -0.5]}, "`shares` are .*above 0"),
        ({"kind": "median"}, "`kind` says what the members give .*'median'"),
        ({"target_scaling": 3.0}, "adapted layer with `inverse`.*target_scaling=3.0"),
        ({"target_scaling": keras.layers.Dense(1)}, "adapted layer with `inverse`"),
        ({"target_scaling": RobustScaling()}, r"RobustScaling\(clip=None\).*3.0"),
        ({"target_scaling": MinMaxScaling()}, "outside=\"extend\".*outside='clip'"),
        (
            {"target_scaling": StandardScaling(dtype="mixed_float16")},
            r"`StandardScaling\(dtype=\"float32\"\)`.*computes in float16",
        ),
        (
            {"kind": "logits", "target_scaling": StandardScaling()},
            "must be None for logits.*kind='logits'",
        ),
    ],
)
def test_refuses_arguments_that_do_not_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        MemberMean(**arguments)


def test_refuses_a_target_scaling_adapted_on_another_number_of_targets():
    scaling = StandardScaling()
    scaling.adapt(np.ones((4, 2)))
    with pytest.raises(ValueError, match="adapted on one per output, 3.*of 2"):
        MemberMean(target_scaling=scaling)(keras.Input((4, 3)))
