import keras
import numpy as np
import pytest
from backend_gradients import gradients
from comparing import assert_close, assert_equal, in_one, rounding
from keras import ops
from step_masks import MIXED

from keras_trainkit.layers import MaskedConv1D

every_mask = pytest.mark.parametrize("mask", [None, MIXED], ids=["none", "mixed"])


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32") - 1


def made(filters, kernel_size, channels=3, seed=2, **arguments):
    """A layer whose weights, the bias among them, are drawn."""
    layer = MaskedConv1D(filters, kernel_size, **arguments)
    layer.build((None, None, channels))
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def reference(x, mask, layer):
    """Step by step, tap by tap, in float64."""
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    bias = ops.convert_to_numpy(layer.bias).astype("float64") if layer.use_bias else 0
    batch, time, _ = x.shape
    y = np.zeros((batch, time, layer.filters))
    for row in range(batch):
        for t in range(time):
            if mask is not None and not mask[row, t]:
                continue
            y[row, t] = bias
            for tap in range(layer.kernel_size):
                at = t + tap - (layer.kernel_size - 1) // 2
                if 0 <= at < time and (mask is None or mask[row, at]):
                    y[row, t] += x[row, at].astype("float64") @ kernel[tap]
    return y


@every_mask
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 12])
def test_steps_are_those_of_the_definition(kernel_size, mask):
    layer, x = made(4, kernel_size), draw(5, 7, 3)
    assert_close(layer(x, mask=mask), reference(x, mask, layer), atol=1e-5)


def test_a_step_by_hand():
    layer = MaskedConv1D(1, 2)
    layer.build((None, None, 1))
    layer.kernel.assign([[[10.0]], [[1.0]]])  # this step, then the next
    layer.bias.assign([0.5])
    x = np.array([[[1.0], [2.0], [3.0], [4.0]]], "float32")
    mask = np.array([[True, True, False, True]])
    assert_close(ops.convert_to_numpy(layer(x))[0, :, 0], [12.5, 23.5, 34.5, 40.5])
    found = ops.convert_to_numpy(layer(x, mask=mask))
    assert_close(found[0, :, 0], [12.5, 20.5, 0, 40.5])


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kernel_size", [4, 5])
def test_without_a_mask_it_is_keras_own(kernel_size, use_bias):
    layer = made(4, kernel_size, use_bias=use_bias)
    own = keras.layers.Conv1D(4, kernel_size, padding="same", use_bias=use_bias)
    own.build((None, None, 3))
    own.set_weights(list(map(ops.convert_to_numpy, layer.weights)))
    x = draw(5, 7, 3)
    assert_close(layer(x), own(x), atol=1e-5)


def test_padding_before_or_after_changes_nothing():
    x, layer = draw(1, 5, 3), in_one(made(4, 4))
    alone = ops.convert_to_numpy(layer(x))
    for before, after in ((0, 3), (1, 0), (3, 2)):
        padded = np.pad(x, ((0, 0), (before, after), (0, 0)), constant_values=9)
        mask = np.pad(np.ones((1, 5), bool), ((0, 0), (before, after)))
        found = ops.convert_to_numpy(layer(padded, mask=mask))
        assert_close(found[:, before : before + 5], alone, atol=1e-6)


@pytest.mark.parametrize("garbage", [1e30, np.nan, np.inf])
def test_masked_steps_have_no_influence(garbage):
    x, layer = draw(5, 7, 3), made(4, 3)
    spoilt = np.where(MIXED[..., None], x, np.float32(garbage))
    assert_equal(layer(spoilt, mask=MIXED), layer(x, mask=MIXED))


def test_gradients_are_finite_and_zero_at_masked_steps():
    layer = made(4, 3)
    x = np.where(MIXED[..., None], draw(5, 7, 3), np.float32(np.nan))
    (by_x,) = gradients(lambda x: ops.sum(ops.square(layer(x, mask=MIXED))), [x])
    assert np.isfinite(by_x).all()
    assert not by_x[~MIXED].any()
    assert by_x[MIXED].all()


