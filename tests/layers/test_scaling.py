"""What holds for all three scalings."""

import keras
import numpy as np
import pytest
from comparing import rounding
from keras import ops

from keras_trainkit.layers import MinMaxScaling, RobustScaling, StandardScaling

KINDS = {
    "standard": StandardScaling,
    "min-max": lambda **kwargs: MinMaxScaling([-1, 2], outside="extend", **kwargs),
    "robust": lambda **kwargs: RobustScaling(clip=2.5, **kwargs),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
ROWS = np.random.default_rng(0).normal(3, 2, size=(60, 3)).astype("float32")
OFFSET = (1e8 + np.random.default_rng(1).normal(0, 4, size=(200, 2))).astype("float32")


def adapted(kind, data=ROWS, **kwargs):
    layer = KINDS[kind]()
    layer.adapt(data, **kwargs)
    return layer


def array(tensor):
    return ops.convert_to_numpy(tensor)


def reference(kind, data, x):
    """NumPy, float64."""
    data, x = data.astype("float64"), x.astype("float64")
    if kind == "standard":
        return (x - data.mean(0)) / data.std(0)
    if kind == "min-max":
        return -1 + 3 * (x - data.min(0)) / (data.max(0) - data.min(0))
    low, median, high = np.quantile(data, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(high > low, high - low, data.max(0) - data.min(0))
    z = (x - median) / spread
    return z / np.sqrt(1 + (z / 2.5) ** 2)


@every_kind
@pytest.mark.parametrize("data", [ROWS, OFFSET], ids=["plain", "offset 1e8"])
def test_equals_numpy_in_float64(kind, data):
    outputs = array(adapted(kind, data)(data))
    np.testing.assert_allclose(
        outputs, reference(kind, data, data), rtol=1e-6, atol=1e-6
    )


@every_kind
def test_double_inputs_keep_what_float32_cannot_hold(kind):
    if keras.config.backend() == "jax":
        pytest.skip("JAX turns float64 into float32")
    data = 1e8 + np.random.default_rng(2).normal(size=(50, 2))
    layer = adapted(kind, data)
    outputs = layer(data)
    expected = reference(kind, data, data)
    np.testing.assert_allclose(array(outputs), expected, rtol=1e-6, atol=1e-6)
    back = array(layer.inverse(expected))
    np.testing.assert_allclose(back - 1e8, data - 1e8, atol=2e-6)


@every_kind
@pytest.mark.parametrize("portion", [1, 7, 64])
@pytest.mark.parametrize("data", [ROWS, OFFSET], ids=["plain", "offset 1e8"])
def test_order_and_portions_do_not_matter(kind, data, portion):
    shuffled = np.random.default_rng(3).permutation(data)
    parts = (shuffled[i : i + portion] for i in range(0, len(data), portion))
    whole, streamed = adapted(kind, data), adapted(kind, parts)
    np.testing.assert_allclose(
        array(streamed(data)), array(whole(data)), rtol=1e-7, atol=1e-7
    )


@every_kind
def test_adapting_again_starts_afresh(kind):
    layer = adapted(kind, 100 * ROWS)
    layer.adapt(ROWS)
    np.testing.assert_array_equal(array(layer(ROWS)), array(adapted(kind)(ROWS)))


@every_kind
def test_a_constant_feature_gives_zero_whatever_comes_later(kind):
    layer = adapted(kind, np.array([[0.1, 1.0]] * 7 + [[0.1, 2.0]]))
    later = array(layer(np.array([[0.1, 1.0], [1.1, 2.0], [-1e30, 1.0]])))
    np.testing.assert_array_equal(later[:, 0], [0, 0, 0])


@every_kind
def test_a_single_row_makes_every_feature_constant(kind):
    layer = adapted(kind, ROWS[:1])
    np.testing.assert_array_equal(array(layer(ROWS)), np.zeros_like(ROWS))


@every_kind
def test_inverse_gives_the_data_back(kind):
    layer = adapted(kind)
    back = layer.inverse(layer(ROWS))
    assert keras.backend.standardize_dtype(back.dtype) == "float32"
    np.testing.assert_allclose(array(back), ROWS, rtol=1e-5, atol=1e-5)


@every_kind
def test_inverse_gives_a_constant_back_and_keeps_missing_values(kind):
    layer = adapted(kind, np.array([[7.0, 1.0], [7.0, 2.0]]))
    back = array(layer.inverse(np.array([[0.4, np.nan], [np.nan, 0.0]])))
    np.testing.assert_array_equal(np.isnan(back), [[False, True], [True, False]])
    assert back[0, 0] == 7


@every_kind
def test_missing_values_are_skipped_in_adapt_and_stay_in_call(kind):
    holes = np.concatenate([ROWS, np.full((5, 3), np.nan, "float32")])
    holes[-1, 0], plain = ROWS[0, 0], np.concatenate([ROWS[:, :1], ROWS[:1, :1]])
    outputs = array(adapted(kind, holes)(holes))
    np.testing.assert_array_equal(np.isnan(outputs), np.isnan(holes))
    alone = array(adapted(kind, plain)(ROWS[:, :1]))
    np.testing.assert_allclose(outputs[:60, :1], alone, rtol=1e-6, atol=1e-6)
    others = array(adapted(kind)(ROWS))
    np.testing.assert_allclose(outputs[:60, 1:], others[:, 1:], rtol=1e-6, atol=1e-6)


@every_kind
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[1.0, np.inf], [2.0, 3.0]], "infinite values in feature 1 of the last axis"),
        ([[1.0, np.nan], [2.0, np.nan]], "only NaN in feature 1 of the last axis"),
        (np.zeros((0, 2)), "at least one step that is not masked. Received: none"),
        ([], "must be batched first"),
        (iter([]), "at least one step that is not masked. Received: none"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "built for 3 .* data with 4 features"),
        (np.array([[1e39], [0.0]]), "computes in float32.* in feature 0"),
        (np.array([[1e-40], [0.0]]), "computes in float32.* in feature 0"),
        (np.array([[3e38], [-3e38]]) * 10, "computes in float32.* in feature 0"),
    ],
)
def test_data_without_statistics_is_an_error(kind, data, words):
    with pytest.raises(ValueError, match=words):
        KINDS[kind]().adapt(data)


