import keras
import numpy as np
import pytest
from comparing import assert_close, rounding, rounding_of_sum
from keras import ops

from keras_trainkit.layers import PeriodicEmbedding

X = np.random.default_rng(0).normal(size=(6, 3))


def by_hand(layer, x, activation):
    c, kernel, bias = (
        ops.convert_to_numpy(w).astype("float64")
        for w in (layer.frequency, layer.kernel, layer.bias)
    )
    outputs = np.empty((*x.shape, layer.units))
    for feature in range(x.shape[1]):
        angle = 2 * np.pi * x[:, [feature]] * c[feature]
        waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
        outputs[:, feature] = activation(waves @ kernel[feature] + bias[feature])
    return outputs


@pytest.mark.parametrize(
    ("name", "activation"),
    [("relu", lambda z: np.maximum(z, 0)), ("tanh", np.tanh), (None, lambda z: z)],
)
def test_equals_the_formula(name, activation):
    layer = PeriodicEmbedding(5, frequencies=7, sigma=0.4, activation=name)
    outputs = layer(X.astype("float32"))
    assert outputs.shape == layer.compute_output_shape((6, 3)) == (6, 3, 5)
    assert_close(outputs, by_hand(layer, X, activation), rtol=1e-4, atol=1e-5)


def test_frequencies_start_around_zero_within_two_sigma():
    layer = PeriodicEmbedding(frequencies=400, sigma=0.3)
    layer.build((None, 5))
    drawn = ops.convert_to_numpy(layer.frequency)
    assert np.abs(drawn).max() <= 0.6
    assert np.std(drawn) == pytest.approx(0.88 * 0.3, rel=0.05)  # truncated at 2 sigma


def test_each_feature_has_weights_of_its_own():
    layer = PeriodicEmbedding(2, frequencies=3)
    outputs = ops.convert_to_numpy(layer(np.full((1, 4), 0.3, "float32")))
    assert len(np.unique(ops.convert_to_numpy(layer.frequency))) == 12
    assert layer.count_params() == 4 * (3 + 6 * 2 + 2)
    assert outputs.shape == (1, 4, 2)


def test_half_precision_begins_after_the_waves():
    layer = PeriodicEmbedding(5, sigma=3.0, activation=None, dtype="mixed_bfloat16")
    x = 90 + X.astype("float32")  # angles up to 3000, useless in 8 bits
    outputs = layer(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    outputs = ops.cast(outputs, "float32")
    expected = by_hand(layer, x.astype("float64"), lambda z: z)
    kernel = ops.convert_to_numpy(layer.kernel)  # sines and cosines are at most 1
    error = max(rounding_of_sum("bfloat16", terms).max() for terms in kernel)
    assert_close(outputs, expected, rtol=rounding("bfloat16", 2), atol=error)

    rounded = ops.convert_to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32"))
    too_early = by_hand(layer, rounded.astype("float64"), lambda z: z)
    assert np.abs(too_early - expected).max() > 2 * error


def test_nan_stays_nan_in_its_feature():
    outputs = ops.convert_to_numpy(
        PeriodicEmbedding(2, activation=None)(np.array([[np.nan, 1.0, np.inf]]))
    )
    assert np.isnan(outputs[0, [0, 2]]).all() and np.isfinite(outputs[0, 1]).all()


@pytest.mark.parametrize("shape", [(None, None), (None, 5, 3), (None, 0)])
def test_refuses_inputs_that_are_no_features(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, features\), features known"):
        PeriodicEmbedding().build(shape)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` is the length of the vector .* at least 1"),
        ({"frequencies": 1.5}, "`frequencies` is the number .* frequencies=1.5"),
        ({"sigma": 0.0}, "`sigma` is the standard deviation .* above 0"),
        ({"activation": "rleu"}, "rleu"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        PeriodicEmbedding(**arguments)
