"""Keras' own LSTM in place of our loops, on a processor that pretends to be a GPU."""

import importlib
import inspect

import keras
import numpy as np
import pytest
from backend_gradients import gradients
from keras import ops

from keras_trainkit.layers.variational_lstm import VariationalLSTM

native = importlib.import_module(f"keras_trainkit._recurrent.{keras.config.backend()}")
on_tensorflow = keras.config.backend() == "tensorflow"
RNG = np.random.default_rng(8)
X = RNG.normal(size=(4, 5, 3)).astype("float32")
STARTS = [RNG.normal(size=(4, 2)).astype("float32") for _ in range(4)]
MASK = np.array(
    [
        [1, 1, 1, 0, 0],  # right
        [0, 0, 1, 1, 1],  # left
        [0, 1, 0, 1, 0],  # in between
        [0, 0, 0, 0, 0],  # nothing left
    ],
    "bool",
)
DROPPED = {"dropout": 0.4, "output_dropout": 0.3, "recurrent_weight_dropout": 0.2}
both_directions = pytest.mark.parametrize("bidirectional", [False, True])


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(native, "sees_gpu", lambda *_: True)


@pytest.fixture
def calls(monkeypatch):
    """The masks that Keras' LSTM was called with."""
    seen = []
    call = keras.layers.LSTM.call

    def spy(self, *arguments, **named):
        bound = inspect.signature(call).bind(self, *arguments, **named)
        seen.append(bound.arguments.get("mask"))
        return call(self, *arguments, **named)

    monkeypatch.setattr(keras.layers.LSTM, "call", spy)
    return seen


def layer_of(**options):
    layer = VariationalLSTM(2, seed=3, **options)
    layer.build(X.shape)
    rng = np.random.default_rng(5)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def results(layer, x=X, **options):
    found = layer(x, **options)
    found = found if isinstance(found, (list, tuple)) else [found]
    return [np.asarray(ops.convert_to_numpy(ops.stop_gradient(f))) for f in found]


def gradients_of(layer, mask, training):
    count = 4 if layer.bidirectional else 2
    variables = layer.trainable_variables

    def function(x, *rest):
        states, weights = rest[:count], rest[count:]
        mapping = list(zip(variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            found = layer(x, initial_state=list(states), mask=mask, training=training)
        return sum(ops.sum(ops.sin(part + k)) for k, part in enumerate(found))

    return gradients(function, [X, *STARTS[:count], *layer.get_weights()])


def assert_all_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max(initial=1))


@pytest.mark.first_quick
@both_directions
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mask", [None, MASK])
def test_computes_what_the_loops_do(
    gpu, calls, bidirectional, sequences, training, mask
):
    options = {"bidirectional": bidirectional, "return_sequences": sequences}
    options |= {"return_state": True, **DROPPED}
    called = {"training": training, "mask": mask}
    called["initial_state"] = STARTS if bidirectional else STARTS[:2]
    expected = results(layer_of(kernel="fused", **options), **called)
    assert not calls
    found = results(layer_of(**options), **called)
    directions = 2 if bidirectional else 1
    assert len(calls) == (directions if mask is None or on_tensorflow else 0)
    assert_all_close(found, expected)


@both_directions
@pytest.mark.parametrize("mask", [None, MASK])
def test_has_the_gradients_of_the_loops(gpu, calls, bidirectional, mask):
    options = {"bidirectional": bidirectional, "return_sequences": True}
    options |= {"return_state": True, **DROPPED}
    expected = gradients_of(layer_of(kernel="fused", **options), mask, training=True)
    assert not calls
    found = gradients_of(layer_of(**options), mask, training=True)
    assert bool(calls) == (mask is None or on_tensorflow)
    assert_all_close(found, expected)


def test_recurrent_dropout_stays_in_the_loop_while_training(gpu, calls):
    ours, fused = (layer_of(recurrent_dropout=0.4, kernel=k) for k in ("auto", "fused"))
    found, expected = results(ours, training=True), results(fused, training=True)
    np.testing.assert_array_equal(found, expected)
    assert not calls
    assert_all_close(results(ours, training=False), results(fused, training=False))
    assert len(calls) == 1


def test_a_processor_never_goes_through_keras(calls):
    found = results(layer_of(), training=True)
    np.testing.assert_array_equal(found, results(layer_of(kernel="fused"), training=1))
    assert not calls


def test_use_cudnn_of_the_layer_turns_it_off(gpu, calls):
    layer = layer_of()
    layer.use_cudnn = False
    results(layer)
    assert not calls


@pytest.mark.parametrize("kernel", ["fused", "reference"])
def test_a_kernel_by_name_is_that_kernel(gpu, calls, kernel):
    results(layer_of(kernel=kernel))
    assert not calls


def test_bfloat16_stays_in_the_loop(gpu, calls):
    layer_of(dtype="mixed_bfloat16")(X)
    assert not calls


@pytest.mark.parametrize("shape", [(0, 5, 3), (4, 0, 3)])
def test_nothing_at_all_stays_in_the_loop(gpu, calls, shape):
    found = results(layer_of(), x=np.zeros(shape, "float32"))
    np.testing.assert_array_equal(found[0], np.zeros((shape[0], 2)))
    assert not calls


on_jax_only = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="asks JAX, which is not the backend"
)