@every_kind
def test_failed_adapt_leaves_the_statistics_as_they_were(kind):
    layer = adapted(kind)
    with pytest.raises(ValueError, match="infinite"):
        layer.adapt([ROWS, np.full((1, 3), np.inf)])
    np.testing.assert_array_equal(array(layer(ROWS)), array(adapted(kind)(ROWS)))


@every_kind
def test_layer_built_for_other_features_refuses_the_data(kind):
    layer = KINDS[kind]()
    layer.build((None, 4))
    with pytest.raises(ValueError, match="built for 4 of them. Received: data with 3"):
        layer.adapt(ROWS)
    with pytest.raises(ValueError, match="built for 3 of them. Received: data with 2"):
        adapted(kind).inverse(np.zeros((1, 2)))


@every_kind
def test_unknown_number_of_features_is_refused(kind):
    with pytest.raises(ValueError, match=r"known size. Received: input_shape=\(None"):
        KINDS[kind]()(keras.Input((None,)))


@every_kind
def test_call_before_adapt_says_to_call_adapt(kind):
    with pytest.raises(ValueError, match=r"call `adapt\(data\)`, or load weights"):
        KINDS[kind]()(ROWS)
    with pytest.raises(ValueError, match=r"call `adapt\(data\)`, or load weights"):
        KINDS[kind]().inverse(ROWS)


@every_kind
def test_model_before_adapt_gives_an_error_or_nan_but_never_numbers(kind):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, KINDS[kind]()(inputs))
    if keras.config.backend() == "jax":  # cannot raise in a compiled step
        assert np.isnan(model.predict(ROWS, verbose=0)).all()
    else:
        with pytest.raises(ValueError, match=r"call `adapt\(data\)`"):
            model.predict(ROWS, verbose=0)


@pytest.mark.tensorflow_only
def test_model_built_while_it_is_traced_asks_for_adapt_too():
    with pytest.raises(ValueError, match=r"call `adapt\(data\)`"):
        keras.Sequential([StandardScaling()]).predict(ROWS, verbose=0)


@every_kind
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float64", "float16", "bool"])
def test_other_number_types_are_scaled_like_float32(kind, dtype):
    data = np.abs(ROWS).astype(dtype)
    layer = adapted(kind, data)
    np.testing.assert_allclose(
        array(layer(data)), array(layer(data.astype("float32"))), atol=1e-6
    )


