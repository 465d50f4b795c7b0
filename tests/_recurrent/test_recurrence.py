"""The fast loops against the plain one, and the plain one against NumPy."""

import importlib

import keras
import numpy as np
import pytest
from backend_gradients import float64, gradients
from keras import ops

from keras_trainkit._recurrent import lstm, reference

native = importlib.import_module(f"keras_trainkit._recurrent.{keras.config.backend()}")
ON_TENSORFLOW = keras.config.backend() == "tensorflow"
ON_JAX = keras.config.backend() == "jax"
QUICK = range(0, 50, 6) if ON_JAX else range(50)  # JAX compiles each shape


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrence_in_numpy(gates, h, c, kernel, mask, recurrent_mask, reverse):
    outputs = np.zeros((*gates.shape[:2], h.shape[1]))
    order = range(len(gates))
    for t in reversed(order) if reverse else order:
        i, f, g, o = np.split(gates[t] + (h * recurrent_mask) @ kernel, 4, axis=1)
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        active = mask[t] > 0
        h, c = np.where(active, new_h, h), np.where(active, new_c, c)
        outputs[t] = h
    return outputs, h, c


def random_case(number):
    """Arguments of `recurrence` and its options, other shapes for each number."""
    rng = np.random.default_rng(number)
    steps, batch, units = rng.integers(1, 7), rng.integers(1, 5), rng.integers(1, 6)
    shapes = (steps, batch, 4 * units), (batch, units), (batch, units)
    arguments = [rng.normal(size=shape) for shape in (*shapes, (units, 4 * units))]
    options = {"reverse": bool(number % 2)}
    if number % 3:
        share = rng.choice([0.0, 0.3, 0.8, 1.0])
        options["mask"] = (rng.random((steps, batch, 1)) < share) * 1.0
    if number % 5:
        rate = rng.uniform(0, 0.9)
        options["recurrent_mask"] = (rng.random((batch, units)) >= rate) / (1 - rate)
    return arguments, options


def one_number(recurrence, options):
    """All three results with weights of their own, so that no gradient hides."""

    def function(*arguments):
        outputs, h, c = recurrence(*arguments, **options)
        size = int(np.prod(outputs.shape))
        weights = np.reshape(np.cos(np.arange(size)), outputs.shape)
        weights = ops.convert_to_tensor(weights, dtype=outputs.dtype)
        return ops.sum(weights * outputs) + ops.sum(h * h) + ops.sum(c * c * c)

    return function


def tensors(arguments, options, dtype):
    made = [a.astype(dtype) for a in arguments]
    kept = {
        k: v if k == "reverse" else ops.convert_to_tensor(v.astype(dtype))
        for k, v in options.items()
    }
    return made, kept


def relative_errors(fast, number, dtype):
    arguments, options = tensors(*random_case(number), dtype)
    expected = gradients(one_number(reference.recurrence, options), arguments)
    found = gradients(one_number(fast, options), arguments)
    for a, b in zip(found, expected, strict=True):
        yield np.abs(a - b).max() / max(np.abs(b).max(), 1e-3)


def loops_step_by_step(*arguments, **options):
    """Compiling each of many shapes would take a second apiece."""
    compiled = {"compiled": False} if ON_TENSORFLOW else {}
    return native.fused(*arguments, **options, **compiled)


@pytest.mark.parametrize("number", range(6))
def test_plain_version_computes_the_formula(number):
    arguments, options = random_case(number)
    with_all = {
        "mask": np.ones((*arguments[0].shape[:2], 1)),
        "recurrent_mask": np.ones_like(arguments[1]),
        **options,
    }
    expected = recurrence_in_numpy(*arguments, **with_all)
    arguments, options = tensors(arguments, options, "float32")
    arguments = [ops.convert_to_tensor(a) for a in arguments]
    found = reference.recurrence(*arguments, **options)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), b, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-10), ("float32", 1e-5)])
def test_gradient_by_hand_equals_autodiff_on_many_shapes(dtype, bound):
    with float64():
        for number in QUICK:
            errors = list(relative_errors(loops_step_by_step, number, dtype))
            assert max(errors) < bound, f"case {number}: {errors}"


@pytest.mark.first_quick
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_compiled_gradient_equals_autodiff(number):
    assert max(relative_errors(native.fused, number, "float32")) < 1e-5


@pytest.mark.soak
def test_compiled_gradient_equals_autodiff_on_50_shapes():
    with float64():
        for number in range(50):
            assert max(relative_errors(native.fused, number, "float64")) < 1e-10


@pytest.mark.parametrize("number", range(8))
def test_inference_computes_what_the_plain_version_does(number):
    arguments, options = tensors(*random_case(number), "float32")
    arguments = [ops.convert_to_tensor(a) for a in arguments]
    expected = reference.recurrence(*arguments, **options)
    found = native.choose(training=False)(*arguments, **options)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-6
        )


def test_input_product_reads_every_step_and_feature():
    """One step of zero states: the gates are `x @ W + b` and nothing else."""
    x = np.array([[[1.0, 2.0]]], "float32")
    kernel = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]], "float32")
    bias = np.array([0.01, 0.02, 0.03, 0.04], "float32")
    zeros = np.zeros((1, 1), "float32")
    i, _, g, o = (x[0] @ kernel + bias)[0]  # 1.11, 1.42, 1.73, 2.04
    c = sigmoid(i) * np.tanh(g)
    weights = (kernel, np.zeros((1, 4), "float32"), bias)
    outputs, h, last_c = lstm(
        ops.convert_to_tensor(x),
        [ops.convert_to_tensor(zeros)] * 2,
        [ops.convert_to_tensor(w) for w in weights],
    )
    assert float(last_c[0, 0]) == pytest.approx(c, abs=1e-6)
    assert float(h[0, 0]) == pytest.approx(sigmoid(o) * np.tanh(c), abs=1e-6)
    assert float(outputs[0, 0, 0]) == float(h[0, 0])


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_unknown_number_of_steps_shares_a_program_up_to_the_next_power_of_2():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 12)).astype("float32")
    zeros = np.zeros((2, 3), "float32")

    @tf.function(input_signature=[tf.TensorSpec((None, 2, 12))], autograph=False)
    def gradient(gates):
        with tf.GradientTape() as tape:
            tape.watch(gates)
            outputs, h, c = native.fused(gates, zeros, zeros, kernel, reverse=True)
            value = tf.reduce_sum(outputs * outputs) + tf.reduce_sum(h + c)
        return value, tape.gradient(value, gates)

    for steps in (1, 16, 17):
        gates = rng.normal(size=(steps, 2, 12)).astype("float32")
        with tf.GradientTape() as tape:
            tape.watch(gates := tf.constant(gates))
            outputs, h, c = reference.recurrence(
                gates, zeros, zeros, kernel, reverse=True
            )
            expected = tf.reduce_sum(outputs * outputs) + tf.reduce_sum(h + c)
        value, found = gradient(gates)
        assert float(value) == pytest.approx(float(expected), rel=1e-5)
        np.testing.assert_allclose(found, tape.gradient(expected, gates), atol=1e-5)