@pytest.mark.parametrize("kernel_size", [1, 4])
@pytest.mark.parametrize(("batch", "time"), [(0, 0), (0, 3), (2, 0), (1, 1), (1, 2)])
def test_short_sequences_and_empty_batches(batch, time, kernel_size):
    layer, x = made(4, kernel_size), draw(batch, time, 3)
    for mask in (None, np.ones((batch, time), bool), np.zeros((batch, time), bool)):
        assert_close(layer(x, mask=mask), reference(x, mask, layer), atol=1e-6)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("kernel_size", [1, 4])
def test_unknown_batch_and_time_work_in_a_graph(kernel_size):
    import tensorflow as tf

    layer = made(2, kernel_size)
    signature = [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None), tf.bool)]
    graph = tf.function(lambda x, m: layer(x, mask=m), input_signature=signature)
    for batch, time in ((5, 7), (1, 2), (2, 0), (0, 4)):
        x, mask = draw(batch, time, 3), MIXED[:batch, :time]
        assert_close(graph(x, mask), layer(x, mask=mask), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_each_precision_keeps_its_dtype(dtype):
    layer, exact = made(4, 3, dtype=f"mixed_{dtype}"), made(4, 3)
    x = draw(5, 7, 3)
    found = layer(x, mask=MIXED)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    expected = reference(x, MIXED, exact)
    atol = rounding(dtype, 4) * np.abs(expected).max()
    assert_close(ops.cast(found, "float32"), expected, atol=atol)


def ids_model():
    """Embedded tokens, two blocks, and a layer that needs the mask."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 2, mask_zero=True)(tokens)
    for _ in range(2):
        x = MaskedConv1D(3, 4, use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("relu")(x)
    return keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(x))


IDS = np.array([[5, 6, 7, 8, 9, 0, 0], [3, 4, 0, 0, 0, 0, 0]], "int32")


@pytest.mark.parametrize("training", [True, False])
def test_the_mask_goes_on_through_blocks_of_keras(training):
    model, other = ids_model(), ids_model()
    other.set_weights(list(map(ops.convert_to_numpy, model.weights)))
    padded = model(np.pad(IDS, ((0, 0), (0, 4))), training=training)
    assert_close(padded, other(IDS, training=training), atol=1e-6)
    for weight, same in zip(model.weights, other.weights, strict=True):
        assert_close(weight, same, atol=1e-6)  # statistics among them


def test_a_model_comes_back_from_its_file(tmp_path):
    model = ids_model()
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy(IDS), model(IDS))


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_an_exported_model_still_masks(tmp_path):
    import tensorflow as tf

    model = ids_model()
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    for ids in (IDS, IDS[:1, :2], IDS[:0]):
        assert_close(loaded.serve(ids), model(ids), atol=1e-6)


def test_declared_shapes_are_those_that_come():
    for time in (None, 7):
        output = MaskedConv1D(4, 5)(keras.Input((time, 3)))
        assert tuple(output.shape) == (None, time, 4)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5, 6), (3, 4, None)])
def test_refuses_inputs_of_other_shapes(shape):
    with pytest.raises(ValueError, match="weights per channel .* channels known"):
        MaskedConv1D(4, 3)(keras.Input(batch_shape=shape))


def test_a_built_layer_refuses_other_channels():
    layer = MaskedConv1D(4, 3)
    layer(keras.Input((None, 3)))
    with pytest.raises(ValueError, match="expected axis -1 of input shape"):
        layer(keras.Input((None, 5)))


def test_refuses_a_mask_of_other_shape():
    with pytest.raises(ValueError, match="`mask` tells the steps that are valid"):
        MaskedConv1D(4, 3)(draw(3, 4, 5), mask=np.ones((3, 3), bool))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": 0}, "`filters` is the number of channels .* at least 1"),
        ({"kernel_size": 2.5}, "`kernel_size` is the number of steps .*2.5"),
        ({"use_bias": 1}, "`use_bias` adds a number per filter .*True or False"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        MaskedConv1D(**{"filters": 4, "kernel_size": 3} | arguments)