@every_kind
def test_half_precision_begins_after_the_scaling(kind):
    layer = KINDS[kind](dtype="mixed_float16")
    layer.adapt(OFFSET)
    outputs = layer(OFFSET)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    np.testing.assert_allclose(
        array(outputs),
        reference(kind, OFFSET, OFFSET),
        rtol=rounding("float16", 2),
        atol=rounding("float16", 2),
    )
    assert {weight.dtype for weight in layer.weights} == {"float32"}


@every_kind
def test_large_values_overflow_neither_forward_nor_back(kind):
    outputs = array(adapted(kind)(np.full((1, 3), 1e30, "float32")))
    assert np.isfinite(outputs).all()
    assert (outputs > 2).all()


# Sequences


@every_kind
def test_steps_of_a_sequence_share_the_statistics_of_their_feature(kind):
    sequences = ROWS.reshape(4, 15, 3)
    outputs = array(adapted(kind, sequences)(sequences))
    expected = array(adapted(kind)(ROWS)).reshape(4, 15, 3)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-6)


@every_kind
@pytest.mark.parametrize("how", ["mask", "mask_value"])
def test_padding_does_not_count(kind, how):
    mask = np.arange(10) < np.array([[10], [4], [0]])
    sequences = np.full((3, 10, 3), -7.0, "float32")
    sequences[mask] = ROWS[:14]
    layer = adapted(kind, sequences, **{how: mask if how == "mask" else -7.0})
    np.testing.assert_array_equal(
        array(layer(ROWS)), array(adapted(kind, ROWS[:14])(ROWS))
    )


MASKS = {
    "none": [1, 1, 1, 1],
    "right": [1, 1, 0, 0],
    "left": [0, 0, 1, 1],
    "hole": [1, 0, 1, 1],
    "all": [0, 0, 0, 0],
}


@every_kind
@pytest.mark.parametrize("masked", MASKS)
def test_masked_steps_give_zero_and_have_no_influence(kind, masked):
    mask = np.array([[1, 1, 1, 1], MASKS[masked]], bool)
    sequences, layer = ROWS[:8].reshape(2, 4, 3), adapted(kind)
    outputs = array(layer(sequences, mask=mask))
    for junk in (1e6, np.nan, np.inf):
        spoilt = np.where(mask[..., None], sequences, np.float32(junk))
        np.testing.assert_array_equal(array(layer(spoilt, mask=mask)), outputs)
    np.testing.assert_array_equal(outputs[~mask], 0 * outputs[~mask])
    np.testing.assert_array_equal(outputs[mask], array(layer(sequences))[mask])


@every_kind
@pytest.mark.parametrize("shape", [(0, 4, 3), (1, 0, 3), (1, 1, 3), (1, 2, 3), (0, 3)])
def test_empty_and_short_inputs(kind, shape):
    layer = adapted(kind)
    inputs = np.zeros(shape, "float32")
    mask = np.zeros(shape[:-1], bool)
    np.testing.assert_array_equal(array(layer(inputs, mask=mask)), inputs)
    assert np.isfinite(array(layer(inputs))).all()
    assert layer(inputs).shape == layer.compute_output_shape(shape) == shape


