"""The update rule against float64, and what is special to AdamW."""

import keras
import numpy as np
import pytest
from comparing import rounding

from keras_trainkit.optimizers import AdamW

STEPS = 50
rng = np.random.default_rng(5)
START = rng.uniform(-0.5, 0.5, size=(3, 2))
GRADIENTS = rng.normal(size=(STEPS, 3, 2))
PolynomialDecay = keras.optimizers.schedules.PolynomialDecay


def trained(optimizer, gradients=GRADIENTS):
    variable = keras.Variable(START, dtype="float32", name="kernel")
    for gradient in gradients:
        tensor = keras.ops.convert_to_tensor(gradient, "float32")
        optimizer.apply([tensor], [variable])
    return variable.numpy()


def reference(rate, decay, beta_1, beta_2=0.98, epsilon=1e-6):
    """float64; `rate`, `decay` and `beta_1` are functions of the step, from 0."""
    theta, m, v, product = START.copy(), 0.0, 0.0, 1.0
    for step, g in enumerate(GRADIENTS):
        m = beta_1(step) * m + (1 - beta_1(step)) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        product *= beta_1(step)
        m_hat = m / (1 - product)
        v_hat = v / (1 - beta_2 ** (step + 1))
        theta = theta - rate(step) * (
            m_hat / (np.sqrt(v_hat) + epsilon) + decay(step) * theta
        )
    return theta


def constant(value):
    return lambda step: value


def line(first, last, steps):
    """What PolynomialDecay(first, steps, last) should be."""
    return lambda step: first + (last - first) * min(step, steps) / steps


def test_fifty_steps_equal_the_formula():
    optimizer = AdamW(0.01, 0.3, 0.8, 0.98, 1e-6)
    expected = reference(constant(0.01), constant(0.3), constant(0.8))
    np.testing.assert_allclose(trained(optimizer), expected, rtol=0, atol=1e-6)


def test_fifty_steps_with_three_schedules_equal_the_formula():
    optimizer = AdamW(
        PolynomialDecay(0.02, 40, 0.005),
        PolynomialDecay(0.1, 30, 0.6),
        PolynomialDecay(0.95, 20, 0.7),
        0.98,
        1e-6,
    )
    expected = reference(line(0.02, 0.005, 40), line(0.1, 0.6, 30), line(0.95, 0.7, 20))
    np.testing.assert_allclose(trained(optimizer), expected, rtol=0, atol=1e-6)


def test_the_second_moment_keeps_its_digits_in_the_first_steps():
    """1 - 0.999 in float32 is off by 1e-5, which at this rate would show."""
    optimizer = AdamW(1.0, 0.0, 0.9, 0.999, 1e-12)
    moved = START - trained(optimizer, gradients=np.full((1, 3, 2), 0.3))
    np.testing.assert_allclose(moved, 1.0, rtol=0, atol=1e-6)


def test_no_memory_at_all_makes_steps_of_the_size_of_the_rate():
    optimizer = AdamW(0.25, 0.0, beta_1=0.0, beta_2=0.0)
    signs = np.sign(GRADIENTS)
    gradients = signs * rng.uniform(0.5, 1.5, size=GRADIENTS.shape)
    expected = START - 0.25 * signs.sum(axis=0)
    np.testing.assert_allclose(trained(optimizer, gradients), expected, atol=1e-5)


def test_a_constant_gradient_moves_a_weight_by_the_rate_whatever_the_momentum_does():
    """The mean of equal gradients is that gradient, if its weights sum to 1."""
    optimizer = AdamW(0.1, 0.0, PolynomialDecay(0.99, 12, 0.2))
    moved = START - trained(optimizer, gradients=np.full((12, 3, 2), -0.7))
    np.testing.assert_allclose(moved, -12 * 0.1, rtol=1e-5)


def test_constant_arguments_give_what_keras_gives():
    arguments = {"weight_decay": 0.2, "beta_1": 0.8, "beta_2": 0.98, "epsilon": 1e-8}
    ours = trained(AdamW(0.01, **arguments))
    keras_own = trained(keras.optimizers.AdamW(0.01, **arguments))
    # Four roundings of the largest weight in each step of either.
    error = rounding("float32", 2 * 4 * STEPS) * np.abs(keras_own).max()
    np.testing.assert_allclose(ours, keras_own, rtol=0, atol=error)


def test_a_schedule_and_a_number_may_be_assigned():
    optimizer = AdamW(0.01, 0.0, 0.5, 0.98, 1e-6)
    optimizer.beta_1 = PolynomialDecay(0.95, 20, 0.7)
    optimizer.weight_decay = 0.3
    expected = reference(constant(0.01), constant(0.3), line(0.95, 0.7, 20))
    np.testing.assert_allclose(trained(optimizer), expected, rtol=0, atol=1e-6)


def test_the_number_of_variables_does_not_depend_on_what_is_a_schedule():
    """Keras restores an optimizer by position: a saved run must fit either way."""
    variables = [keras.Variable(START)]
    number, scheduled = AdamW(), AdamW(beta_1=PolynomialDecay(0.95, 20, 0.7))
    number.build(variables)
    scheduled.build(variables)
    assert len(number.variables) == len(scheduled.variables)


def test_says_where_its_momentum_is():
    assert AdamW.momentum_argument == "beta_1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"beta_1": 1.0}, "`beta_1` is the weight of past gradients .*below 1.*=1.0"),
        ({"beta_1": -0.1}, "`beta_1`.*at least 0.*beta_1=-0.1"),
        ({"beta_1": PolynomialDecay}, "`beta_1` .*LearningRateSchedule"),
        ({"beta_2": 1}, "`beta_2` is the weight of past squared .*below 1.*beta_2=1"),
        ({"epsilon": 0.0}, "`epsilon` keeps a division finite.*above 0.*=0.0"),
    ],
)
def test_refuses_what_is_out_of_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        AdamW(**arguments)


def test_amsgrad_is_that_of_keras():
    """Gradients that shrink: the largest squares stay, and the steps stay small."""
    gradients = np.random.default_rng(3).normal(size=(30, 2, 3)).astype("float32")
    gradients[8:] *= 0.05
    arguments = {"weight_decay": 0.1, "beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-12}
    mine = AdamW(0.05, **arguments, amsgrad=True)
    theirs = keras.optimizers.AdamW(0.05, **arguments, amsgrad=True)
    plain = AdamW(0.05, **arguments)
    ends = []
    for optimizer in (mine, theirs, plain):
        variable = keras.Variable(np.ones((2, 3), "float32"))
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        ends.append(variable.numpy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)
    assert not np.allclose(ends[0], ends[2], rtol=1e-2)


def test_amsgrad_survives_its_config_and_costs_one_slot():
    optimizer = AdamW(amsgrad=True)
    variable = keras.Variable(np.ones((2, 3), "float32"))
    optimizer.build([variable])
    plain = AdamW()
    plain.build([variable])
    assert len(optimizer.variables) == len(plain.variables) + 1
    assert AdamW.from_config(optimizer.get_config()).amsgrad is True
    assert AdamW.from_config(AdamW().get_config()).amsgrad is False


def test_amsgrad_is_a_switch():
    with pytest.raises(ValueError, match="`amsgrad` keeps the largest .*amsgrad=1"):
        AdamW(amsgrad=1)
