"""Behaviour shared by the layers that change training rows, then of each alone."""

import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal, rounding
from keras import ops

from keras_trainkit.layers import (
    GaussianFeatureNoise,
    TimeMask,
    TimeShift,
    TimeWarp,
    TokenDropout,
)

ON_FEATURES = [
    (GaussianFeatureNoise, {"stddev": 0.4}),
    (TimeShift, {"max_fraction": 0.7}),
    (TimeShift, {"max_fraction": 0.7, "fill": "wrap"}),
    (TimeMask, {"max_fraction": 0.7, "value": 0.3}),
    (TimeWarp, {"stddev": 0.4, "knots": 3}),
]
on_features = pytest.mark.parametrize(("cls", "arguments"), ON_FEATURES)
VALID = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 1, 0, 0],  # padding after
        [0, 0, 1, 1, 1, 1, 1, 1, 1, 1],  # before
        [0, 1, 1, 0, 1, 1, 0, 1, 1, 0],  # holes
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0],  # one step
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # none
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    ],
    bool,
)
X = np.random.default_rng(0).normal(size=(*VALID.shape, 2)).astype("float32")


def array(x):
    return ops.convert_to_numpy(x)


@on_features
def test_inference_passes_values_and_mask_on(cls, arguments):
    layer = cls(**arguments)
    came = layer(X, mask=VALID)
    assert_equal(came, X)
    assert_equal(came._keras_mask, VALID)
    assert_equal(layer(X, training=False), X)


@on_features
def test_a_mask_stays_on_the_output_alone(cls, arguments):
    x = ops.convert_to_tensor(X)
    cls(**arguments)(x, mask=ops.convert_to_tensor(VALID))
    assert getattr(x, "_keras_mask", None) is None


@on_features
def test_training_changes_valid_steps_and_no_others(cls, arguments):
    x = np.where(VALID[..., None], X, np.nan)  # padding never reaches a valid step
    came = array(cls(**arguments, seed=3)(x, mask=VALID, training=True))
    assert_equal(came[~VALID], x[~VALID])
    assert np.isfinite(came[VALID]).all()
    assert (came[VALID] != X[VALID]).any()


@on_features
def test_a_seed_repeats_and_calls_differ(cls, arguments):
    first, again = cls(**arguments, seed=3), cls(**arguments, seed=3)
    came = array(first(X, training=True))
    assert_equal(again(X, training=True), came)
    assert (array(first(X, training=True)) != came).any()


@on_features
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(cls, arguments, dtype):
    came = cls(**arguments, seed=3, dtype=dtype)(X, mask=VALID, training=True)
    full = array(cls(**arguments, seed=3)(X, mask=VALID, training=True))
    half = dtype.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(came.dtype) == half
    came = array(ops.cast(came, "float32"))
    # Inputs and a few results are rounded, none larger than 8.
    assert_close(came, full, atol=8 * rounding(half, 5))


@on_features
def test_no_rows_and_no_steps(cls, arguments):
    for shape in ((0, 4, 2), (3, 0, 2)):
        assert cls(**arguments)(np.ones(shape), training=True).shape == shape


@pytest.mark.first_quick
@on_features
def test_fits_and_comes_back_from_a_file(cls, arguments, tmp_path):
    inputs = keras.Input((None, 2))
    x = keras.layers.Masking()(inputs)
    x = cls(**arguments, seed=3)(x)
    assert tuple(x.shape) == (None, None, 2)
    outputs = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(outputs))
    model.compile("sgd", "mse")
    x = np.where(VALID[..., None], X, 0)[VALID.any(axis=1)]
    history = model.fit(x, np.ones(5), batch_size=3, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))


def test_noise_has_the_spread_of_each_feature():
    x = np.full((20_000, 3), 5.0, "float32")
    came = array(GaussianFeatureNoise([0.2, 0.0, 0.7], seed=3)(x, training=True))
    # The standard error of a deviation of n numbers is its 1 / sqrt(2 n): 0.5 %.
    assert_close(came.std(axis=0), [0.2, 0, 0.7], rtol=0.02)
    assert_close(came.mean(axis=0), [5, 5, 5], atol=0.02)
    assert_equal(came[:, 1], x[:, 1])


