"""Both optimizers inside `fit`: schedules, precision, compilation, files.

Most tests train one weight whose gradient at step t is the input of that step, so
that NumPy can follow the run in float64.
"""

import keras
import numpy as np
import pytest
from comparing import rounding

from keras_trainkit.optimizers import SGDW, AdamW

both = pytest.mark.parametrize("optimizer_class", [AdamW, SGDW])
PolynomialDecay = keras.optimizers.schedules.PolynomialDecay
STEPS = 24
GRADIENTS = np.random.default_rng(7).normal(size=STEPS).astype("float32")


def line(first, last, steps):
    """What PolynomialDecay(first, steps, last) should be."""
    return lambda step: first + (last - first) * min(step, steps) / steps


def followed(optimizer_class, steps, momentum, rate=lambda step: 0.05, decay=0.0):
    """The weight after `steps` (numbers of steps, from 0), in float64."""
    theta, first, second, past = 0.5, 0.0, 0.0, 1.0
    for step in steps:
        g, beta = float(GRADIENTS[step % STEPS]), momentum(step)
        shrink = rate(step) * (decay(step) if callable(decay) else decay) * theta
        if optimizer_class is SGDW:
            first = beta * first - rate(step) * g
            theta += first - shrink
            continue
        past *= beta
        first = beta * first + (1 - beta) * g
        second = 0.999 * second + 0.001 * g**2
        root = np.sqrt(second / (1 - 0.999 ** (step + 1)))
        theta -= rate(step) * first / (1 - past) / (root + 1e-8) + shrink
    return theta


def scheduled(optimizer_class, **arguments):
    momentum = optimizer_class.momentum_argument
    arguments[momentum] = PolynomialDecay(0.95, 20, 0.6)
    arguments["weight_decay"] = PolynomialDecay(0.1, 15, 0.7)
    return optimizer_class(PolynomialDecay(0.02, 10, 0.08), **arguments)


def followed_schedules(optimizer_class):
    rate, momentum = line(0.02, 0.08, 10), line(0.95, 0.6, 20)
    decay = line(0.1, 0.7, 15)
    return followed(optimizer_class, range(STEPS), momentum, rate, decay)


def fit(model, **arguments):
    inputs = GRADIENTS[:, None]
    arguments = {"batch_size": 1, "shuffle": False, "verbose": 0, **arguments}
    model.fit(inputs, inputs, **arguments)
    return model


def one_weight(optimizer, **arguments):
    half = keras.initializers.Constant(0.5)
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer=half)
    model = keras.Sequential([keras.Input((1,)), dense])
    model.compile(optimizer, sum_of_outputs, **{"jit_compile": False, **arguments})
    return model


@keras.saving.register_keras_serializable(package="tests")
def sum_of_outputs(_, outputs):
    return keras.ops.sum(outputs)


def weight(model):
    return float(model.get_weights()[0][0, 0])


@both
def test_schedules_are_followed_in_the_compiled_step(optimizer_class):
    model = fit(one_weight(scheduled(optimizer_class)))
    assert weight(model) == pytest.approx(followed_schedules(optimizer_class), abs=1e-6)


@pytest.mark.first_quick
@both
@pytest.mark.not_torch
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_steps_per_execution_changes_not_one_bit(optimizer_class, jit_compile):
    arguments = {"jit_compile": jit_compile}
    one = fit(one_weight(scheduled(optimizer_class), **arguments))
    arguments["steps_per_execution"] = 3
    three = fit(one_weight(scheduled(optimizer_class), **arguments))
    assert weight(one) == weight(three)
    assert weight(one) == pytest.approx(followed_schedules(optimizer_class), abs=1e-6)


