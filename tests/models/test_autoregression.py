import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.layers import StandardScaling
from keras_trainkit.models import autoregression, ensemble

PADDING = -9.0


def series():
    """Windows `(rows, 6, 2)` and what a linear function of them gives, `(rows, 3)`."""
    rng = np.random.default_rng(0)
    x = rng.normal((5, 300), (1, 20), size=(200, 6, 2)).astype("float32")
    y = x[:, -1] @ [[1, 0, 2], [0, 1, -1]] + x[:, -3, :1]
    return x, y.astype("float32")


def scaled(x, y):
    scaling, target_scaling = StandardScaling(), StandardScaling()
    scaling.adapt(x)
    target_scaling.adapt(y)
    return {"scaling": scaling, "target_scaling": target_scaling}


def test_it_learns_a_linear_function():
    x, y = series()
    model = autoregression((None, 2), 3, 4, task="regression", **scaled(x, y))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(x, y, epochs=40, batch_size=20, verbose=0)
    error = model.predict(x, verbose=0) - y
    assert np.sqrt(np.mean((error / y.std(0)) ** 2)) < 0.02


def test_padding_and_older_steps_have_no_influence():
    x, y = series()
    model = autoregression((None, 2), 3, 4, mask_value=PADDING, **scaled(x, y))
    expected = model.predict(x[:8], verbose=0)
    padded = np.full((8, 9, 2), PADDING, "float32")
    padded[:, :4] = x[:8, 2:]
    assert_close(model.predict(padded, verbose=0), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("keep", ["start", "end"])
def test_it_reads_the_last_of_the_steps_that_are_kept(keep):
    x, _ = series()
    model = autoregression((6, 2), 3, 2, max_length=4, keep=keep)
    expected = model.predict(x[:8], verbose=0)
    read = x[:8, 2:4] if keep == "start" else x[:8, 4:]
    same = autoregression((2, 2), 3, 2)
    same.set_weights(model.get_weights())
    assert_close(same.predict(read, verbose=0), expected, rtol=1e-5, atol=1e-3)


def test_a_missing_value_counts_as_the_mean():
    x, y = series()
    model = autoregression((6, 2), 3, 6, missing="indicator", **scaled(x, y))
    kernel, bias = model.get_layer("members").get_weights()
    kernel = kernel.reshape(6, 4, 3)
    kernel[:, 2:] = 0  # of the channels that say what was there
    model.get_layer("members").set_weights([kernel.reshape(1, 24, 3), bias])
    gap, filled = x[:8].copy(), x[:8].copy()
    gap[:, 4, 1], filled[:, 4, 1] = np.nan, x[..., 1].mean()
    expected = model.predict(filled, verbose=0)
    assert_close(model.predict(gap, verbose=0), expected, rtol=1e-4)


def test_several_steps_ahead_of_several_series_have_their_shape():
    model = autoregression((6, 2), (4, 2), 6, task="regression")
    assert model.output_shape == (None, 4, 2)
    kernel = ops.convert_to_numpy(model.get_layer("answers").kernel)
    assert kernel.shape == (12, 8)


def test_it_is_averaged_with_a_network():
    x, y = series()
    scalings = scaled(x, y)
    linear = autoregression((6, 2), 3, 4, task="regression", **scalings)
    other = autoregression((6, 2), 3, 6, task="regression", **scaled(x, y))
    mean = ensemble([linear, other], weights=[1, 3])
    expected = linear.predict(x, verbose=0) / 4 + other.predict(x, verbose=0) * 3 / 4
    assert_close(mean.predict(x, verbose=0), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": 0}, "`steps` is the number of the last steps and must be"),
        ({"input_shape": (6,)}, "`input_shape` is the shape of one sequence"),
        ({"outputs": 0}, "`outputs` is the number of units of the head"),
        ({"task": "classes"}, "`task` decides what the head gives"),
        ({"scaling": 2}, "`scaling` is put before the first block"),
        ({"target_scaling": 2}, "`target_scaling`"),
        ({"missing": "mean"}, "`missing` says what becomes of values"),
        ({"keep": "middle"}, "`keep` is the end that survives"),
        ({"name": ""}, "`name` names the model"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    arguments = {"input_shape": (6, 2), "outputs": 3, "steps": 4} | arguments
    with pytest.raises(ValueError, match=words):
        autoregression(**arguments)
