"""The update rule against float64, and what is special to SGDW."""

import keras
import numpy as np
import pytest
from comparing import rounding

from keras_trainkit.optimizers import SGDW

STEPS = 50
rng = np.random.default_rng(6)
START = rng.uniform(-0.5, 0.5, size=(3, 2))
GRADIENTS = rng.uniform(-0.5, 0.5, size=(STEPS, 3, 2))
PolynomialDecay = keras.optimizers.schedules.PolynomialDecay
nesterov_too = pytest.mark.parametrize("nesterov", [False, True])


def trained(optimizer, gradients=GRADIENTS):
    variable = keras.Variable(START, dtype="float32", name="kernel")
    for gradient in gradients:
        tensor = keras.ops.convert_to_tensor(gradient, "float32")
        optimizer.apply([tensor], [variable])
    return variable.numpy()


def reference(rate, momentum, decay, nesterov):
    """float64; `rate`, `momentum` and `decay` are functions of the step, from 0."""
    theta, velocity = START.copy(), 0.0
    for step, g in enumerate(GRADIENTS):
        shrink = rate(step) * decay(step) * theta
        velocity = momentum(step) * velocity - rate(step) * g
        if nesterov:
            theta = theta + momentum(step) * velocity - rate(step) * g - shrink
        else:
            theta = theta + velocity - shrink
    return theta


def constant(value):
    return lambda step: value


def line(first, last, steps):
    """What PolynomialDecay(first, steps, last) should be."""
    return lambda step: first + (last - first) * min(step, steps) / steps


@nesterov_too
def test_fifty_steps_equal_the_formula(nesterov):
    optimizer = SGDW(0.02, 0.8, nesterov, 0.3)
    expected = reference(constant(0.02), constant(0.8), constant(0.3), nesterov)
    np.testing.assert_allclose(trained(optimizer), expected, rtol=0, atol=1e-6)


@nesterov_too
def test_fifty_steps_with_three_schedules_equal_the_formula(nesterov):
    optimizer = SGDW(
        PolynomialDecay(0.02, 40, 0.005),
        PolynomialDecay(0.9, 20, 0.6),
        nesterov,
        PolynomialDecay(0.1, 30, 0.6),
    )
    expected = reference(
        line(0.02, 0.005, 40), line(0.9, 0.6, 20), line(0.1, 0.6, 30), nesterov
    )
    np.testing.assert_allclose(trained(optimizer), expected, rtol=0, atol=1e-6)


@nesterov_too
def test_constant_arguments_give_what_keras_gives(nesterov):
    arguments = {"momentum": 0.8, "nesterov": nesterov, "weight_decay": 0.2}
    ours = trained(SGDW(0.01, **arguments))
    keras_own = trained(keras.optimizers.SGD(0.01, **arguments))
    # Four roundings of the largest weight in each step of either.
    error = rounding("float32", 2 * 4 * STEPS) * np.abs(keras_own).max()
    np.testing.assert_allclose(ours, keras_own, rtol=0, atol=error)


def test_momentum_may_start_at_zero_and_rise():
    """Keras' SGD has no velocity at all if it is built with momentum 0."""
    optimizer = SGDW(0.02, 0.0, weight_decay=0.0)
    optimizer.build([keras.Variable(START)])
    slots = len(optimizer.variables)
    rising = SGDW(0.02, 0.0, weight_decay=0.3)
    rising.momentum = PolynomialDecay(0.0, 20, 0.9)
    expected = reference(constant(0.02), line(0.0, 0.9, 20), constant(0.3), False)
    np.testing.assert_allclose(trained(rising), expected, rtol=0, atol=1e-6)
    assert len(rising.variables) == slots


def test_momentum_does_not_multiply_the_decay():
    """Without gradients each step takes rate times decay, as an L2 penalty does not."""
    optimizer = SGDW(0.1, 0.9, weight_decay=0.5)
    left = trained(optimizer, gradients=np.zeros((4, 3, 2)))
    np.testing.assert_allclose(left, START * (1 - 0.1 * 0.5) ** 4, rtol=1e-6)


def test_says_where_its_momentum_is():
    assert SGDW.momentum_argument == "momentum"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"momentum": 1.0}, "`momentum` is the share of the velocity .*below 1.*=1.0"),
        ({"momentum": -0.1}, "`momentum`.*at least 0.*momentum=-0.1"),
        ({"momentum": "fast"}, "`momentum`.*LearningRateSchedule.*momentum='fast'"),
        ({"nesterov": 1}, "`nesterov` .*True or False.*nesterov=1"),
    ],
)
def test_refuses_what_is_out_of_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        SGDW(**arguments)