@both
def test_a_schedule_put_into_a_trained_model_counts_after_a_new_trace(optimizer_class):
    momentum = optimizer_class.momentum_argument
    arguments = {momentum: 0.9, "weight_decay": 0.0}
    model = fit(one_weight(optimizer_class(0.05, **arguments)))
    setattr(model.optimizer, momentum, PolynomialDecay(0.9, 2 * STEPS, 0.1))
    model.make_train_function(force=True)
    fit(model)
    falling = line(0.9, 0.1, 2 * STEPS)
    expected = followed(
        optimizer_class,
        range(2 * STEPS),
        lambda step: 0.9 if step < STEPS else falling(step),
    )
    four_a_step = rounding("float32", 4 * 2 * STEPS)
    assert weight(model) == pytest.approx(expected, rel=four_a_step)


@both
def test_accumulated_gradients_make_the_update_of_their_mean(optimizer_class):
    """Batches (0, 1), (2, 3)... of one row each do what batches of two rows do."""
    arguments = {"weight_decay": 0.3}
    whole = optimizer_class(0.05, **arguments)
    split = optimizer_class(0.05, **arguments, gradient_accumulation_steps=2)

    def mean(_, outputs):
        return keras.ops.mean(outputs)

    pairs, singles = one_weight(whole), one_weight(split)
    for model, batch_size in ((pairs, 2), (singles, 1)):
        model.compile(model.optimizer, mean, jit_compile=False)
        fit(model, batch_size=batch_size)
    assert weight(singles) == pytest.approx(weight(pairs), abs=1e-6)


@both
def test_schedules_count_batches_under_gradient_accumulation(optimizer_class):
    """Updates come at batches 1, 3 and 5 (from 0), with the decay of those batches."""
    decay = PolynomialDecay(0.6, 6, 0.0)
    optimizer = optimizer_class(0.5, weight_decay=decay, gradient_accumulation_steps=2)
    variable = keras.Variable(np.ones((2, 2)), dtype="float32", name="kernel")
    for _ in range(6):
        optimizer.apply([keras.ops.zeros((2, 2))], [variable])
    left = (1 - 0.5 * 0.5) * (1 - 0.5 * 0.3) * (1 - 0.5 * 0.1)
    np.testing.assert_allclose(variable.numpy(), left, rtol=1e-6)


@pytest.fixture
def mixed_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@both
@pytest.mark.tensorflow_only
def test_follows_schedules_in_mixed_precision(optimizer_class, mixed_float16):
    """To three digits: gradients are float16, weights and slots float32."""
    optimizer = scheduled(optimizer_class)
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    model = fit(one_weight(scaled))
    assert int(optimizer.iterations) == STEPS
    assert weight(model) == pytest.approx(followed_schedules(optimizer_class), rel=1e-3)


