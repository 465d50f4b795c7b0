import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.layers import MemberDense

X = np.random.default_rng(0).normal(size=(6, 3, 4)).astype("float32")


def test_each_member_has_a_dense_layer_of_its_own():
    layer = MemberDense(2, activation="tanh")
    outputs = layer(X)
    kernel, bias = (ops.convert_to_numpy(w) for w in (layer.kernel, layer.bias))
    expected = [np.tanh(X[:, k] @ kernel[k] + bias[k]) for k in range(3)]
    assert_close(outputs, np.stack(expected, axis=1), rtol=1e-4, atol=1e-6)
    assert layer.compute_output_shape((None, 3, 4)) == (None, 3, 2)
    assert len(np.unique(kernel)) == 3 * 4 * 2


def test_weights_start_uniform_within_the_bound_of_one_member():
    layer = MemberDense(10)
    layer.build((None, 30, 16))
    for weight in (layer.kernel, layer.bias):
        drawn = ops.convert_to_numpy(weight)
        assert np.abs(drawn).max() <= 0.25  # 1 / sqrt(16)
        assert np.std(drawn) == pytest.approx(0.25 / np.sqrt(3), rel=0.06)


def test_the_regularizer_counts_the_kernel_and_comes_back_from_a_config():
    layer = MemberDense(2, kernel_regularizer=keras.regularizers.L1L2(0.3, 0.7))
    for made in (layer, MemberDense.from_config(layer.get_config())):
        made(X)
        kernel = ops.convert_to_numpy(made.kernel)
        expected = 0.3 * np.abs(kernel).sum() + 0.7 * (kernel**2).sum()
        assert_close(made.losses[0], expected, rtol=1e-5)


def test_a_function_as_activation_comes_back_from_a_config():
    layer = MemberDense(2, activation=keras.activations.softplus)
    copy = MemberDense.from_config(layer.get_config())
    assert (ops.convert_to_numpy(copy(X)) > 0).all()


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4), (None, 3, None)])
def test_refuses_inputs_without_members(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, members, features\)"):
        MemberDense(2).build(shape)


def test_refuses_units_that_are_none():
    with pytest.raises(ValueError, match="outputs per member .* at least 1.*units=0"):
        MemberDense(0)
