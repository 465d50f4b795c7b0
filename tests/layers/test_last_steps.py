import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.layers import LastSteps

ROWS = np.array(
    [
        [5, 6, 7, 8, 0],  # padding after
        [5, 6, 0, 0, 0],  # too short
        [0, 0, 0, 5, 6],  # padding before
        [5, 0, 7, 0, 0],  # a hole
        [0, 0, 0, 0, 0],  # nothing
        [5, 6, 7, 8, 9],
    ]
)
LAST = [[6, 7, 8], [0, 5, 6], [0, 5, 6], [5, 0, 7], [0, 0, 0], [7, 8, 9]]


def steps_with_nan():
    """`(rows, time, 2)`, NaN where a step is masked, and the mask."""
    valid = ROWS != 0
    x = np.stack([ROWS, ROWS * 10], axis=-1).astype("float32")
    x[~valid] = np.nan
    return x, valid


def test_the_last_valid_steps_stand_at_the_end():
    x, valid = steps_with_nan()
    last = ops.convert_to_numpy(LastSteps(3)(x, mask=valid))
    assert_equal(last[..., 0], LAST)
    assert_equal(last[..., 1], np.array(LAST) * 10)


@pytest.mark.parametrize("steps", [1, 3, 5, 8])
def test_without_a_mask_every_step_is_valid(steps):
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    last = ops.convert_to_numpy(LastSteps(steps)(x))
    expected = np.concatenate([np.zeros((2, 8, 3), "float32"), x], axis=1)[:, -steps:]
    assert_equal(last, expected)
    same = LastSteps(steps)(x, mask=np.ones((2, 5), bool))
    assert_equal(same, last)


@pytest.mark.parametrize(("rows", "time"), [(0, 4), (2, 0), (0, 0)])
def test_no_rows_and_no_steps_give_zeros(rows, time):
    x, mask = np.ones((rows, time, 2)), np.ones((rows, time), bool)
    for layer_mask in (None, mask):
        last = LastSteps(3)(x, mask=layer_mask)
        assert_equal(last, np.zeros((rows, 3, 2)))


def test_a_linear_function_reads_the_last_steps():
    x, valid = steps_with_nan()
    model = model_of(3)
    kernel = np.arange(1.0, 7)[:, None]
    model.get_layer("linear").set_weights([kernel])
    expected = np.stack([LAST, np.array(LAST) * 10], -1).reshape(6, 6) @ kernel
    assert_close(model(np.where(valid[..., None], x, -1)), expected, rtol=1e-6)


def model_of(steps):
    inputs = keras.Input((None, 2))
    x = LastSteps(steps)(keras.layers.Masking(-1.0)(inputs))
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="linear")(x))


def test_it_trains_and_comes_back_from_its_file(tmp_path):
    x, valid = steps_with_nan()
    x = np.where(valid[..., None], x, -1)
    model = model_of(3)
    model.compile("adam", "mse")
    before = ops.convert_to_numpy(model.get_layer("linear").kernel)
    model.fit(x, np.ones((6, 1)), batch_size=4, verbose=0)
    assert np.all(before != ops.convert_to_numpy(model.get_layer("linear").kernel))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy(x), model(x))


@pytest.mark.tensorflow_only
def test_exported_it_takes_any_length(tmp_path):
    import tensorflow as tf

    model = model_of(3)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    x = np.random.default_rng(0).normal(size=(4, 7, 2)).astype("float32")
    for rows in (x, x[:, :2], x[:0]):
        assert_close(loaded.serve(rows), model(rows), atol=1e-6)


@pytest.mark.parametrize("steps", [0, 2.5, True, None])
def test_refuses_what_is_no_number_of_steps(steps):
    with pytest.raises(ValueError, match="number of the last steps and must be"):
        LastSteps(steps)