def test_each_shift_within_the_valid_steps_comes_up():
    steps = np.array([[0, 5, 6, 7, 8, 0]], "float32").repeat(200, axis=0)[..., None]
    mask = steps[..., 0] != 0
    layer = TimeShift(0.25, seed=3)  # one of four valid steps
    came = {tuple(row) for row in array(layer(steps, mask=mask, training=True))[..., 0]}
    assert came == {(0, 5, 6, 7, 8, 0), (0, 5, 5, 6, 7, 0), (0, 6, 7, 8, 8, 0)}
    layer = TimeShift(0.25, "wrap", seed=3)
    came = {tuple(row) for row in array(layer(steps, mask=mask, training=True))[..., 0]}
    assert came == {(0, 5, 6, 7, 8, 0), (0, 8, 5, 6, 7, 0), (0, 6, 7, 8, 5, 0)}


def test_holes_are_stepped_over():
    steps = np.array([[5, 0, 6, 0, 7]], "float32").repeat(50, axis=0)[..., None]
    layer = TimeShift(1 / 3 + 1e-3, seed=3)
    came = layer(steps, mask=steps[..., 0] != 0, training=True)
    came = {tuple(row) for row in array(came)[..., 0]}
    assert came == {(5, 0, 6, 0, 7), (5, 0, 5, 0, 6), (6, 0, 7, 0, 7)}


def test_spans_of_each_width_are_masked():
    x = np.ones((600, 6, 2), "float32")
    mask = np.arange(6) < np.full((600, 1), 4)
    layer = TimeMask(0.5, value=0.25, seed=3)
    came = array(layer(x, mask=mask, training=True))
    assert_equal(came[..., 0], came[..., 1])
    spans = {tuple(np.flatnonzero(row == 0.25)) for row in came[..., 0]}
    assert spans == {(), (0,), (1,), (2,), (3,), (0, 1), (1, 2), (2, 3)}
    widths = (came[..., 0] == 0.25).sum(axis=1)
    assert_close(np.bincount(widths) / 600, [1 / 3] * 3, atol=0.08)  # 4 sigma


def test_warping_keeps_order_and_ends():
    ramp = np.arange(40, dtype="float32")
    x = np.broadcast_to(ramp[None, :, None], (50, 40, 1))
    came = array(TimeWarp(0.4, knots=2, seed=3)(x, training=True))[..., 0]
    assert_close(came[:, 0], 0, atol=1e-4)
    assert_close(came[:, -1], 39, atol=1e-4)
    assert (np.diff(came, axis=1) > 0).all()
    assert np.abs(came - ramp).max() > 1


def test_speed_is_the_line_between_its_knots():
    """With two ends alone, of speeds a and b: time is a parabola, by hand."""
    x = np.broadcast_to(np.arange(21.0)[None, :, None], (4, 21, 1))
    layer, twin = TimeWarp(0.4, knots=0, seed=3), TimeWarp(0.4, knots=0, seed=3)
    a, b = np.maximum(1 + 0.4 * array(twin.normal((4, 2))), 0.1).T[..., None]
    u = np.linspace(0, 1, 21)
    expected = 20 * (a * u + (b - a) * u**2 / 2) / ((a + b) / 2)
    assert_close(array(layer(x, training=True))[..., 0], expected, atol=1e-4)


def test_a_warp_of_no_spread_changes_nothing():
    assert_close(TimeWarp(0.0)(X, mask=VALID, training=True), X, atol=1e-5)


def test_a_gap_is_read_by_its_neighbours_alone():
    x = np.random.default_rng(0).normal(size=(50, 40, 1)).astype("float32")
    gaps = np.random.default_rng(1).random(x.shape) < 0.1
    x[gaps] = np.nan
    still = array(TimeWarp(0.0)(x, training=True))
    np.testing.assert_array_equal(np.isnan(still), gaps)
    warped = array(TimeWarp(0.2, seed=1)(x, training=True))
    assert np.isnan(warped).mean() < 0.2
    np.testing.assert_array_equal(warped[:, 0], x[:, 0])  # the first step stays


def test_half_precision_does_not_overflow_between_two_steps():
    x = np.array([[[6e4], [-6e4]] * 8], "float16")
    layer = TimeWarp(0.5, seed=1, dtype="float16")
    assert np.isfinite(array(layer(x, training=True))).all()


@pytest.mark.parametrize(("fraction", "time"), [(0.53, 100), (0.59, 100), (0.84, 75)])
def test_the_widest_span_is_the_share_in_whole_numbers(fraction, time):
    layer = TimeMask(fraction, seed=1)
    masked = array(layer(np.ones((4000, time, 1), "float32"), training=True)) == 0
    assert masked.sum(axis=(1, 2)).max() == round(fraction * time)