@every_kind
def test_mask_of_the_layer_before_is_obeyed_and_passed_on(kind):
    layer = adapted(kind)
    sequences = ROWS[:8].reshape(2, 4, 3).copy()
    sequences[:, 2:] = 0
    inputs = keras.Input((4, 3))
    masked = keras.layers.Masking()(inputs)
    pooled = keras.layers.GlobalAveragePooling1D()(layer(masked))
    found = keras.Model(inputs, pooled).predict(sequences, verbose=0)
    expected = array(layer(sequences[:, :2])).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def gradient_of_sum(layer, x, mask):
    """Gradient of the summed outputs with respect to `x`, on every backend."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = ops.sum(layer(x, mask=mask))
        return tape.gradient(total, x).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: layer(x, mask=mask).sum())(x))
    import torch

    x = torch.tensor(x, requires_grad=True)
    layer(x, mask=mask).sum().backward()
    return x.grad.numpy()


@every_kind
def test_gradients_stay_finite_with_junk_in_padding_and_constants(kind):
    data = ROWS.copy()
    data[:, 2] = 5
    sequences = np.full((2, 2, 3), 1e30, "float32")
    sequences[0, 0], sequences[0, 1], sequences[1, 0] = 4, np.nan, np.inf
    mask = np.array([[True, False], [False, True]])
    gradient = gradient_of_sum(adapted(kind, data), sequences, mask)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[~mask], np.zeros((2, 3)))
    np.testing.assert_array_equal(gradient[..., 2], np.zeros((2, 2)))


# Models and files


def model_of(layer):
    inputs = keras.Input((3,), name="features")
    outputs = keras.layers.Dense(2, name="scores")(layer(inputs))
    return keras.Model(inputs, outputs)


@every_kind
def test_statistics_travel_in_every_kind_of_file(kind, tmp_path):
    model = model_of(adapted(kind))
    expected = array(model(ROWS))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded(ROWS)), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    blank = model_of(KINDS[kind]())
    blank.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(array(blank(ROWS)), expected)


@every_kind
def test_a_clone_takes_the_weights_and_needs_no_adapt(kind):
    model = model_of(adapted(kind))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(array(clone(ROWS)), array(model(ROWS)))
    layer = adapted(kind)
    copy = type(layer).from_config(layer.get_config())
    copy.build((None, 3))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(array(copy(ROWS)), array(layer(ROWS)))


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scaling = StandardScaling()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(self.scaling(inputs))


def test_a_subclassed_model_loads_although_it_is_built_before_its_weights(tmp_path):
    model = Subclassed()
    model.scaling.adapt(ROWS)
    expected = model.predict(ROWS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(ROWS, verbose=0), expected)


def test_training_leaves_the_statistics_alone():
    model = model_of(adapted("robust"))
    before = [array(weight) for weight in model.layers[1].weights]
    model.compile("sgd", "mse")
    model.fit(ROWS, ROWS[:, :2], epochs=1, verbose=0)
    after = [array(weight) for weight in model.layers[1].weights]
    np.testing.assert_array_equal(after, before)
    assert not model.layers[1].trainable_weights


def test_adapting_again_reaches_a_model_already_compiled():
    layer = adapted("standard")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.predict(ROWS, verbose=0)
    layer.adapt(5 * ROWS)
    np.testing.assert_allclose(
        model.predict(ROWS, verbose=0), array(layer(ROWS)), rtol=1e-6, atol=1e-6
    )


@every_kind
@pytest.mark.not_torch
def test_compiled_at_once_it_keeps_its_digits(kind):
    model = keras.Sequential([keras.Input((2,)), adapted(kind, OFFSET)])
    model.compile(jit_compile=True)
    np.testing.assert_allclose(
        model.predict(OFFSET, verbose=0),
        reference(kind, OFFSET, OFFSET),
        rtol=1e-6,
        atol=1e-6,
    )


@every_kind
@pytest.mark.tensorflow_only
def test_works_in_a_tf_data_map_on_rows_and_on_batches(kind):
    import tensorflow as tf

    layer = adapted(kind, OFFSET)
    rows = tf.data.Dataset.from_tensor_slices(OFFSET)
    expected = reference(kind, OFFSET, OFFSET)
    for dataset in (rows.map(layer).batch(200), rows.batch(200).map(layer)):
        (outputs,) = dataset
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-6)


@every_kind
@pytest.mark.tensorflow_only
def test_a_savedmodel_gives_the_same(kind, tmp_path):
    import tensorflow as tf

    inputs = keras.Input((2,), name="features")
    model = keras.Model(inputs, adapted(kind, OFFSET)(inputs))
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    outputs = served.serve(tf.constant(OFFSET))
    np.testing.assert_allclose(outputs, array(model(OFFSET)), rtol=0, atol=1e-6)


@pytest.mark.tensorflow_only
def test_takes_a_tf_data_dataset_and_its_ragged_batches():
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(ROWS).ragged_batch(7)
    ragged = tf.RaggedTensor.from_row_lengths(ROWS, [20, 0, 40])
    expected = array(adapted("robust")(ROWS))
    for data in (rows, ragged, tf.data.Dataset.from_tensors(ragged)):
        np.testing.assert_array_equal(array(adapted("robust", data)(ROWS)), expected)
    with pytest.raises(ValueError, match="dense tensor .* Received: a ragged tensor"):
        adapted("robust")(ragged)