@pytest.mark.slow
@both
@pytest.mark.parametrize("accumulation", [None, 5])
@pytest.mark.parametrize("make", [scheduled, lambda cls, **kw: cls(0.02, **kw)])
def test_a_saved_model_goes_on_where_it_was(
    optimizer_class, make, accumulation, tmp_path
):
    optimizer = make(
        optimizer_class, use_ema=True, gradient_accumulation_steps=accumulation
    )
    model = fit(one_weight(optimizer))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is optimizer_class
    assert loaded.optimizer.get_config() == optimizer.get_config()
    for a, b in zip(loaded.optimizer.variables, optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert weight(fit(loaded)) == weight(fit(model))


@both
def test_exclusions_can_be_set_again_on_a_loaded_model(optimizer_class, tmp_path):
    def exclude(model):
        model.optimizer.exclude_from_weight_decay(var_names=["kernel"])
        return model

    arguments = {optimizer_class.momentum_argument: 0.7, "weight_decay": 0.9}
    model = exclude(one_weight(optimizer_class(0.05, **arguments)))
    fit(model).save(tmp_path / "model.keras")
    loaded = fit(exclude(keras.saving.load_model(tmp_path / "model.keras")))
    expected = followed(optimizer_class, range(2 * STEPS), lambda step: 0.7)
    assert weight(loaded) == pytest.approx(expected, abs=1e-6)


def table_after_a_repeated_row(optimizer):
    """A table of zeros after one step with gradients 1 and 1 on row 1, 1 on row 2."""
    tokens = np.array([[1, 1, 2]])
    layer = keras.layers.Embedding(4, 1, embeddings_initializer="zeros")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
    model.compile(optimizer, sum_of_outputs, jit_compile=False)
    model.fit(tokens, tokens[..., None].astype("float32"), verbose=0)
    return layer.embeddings.numpy()[:, 0]


def test_a_table_row_used_twice_gets_the_sum_of_its_gradients():
    """2 and 1; Adam moves by the rate whatever the size."""
    adam = table_after_a_repeated_row(AdamW(0.1, 0.0))
    np.testing.assert_allclose(adam, [0, -0.1, -0.1, 0], rtol=1e-5)
    sgd = table_after_a_repeated_row(SGDW(0.1, weight_decay=0.0))
    np.testing.assert_allclose(sgd, [0, -0.2, -0.1, 0], rtol=1e-5)


@pytest.mark.tensorflow_only
@pytest.mark.xfail(strict=True, reason="Keras 3.15 sums the squares of the uses")
def test_keras_adam_takes_the_square_of_that_sum_too():
    adam = table_after_a_repeated_row(keras.optimizers.Adam(0.1))
    np.testing.assert_allclose(adam, [0, -0.1, -0.1, 0], rtol=1e-3)


def sparse_gradient():
    """Rows 2, 0 and 2 again of a gradient of shape (4, 2), as the backend has it.

    Their sum is [[3, 0], [0, 0], [5, 4], [0, 0]], of norm sqrt(50).
    """
    rows, values = [2, 0, 2], [[1.0, 4.0], [3.0, 0.0], [4.0, 0.0]]
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(tf.constant(values), tf.constant(rows), (4, 2))
    if keras.config.backend() == "jax":
        from jax.experimental import sparse

        indices = np.array(rows)[:, None]
        return sparse.BCOO((np.array(values, "float32"), indices), shape=(4, 2))
    import torch

    return torch.sparse_coo_tensor([rows], values, (4, 2), check_invariants=True)


WHOLE = np.array([[3, 0], [0, 0], [5, 4], [0, 0]], "float32")


@both
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"clipnorm": 1.0},
        {"clipvalue": 2.0},
        {"global_clipnorm": 1.0},
        {"loss_scale_factor": 2.0},
        {"gradient_accumulation_steps": 2},
        {"use_ema": True},
    ],
    ids=lambda arguments: next(iter(arguments), "plain"),
)
def test_sparse_gradients_count_as_their_sum(optimizer_class, arguments):
    tables = []
    for gradient in (sparse_gradient(), keras.ops.convert_to_tensor(WHOLE)):
        table = keras.Variable(np.arange(8, dtype="float32").reshape(4, 2))
        optimizer = optimizer_class(0.1, **arguments)
        for _ in range(2):
            optimizer.apply([gradient], [table])
        tables.append(table.numpy())
    np.testing.assert_allclose(*tables, rtol=1e-6)
    assert not np.allclose(tables[0][0], [0, 1])


@both
@pytest.mark.skipif(keras.config.backend() != "jax", reason="needs JAX")
@pytest.mark.parametrize("compiled", [False, True])
def test_sparse_gradients_of_jax_go_through_a_stateless_step(optimizer_class, compiled):
    import jax

    table = keras.Variable(np.ones((4, 2), "float32"))
    optimizer = optimizer_class(0.1, weight_decay=0)
    optimizer.build([table])
    step = jax.jit(optimizer.stateless_apply) if compiled else optimizer.stateless_apply
    state = [variable.value for variable in optimizer.variables]
    (new,), _ = step(state, [sparse_gradient()], [table.value])
    touched = np.not_equal(new, 1)
    assert touched.tolist() == (WHOLE != 0).tolist()