@pytest.mark.parametrize("stddev", [np.float32(0.1), np.array([0.1, 0.2]), (0.1, 0.2)])
def test_spreads_are_numbers_of_any_kind(stddev):
    layer = GaussianFeatureNoise(stddev, seed=1)
    assert array(layer(np.ones((3, 2), "float32"), training=True)).shape == (3, 2)
    again = GaussianFeatureNoise.from_config(layer.get_config())
    assert again.stddev == layer.stddev


@pytest.mark.parametrize("stddev", [[], [[0.1]], "0.1", [0.1, "a"], None])
def test_spreads_that_are_no_numbers_are_refused(stddev):
    with pytest.raises(ValueError, match="`stddev` is the spread of the noise"):
        GaussianFeatureNoise(stddev)


def test_what_the_type_of_the_inputs_does_not_hold_is_refused():
    tokens = np.ones((2, 3), "uint8")
    with pytest.raises(ValueError, match="`replacement` takes the place.*for uint8"):
        TokenDropout(0.5, 300)(tokens, training=True)
    with pytest.raises(ValueError, match="`value` is what overwrites.*float16.*65504"):
        TimeMask(value=1e6, dtype="float16")


def test_tokens_are_replaced_at_the_rate():
    ids = np.tile([[4, 5, 6, 7, 0, 0]], (3000, 1)).astype("int32")
    layer = TokenDropout(0.3, replacement=1, seed=3)
    came = array(layer(ids, training=True))
    assert_equal(came[:, 4:], 0)
    assert set(np.unique(came[:, 0])) == {1, 4}
    # A row that loses all four, 0.3 ** 4 of them, keeps them.
    assert (came[:, :4] == 1).mean() == pytest.approx(0.3 - 0.3**4, abs=0.017)
    assert not (came[:, :4] == 1).all(axis=1).any()
    assert_equal(layer(ids), ids)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_large_ids_survive_mixed_precision(dtype):
    ids = np.array([[2049, 2051, 0]], dtype)
    came = TokenDropout(0.0, dtype="mixed_float16")(ids, training=True)
    assert keras.backend.standardize_dtype(came.dtype) == dtype
    assert_equal(came, ids)


def test_tokens_outside_the_mask_stay():
    ids = np.tile([[4, 5, 6]], (200, 1))
    mask = np.tile([[False, True, True]], (200, 1))
    came = array(TokenDropout(0.9, 2, seed=3)(ids, mask=mask, training=True))
    assert_equal(came[:, 0], 4)
    assert (came[:, 1:] == 2).any()


def test_a_token_replaced_by_padding_is_masked_by_the_embedding():
    tokens = keras.Input((None,), dtype="int32")
    x = TokenDropout(0.5, replacement=0, seed=3)(tokens)
    assert x.dtype == "int32"
    x = keras.layers.Embedding(9, 3, mask_zero=True)(x)
    model = keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(x))
    model.compile("sgd", "mse")
    history = model.fit(np.full((4, 5), 7), np.ones((4, 3)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize(
    ("cls", "arguments", "words"),
    [
        (GaussianFeatureNoise, {"stddev": -0.1}, "spread of the noise.*at least 0"),
        (GaussianFeatureNoise, {"stddev": [0.1, "a"]}, "spread of the noise"),
        (TimeShift, {"max_fraction": 1.1}, "largest shift.*at most 1"),
        (TimeShift, {"fill": "zero"}, "comes in at the end.*'edge', 'wrap'"),
        (TimeMask, {"max_fraction": -1}, "largest width.*at least 0"),
        (TimeMask, {"spans": 0}, "how many spans.*at least 1"),
        (TimeMask, {"value": "x"}, "overwrites the steps.*a number"),
        (TimeWarp, {"stddev": -1}, "spread of the speed.*at least 0"),
        (TimeWarp, {"knots": 1.5}, "inner points.*an integer"),
        (TokenDropout, {"rate": 1}, "share that is dropped.*below 1"),
        (TokenDropout, {"replacement": -1}, "takes the place.*at least 0"),
        (TokenDropout, {"padding": 0.5}, "id of padding.*an integer"),
        (TokenDropout, {"seed": -1}, "repeatable.*at least 0"),
    ],
)
def test_refuses_arguments_outside_their_range(cls, arguments, words):
    with pytest.raises(ValueError, match=words):
        cls(**arguments)


def test_refuses_a_spread_for_each_of_other_features():
    with pytest.raises(ValueError, match=r"one for each of the 2 features.*\[0.1"):
        GaussianFeatureNoise([0.1, 0.2, 0.3])(X)