@on_jax_only
def test_several_devices_of_jax_stay_in_the_loop(gpu, calls):
    devices = keras.distribution.list_devices()[:1]
    parallel = keras.distribution.DataParallel(devices=devices)
    keras.distribution.set_distribution(parallel)
    try:
        results(layer_of())
    finally:
        keras.distribution.set_distribution(None)
    assert not calls


@on_jax_only
def test_a_program_of_jax_for_any_batch_size_stays_in_the_loop(gpu, calls):
    import jax
    import jax.export

    (batch,) = jax.export.symbolic_shape("batch")
    inputs = jax.ShapeDtypeStruct((batch, 5, 3), "float32")
    jax.export.export(jax.jit(layer_of()))(inputs)
    assert not calls


@on_jax_only
def test_jax_told_to_use_the_processor_sees_no_gpu(monkeypatch):
    import jax

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert native.sees_gpu()
    with keras.device("cpu:0"):
        assert not native.sees_gpu()


@pytest.mark.not_torch  # no float16 products on a processor
def test_float16_goes_where_cudnn_takes_it(gpu, calls):
    found = layer_of(dtype="mixed_float16")(X)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    assert bool(calls) == on_tensorflow


@pytest.mark.tensorflow_only
@both_directions
def test_masks_reach_keras_padded_on_the_right_and_never_empty(
    gpu, calls, bidirectional
):
    results(layer_of(bidirectional=bidirectional), mask=MASK)
    wanted = [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    for mask in calls:
        np.testing.assert_array_equal(ops.convert_to_numpy(mask), wanted)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("mask", [None, MASK])
def test_the_graph_of_a_training_step_holds_cudnn_where_keras_sees_a_gpu(
    monkeypatch, mask
):
    import tensorflow as tf

    device = [tf.config.LogicalDevice("/device:GPU:0", "GPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda *_: device)
    layer = layer_of(bidirectional=True, **DROPPED)

    @tf.function(input_signature=[tf.TensorSpec((None, 5, 3))])
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, mask=mask, training=True))
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])

    graph = step.get_concrete_function().graph
    found = [operation.type for operation in graph.get_operations()]
    assert found.count("CudnnRNNV3") == 2
    assert found.count("CudnnRNNBackpropV3") == 2
    assert not {"While", "StatelessWhile"} & set(found)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_number_of_steps_may_be_unknown_to_the_graph_and_0(gpu, calls, masked, steps):
    import tensorflow as tf

    def traced(layer):
        @tf.function(input_signature=[tf.TensorSpec((None, None, 3))])
        def call(x):
            mask = x[:, :, 0] > 0 if masked else None
            return layer(x, initial_state=STARTS, mask=mask)

        return call(X[:, :steps])

    options = {"bidirectional": True, "return_sequences": True, "return_state": True}
    found, expected = (
        traced(layer_of(**options)),
        traced(layer_of(kernel="fused", **options)),
    )
    assert len(calls) == 2
    assert_all_close(found, expected)


def test_the_layer_lends_no_weight_and_no_name(gpu):
    keras.utils.clear_session()
    layer = layer_of(bidirectional=True)
    before = keras.layers.LSTM(2).name
    layer(X)
    assert len(layer.weights) == 6
    assert keras.layers.LSTM(2).name == before + "_1"


def test_draws_no_random_number(gpu):
    def draw_after(layer, units):
        keras.utils.set_random_seed(6)
        layer.build((None, None, units))
        layer(np.zeros((1, 2, units), "float32"))
        return np.asarray(ops.convert_to_numpy(keras.random.normal((3,))))

    wide = {"units": 7, "seed": 1}
    expected = draw_after(VariationalLSTM(kernel="fused", **wide), 11)
    np.testing.assert_array_equal(draw_after(VariationalLSTM(**wide), 11), expected)


def test_a_model_trains_to_the_same_weights(gpu, calls):
    def trained(kernel):
        keras.utils.set_random_seed(4)
        inputs = keras.Input((5, 3))
        h = VariationalLSTM(2, dropout=0.3, bidirectional=True, kernel=kernel)(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1)(h))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(X, X[:, 0, :1], batch_size=2, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    expected = trained("fused")
    assert not calls
    assert_all_close(trained("auto"), expected)
    assert calls


@pytest.mark.parametrize("kernel", ["auto", "fused"])
def test_xla_leaves_out_a_model_that_may_hold_cudnn(gpu, kernel):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, VariationalLSTM(2, kernel=kernel)(inputs))
    assert model.layers[-1].supports_jit == (not on_tensorflow or kernel == "fused")
