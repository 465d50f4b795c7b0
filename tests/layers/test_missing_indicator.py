import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit.layers import MissingIndicator

NAN = float("nan")


def numpy(x):
    return ops.convert_to_numpy(x)


def test_each_value_is_filled_and_flagged_by_itself():
    x = np.array([[[0.5, NAN], [NAN, NAN]], [[0.0, -2.0], [NAN, 7.0]]], "float32")
    expected = [
        [[0.5, 0, 1, 0], [0, 0, 0, 0]],
        [[0, -2, 1, 1], [0, 7, 0, 1]],
    ]
    np.testing.assert_array_equal(numpy(MissingIndicator()(x)), expected)


@pytest.mark.parametrize("junk", [9.0, NAN, np.inf])
def test_masked_steps_are_0_throughout_and_stay_masked(junk):
    x = np.array([[[0.5, NAN], [junk, junk]]], "float32")
    mask = np.array([[True, False]])
    layer = MissingIndicator()
    expected = [[[0.5, 0, 1, 0], [0, 0, 0, 0]]]
    np.testing.assert_array_equal(numpy(layer(x, mask=mask)), expected)
    assert layer.compute_mask(x, mask) is mask


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_whole_numbers_are_never_missing(dtype):
    x = np.array([[3, 0]], dtype)
    expected = [[float(x[0, 0]), 0, 1, 1]]
    np.testing.assert_array_equal(numpy(MissingIndicator()(x)), expected)


def test_gradients_do_not_come_from_missing_values():
    """A model of the layer alone trains on rows with gaps without a NaN."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(MissingIndicator()(inputs)))
    model.compile("sgd", "mse")
    x = np.array([[1, NAN], [NAN, NAN]], "float32")
    assert np.isfinite(model.train_on_batch(x, np.ones((2, 1))))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_shape_is_known_before_the_call():
    assert MissingIndicator()(keras.Input((None, 3))).shape == (None, None, 6)
