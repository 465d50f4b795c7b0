"""What the optimizer asks of a schedule, checked for each of them."""

import keras
import numpy as np
import pytest
from contract_cases.schedules import CASES
from keras import ops

from keras_trainkit import schedules

BATCHES = 12
X = np.ones((BATCHES, 1), "float32")
Y = np.full((BATCHES, 1), 1000, "float32")

every_schedule = pytest.mark.parametrize("name", sorted(CASES))


def made(name):
    return getattr(schedules, name)(**CASES[name])


def value(tensor):
    return ops.convert_to_numpy(tensor)


def fitted_weights(optimizer, **compile_arguments):
    """A weight w with loss |1000 - w * 1|, which each step moves by the rate."""

    class Weights(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(float(self.model.get_weights()[0][0, 0]))

    seen = []
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), dense])
    model.compile(optimizer, loss="mae", **compile_arguments)
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=[Weights()])
    return seen


@every_schedule
def test_array_of_steps_gives_the_array_of_values(name):
    schedule, steps = made(name), np.arange(0, 96, 4).reshape(4, 6)
    values = value(schedule(steps))
    assert values.shape == (4, 6)
    one_by_one = [value(schedule(int(t))) for t in steps.ravel()]
    np.testing.assert_allclose(values.ravel(), one_by_one, rtol=1e-6)


@every_schedule
@pytest.mark.parametrize(
    "kind",
    [
        np.int64,
        np.int32,
        float,
        np.float32,
        lambda step: ops.convert_to_tensor(step, "int32"),
        lambda step: ops.convert_to_tensor(step, "int64"),
        lambda step: ops.convert_to_tensor(step, "float32"),
        lambda step: keras.Variable(step, dtype="int32", trainable=False),
    ],
    ids=["int64", "int32", "float", "float32"]
    + ["int32 tensor", "int64 tensor", "float32 tensor", "variable"],
)
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")
def test_kind_of_step_does_not_matter(name, kind):
    schedule = made(name)
    result = schedule(kind(23))
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert float(value(result)) == float(value(schedule(23)))


@pytest.mark.first_quick
@every_schedule
def test_compiled_step_follows_the_schedule(name):
    schedule = made(name)
    jit = keras.config.backend() != "torch"
    optimizer = keras.optimizers.SGD(schedule)
    weights = fitted_weights(optimizer, jit_compile=jit)
    expected = np.cumsum(value(schedule(np.arange(BATCHES))))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.not_torch
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_steps_per_execution_changes_nothing(jit):
    def weights(steps_per_execution):
        optimizer = keras.optimizers.SGD(made("OneCycle"))
        arguments = {"steps_per_execution": steps_per_execution, "jit_compile": jit}
        return fitted_weights(optimizer, **arguments)

    assert weights(3) == weights(1)[2::3]


def test_steps_are_batches_under_gradient_accumulation():
    schedule = schedules.StepDecay(0.5, decay_steps=4, decay_rate=0.1)
    optimizer = keras.optimizers.SGD(schedule, gradient_accumulation_steps=3)
    weights = fitted_weights(optimizer)
    # Updates at the batches 2, 5, 8 and 11, by the rates of those batches.
    updates = [0.5, 0.05, 0.005, 0.005]
    np.testing.assert_allclose(weights[2::3], np.cumsum(updates), rtol=1e-5)


@pytest.mark.first_quick
@every_schedule
def test_saved_model_goes_on_from_its_step(name, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(made(name)), loss="mae")
    model.fit(X, Y, batch_size=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    rate = float(value(loaded.optimizer.learning_rate))
    assert rate == pytest.approx(float(value(made(name)(BATCHES))))


def late_and_tiny(cls, *arguments):
    """The values at step 41 in a compiled TensorFlow function, which turns divisions
    into multiplications: 41 * (1 / 41) is below 1 in float32."""
    import tensorflow as tf

    return float(tf.function(cls(*arguments).__call__)(tf.constant(41)))


@pytest.mark.tensorflow_only
def test_turning_points_are_exact_in_a_compiled_step():
    assert late_and_tiny(schedules.OneCycle, 1.0, 41, 1e-3, 1e-8, 0.3, 0) == (
        pytest.approx(1e-8, rel=1e-6)
    )
    assert late_and_tiny(schedules.WarmupStableDecay, 0.9, 0, 41, 0) == 0
    assert late_and_tiny(schedules.StepDecay, 0.9, 41) == pytest.approx(0.09)


@pytest.mark.tensorflow_only
@pytest.mark.xfail(strict=True, reason="Keras 3.15: float32 division, one step late")
def test_control_staircase_of_keras_drops_on_its_step_when_compiled():
    staircase = keras.optimizers.schedules.ExponentialDecay
    assert late_and_tiny(staircase, 0.9, 41, 0.1, True) == pytest.approx(0.09)


@pytest.fixture(scope="module")
def compiled():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@every_schedule
def test_schedule_given_as_callback_is_told_where_it_belongs(name, compiled):
    for given in (made(name), [made(name)]):
        with pytest.raises(ValueError, match=rf"belongs in the.*schedules\.{name}\."):
            compiled.fit(X, Y, callbacks=given, verbose=0)
    with pytest.raises(ValueError, match="`callbacks` watch and drive"):
        compiled.evaluate(X, Y, callbacks=[made(name)], verbose=0)
