import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal, in_one, rounding
from keras import ops
from step_masks import MIXED

from keras_trainkit.layers import MultiScale

FLOAT64 = pytest.param(
    "float64",
    marks=pytest.mark.skipif(
        keras.backend.backend() == "jax", reason="JAX is left at 32 bits"
    ),
)
METHODS = ["average", "max", "stride"]
MASKS = {"none": None, "mixed": MIXED, "all masked": np.zeros((5, 7), bool)}
every_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
every_method = pytest.mark.parametrize("method", METHODS)


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32") - 1


class Probe(keras.layers.Layer):
    """Keeps the mask that Keras hands to the next layer."""

    supports_masking = True

    def call(self, inputs, mask=None):
        self.seen = mask
        return inputs


def mask_of(output):
    probe = Probe()
    probe(output)
    return None if probe.seen is None else ops.convert_to_numpy(probe.seen)


SUMMARY = {
    "average": lambda steps: np.mean(steps, axis=0),
    "max": lambda steps: np.max(steps, axis=0),
    "stride": lambda steps: steps[0],
}


def reference(x, mask, scale, method):
    """Short view, its mask, and the view repeated, window by window in float64."""
    batch, time, channels = x.shape
    windows = -(-time // scale)
    short = np.zeros((batch, windows, channels))
    short_mask = np.zeros((batch, windows), bool)
    long = np.zeros((batch, time, channels))
    for row in range(batch):
        valid = [t for t in range(time) if mask is None or mask[row, t]]
        for window in range(windows):
            start = (valid[0] if valid else 0) + window * scale
            members = [t for t in valid if start <= t < start + scale]
            if members:
                steps = x[row, members].astype("float64")
                short[row, window] = SUMMARY[method](steps)
                short_mask[row, window] = True
                long[row, members] = short[row, window]
    return short, short_mask, long


def test_a_view_by_hand():
    x = np.array([[[1.0], [3.0], [5.0], [7.0], [20.0]]], "float32")
    joined = ops.convert_to_numpy(MultiScale((1, 2, 3))(x))[0]
    assert_close(joined[:, 0], [1, 3, 5, 7, 20])
    assert_close(joined[:, 1], [2, 2, 6, 6, 20])
    assert_close(joined[:, 2], [3, 3, 3, 13.5, 13.5])


@every_mask
@every_method
def test_joined_views_are_those_of_the_definition(method, mask):
    x, scales = draw(5, 7, 3), (1, 3, 2, 9)
    joined = MultiScale(scales, method)(x, mask=mask)
    expected = [reference(x, mask, s, method)[2] for s in scales]
    assert_close(joined, np.concatenate(expected, -1), atol=1e-6)
    seen = mask_of(joined)
    assert seen is None if mask is None else (seen == mask).all()


@every_mask
@every_method
def test_short_views_and_their_masks_are_those_of_the_definition(method, mask):
    x, scales = draw(5, 7, 3), (3, 1, 4)
    views = MultiScale(scales, method, join=False)(x, mask=mask)
    for view, scale in zip(views, scales, strict=True):
        short, short_mask, _ = reference(x, mask, scale, method)
        assert_close(view, short, atol=1e-6)
        seen = mask_of(view)
        assert seen is None if mask is None else (seen == short_mask).all()


@every_method
@pytest.mark.parametrize("garbage", [1e6, np.nan, np.inf])
def test_masked_steps_have_no_influence(method, garbage):
    x = draw(5, 7, 3)
    spoilt = np.where(MIXED[..., None], x, np.float32(garbage))
    for join in (True, False):
        layer = MultiScale((1, 2, 4), method, join=join)
        clean, dirty = layer(x, mask=MIXED), layer(spoilt, mask=MIXED)
        if join:
            clean, dirty = [clean], [dirty]
        for a, b in zip(clean, dirty, strict=True):
            assert_equal(a, b)


@every_method
def test_padding_before_or_after_changes_nothing(method):
    x, layer = draw(1, 5, 3), in_one(MultiScale((1, 2, 4), method))
    alone = layer(x)
    for before, after in ((0, 3), (1, 0), (3, 2)):
        padded = np.pad(x, ((0, 0), (before, after), (0, 0)), constant_values=9)
        mask = np.pad(np.ones((1, 5), bool), ((0, 0), (before, after)))
        views = ops.convert_to_numpy(layer(padded, mask=mask))
        assert_equal(views[:, before : before + 5], alone)


def gradient(layer, x, mask):
    """Of the mean square of the output, by the input."""
    mask = None if mask is None else ops.convert_to_tensor(mask)

    def loss(x):
        return ops.mean(ops.square(layer(x, mask=mask)))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return ops.convert_to_numpy(tape.gradient(value, x))
    if keras.backend.backend() == "jax":
        import jax

        return ops.convert_to_numpy(jax.grad(loss)(ops.convert_to_tensor(x)))
    x = ops.convert_to_tensor(x).requires_grad_(True)
    loss(x).backward()
    return ops.convert_to_numpy(x.grad)


@every_mask
@every_method
def test_gradients_are_finite_and_zero_at_masked_steps(method, mask):
    valid = np.ones((5, 7), bool) if mask is None else mask
    garbage = np.float32([np.inf, np.nan, 1e6, np.nan, 0])[:, None, None]
    x = np.where(valid[..., None], draw(5, 7, 3), garbage)
    by_x = gradient(MultiScale((1, 2, 9), method), x, mask)
    assert np.isfinite(by_x).all()
    assert not by_x[~valid].any()
    assert by_x[valid].all()


@every_method
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("time", [0, 1, 2])
def test_short_sequences_and_empty_batches(method, batch, time):
    x = draw(batch, time, 3)
    for mask in (None, np.ones((batch, time), bool), np.zeros((batch, time), bool)):
        joined = in_one(MultiScale((1, 3), method))(x, mask=mask)
        expected = [reference(x, mask, s, method)[2] for s in (1, 3)]
        assert_close(joined, np.concatenate(expected, -1), atol=1e-6)
        views = in_one(MultiScale((1, 3), method, join=False))(x, mask=mask)
        lengths = [time, -(-time // 3)]
        assert [tuple(v.shape) for v in views] == [(batch, t, 3) for t in lengths]


def model_on_ids(join, method="average"):
    """Embedded tokens, views, and a layer per view that needs the mask."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 2, mask_zero=True)(tokens)
    views = MultiScale((2, 1, 3), method, join=join)(x)
    views = [views] if join else views
    last = [keras.layers.LSTM(2)(view) for view in views]
    return keras.Model(tokens, keras.layers.Concatenate()([*last, *last]))


IDS = np.array([[5, 6, 7, 8, 9, 0, 0], [3, 4, 0, 0, 0, 0, 0]], "int32")


@pytest.mark.parametrize("join", [True, False])
def test_a_model_on_padded_ids_gives_what_the_ids_alone_give(join):
    model = in_one(model_on_ids(join))
    padded = ops.convert_to_numpy(model(IDS))
    for row, length in ((0, 5), (1, 2)):
        alone = ops.convert_to_numpy(model(IDS[row : row + 1, :length]))[0]
        assert_close(padded[row], alone, atol=1e-6)


@pytest.mark.parametrize("join", [True, False])
def test_a_model_comes_back_from_its_file(join, tmp_path):
    model = model_on_ids(join, "max")
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy(IDS), model(IDS))


def test_the_masks_of_short_views_add_one_node_at_most_to_a_model():
    x = keras.Input((None, 3))
    views = MultiScale((1, 2), join=False)(keras.layers.Masking()(x))
    model = keras.Model(x, [keras.layers.GlobalAveragePooling1D()(v) for v in views])
    names = [type(operation).__name__ for operation in model.operations]
    assert names.count("MultiScale") in (1, 2)  # from Keras 3.16 on and before


@pytest.mark.slow
@pytest.mark.tensorflow_only
@pytest.mark.parametrize(("join", "method"), [(True, "max"), (False, "stride")])
def test_an_exported_model_still_masks(join, method, tmp_path):
    import tensorflow as tf

    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 2, mask_zero=True)(tokens)
    views = MultiScale((2, 1, 3), method, join=join)(x)
    views = [views] if join else views
    model = keras.Model(tokens, [keras.layers.LSTM(2)(view) for view in views])
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    for ids in (IDS, IDS[:1, :3]):
        outputs = loaded.serve(ids)
        for came, expected in zip(
            tf.nest.flatten(outputs), tf.nest.flatten(model(ids)), strict=True
        ):
            assert_close(came, expected, atol=1e-6)


@pytest.mark.tensorflow_only
@every_method
def test_unknown_batch_and_time_work_in_a_graph(method):
    import tensorflow as tf

    layer = MultiScale((1, 3), method)
    signature = [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None), tf.bool)]
    graph = tf.function(lambda x, m: layer(x, mask=m), input_signature=signature)
    for batch, time in ((5, 7), (1, 2), (2, 0), (0, 4)):
        x, mask = draw(batch, time, 3), MIXED[:batch, :time]
        assert_equal(graph(x, mask), layer(x, mask=mask))


@pytest.mark.not_torch
@pytest.mark.slow
def test_trains_with_jit():
    x = keras.Input((7, 3))
    x_masked = keras.layers.Masking()(keras.layers.Dense(3)(x))
    views = MultiScale((1, 3), "max")(x_masked)
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(views))
    model.compile("adam", "mse", jit_compile=True)
    history = model.fit(draw(4, 7, 3), np.ones((4, 6)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


@every_method
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", FLOAT64])
def test_each_precision_keeps_its_dtype(method, policy):
    x = np.full((1, 4, 2), 30000.0, "float32")  # three of these exceed float16
    output = MultiScale((4,), method, dtype=policy)(x, mask=np.ones((1, 4), bool))
    dtype = policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(output.dtype) == dtype
    output = ops.convert_to_numpy(ops.cast(output, "float32"))
    assert_close(output, 30000, rtol=rounding("bfloat16", 3))


def test_declared_shapes_are_those_that_come():
    for time in (None, 7):
        x = keras.Input((time, 3))
        assert tuple(MultiScale((2, 4))(x).shape) == (None, time, 6)
        views = MultiScale((2, 4), join=False)(x)
        expected = [None, None] if time is None else [4, 2]
        assert [tuple(v.shape) for v in views] == [(None, t, 3) for t in expected]


def test_a_mask_alone_gives_the_masks_of_its_views():
    for scale in (2, 4):
        (mask,) = MultiScale((scale,), join=False)(MIXED)
        expected = reference(draw(5, 7, 1), MIXED, scale, "max")[1]
        assert_equal(mask, expected)


def test_refuses_a_mask_of_other_shape():
    with pytest.raises(ValueError, match="`mask` tells the steps that are valid"):
        MultiScale()(draw(3, 4, 5), mask=np.ones((3, 3), bool))


@pytest.mark.parametrize("x", [draw(3, 4), draw(3, 4, 5, 6), MIXED])
def test_refuses_inputs_of_other_rank(x):
    with pytest.raises(ValueError, match="must have the shape .batch, time, channels"):
        MultiScale()(x)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scales": ()}, "lengths of the windows in steps.*at least one"),
        ({"scales": 3}, "must be a tuple of integers"),
        ({"scales": (1, 0)}, "lengths of the windows in steps.*at least 1.*scales=0"),
        ({"scales": (2, 4, 2)}, "must differ from each other"),
        ({"method": "mean"}, "turns a window into one step.*'average'"),
        ({"join": 1}, "side by side.*True or False"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        MultiScale(**arguments)
