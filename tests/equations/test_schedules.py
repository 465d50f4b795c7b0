"""The learning-rate schedules of the textbooks, ours and Keras', against NumPy.

The sources count t in epochs, schedules count steps (batches): with n steps an epoch
t = step / n, so a constant per epoch becomes `decay_steps=n`.
"""

import keras
import numpy as np
import pytest
from keras import ops
from keras.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
)

from keras_trainkit.schedules import StepDecay

RATE, EPOCH = 0.3, 8  # the first rate; steps in an epoch, a power of 2: no rounding
STEPS = np.arange(6 * EPOCH + 1)
EPOCHS = STEPS / EPOCH


def rates(schedule):
    return ops.convert_to_numpy(schedule(STEPS))


def rates_one_by_one(schedule):
    """For the classes of Keras that take a single step, on torch or at all."""
    return np.array([ops.convert_to_numpy(schedule(int(step))) for step in STEPS])


def test_step_decay():
    """lr0 gamma^floor(t / s): drops by gamma = 0.2 every s = 2 epochs."""
    expected = RATE * 0.2 ** np.floor(EPOCHS / 2)
    ours = StepDecay(RATE, decay_steps=2 * EPOCH, decay_rate=0.2)
    np.testing.assert_allclose(rates(ours), expected, rtol=1e-6)
    keras_own = ExponentialDecay(RATE, 2 * EPOCH, 0.2, staircase=True)
    np.testing.assert_allclose(rates(keras_own), expected, rtol=1e-6)


def test_exponential_decay():
    """lr0 e^(-kt), k = 0.4 per epoch.

    Keras has decay_rate^(step / decay_steps) = e^(step / decay_steps ln(decay_rate)),
    so k = -ln(decay_rate) / decay_steps per step: decay_rate = e^(-k) for a k per
    epoch with decay_steps = steps of an epoch.
    """
    keras_own = ExponentialDecay(RATE, decay_steps=EPOCH, decay_rate=np.exp(-0.4))
    expected = RATE * np.exp(-0.4 * EPOCHS)
    np.testing.assert_allclose(rates(keras_own), expected, rtol=1e-6)


def test_inverse_time_decay():
    """lr0 / (1 + kt), k = 0.4 per epoch.

    Keras has 1 + decay_rate * step / decay_steps: decay_rate = k, decay_steps =
    steps of an epoch.
    """
    keras_own = InverseTimeDecay(RATE, decay_steps=EPOCH, decay_rate=0.4)
    expected = RATE / (1 + 0.4 * EPOCHS)
    np.testing.assert_allclose(rates(keras_own), expected, rtol=1e-6)


def test_piecewise_constant():
    """A staircase of chosen rates: 0.3, from epoch 2 on 0.1, from epoch 5 on 0.02.

    Keras' boundary is the last step with the old rate (step <= boundary), so "from
    epoch e on" is the boundary e * n - 1.
    """
    keras_own = PiecewiseConstantDecay(
        [2 * EPOCH - 1, 5 * EPOCH - 1], [RATE, 0.1, 0.02]
    )
    expected = np.select([EPOCHS < 2, EPOCHS < 5], [RATE, 0.1], 0.02)
    np.testing.assert_allclose(rates_one_by_one(keras_own), expected, rtol=1e-6)
    at_boundary = PiecewiseConstantDecay([5], [RATE, 0.1])
    assert ops.convert_to_numpy(at_boundary(5)) == pytest.approx(RATE)


def test_cosine():
    """lr_min + (lr0 - lr_min) (1 + cos(pi t / T)) / 2 over T = 5 epochs, then held.

    Keras' alpha is lr_min as a share of lr0, no rate: alpha = lr_min / lr0.
    """
    lowest, length = 0.06, 5
    keras_own = CosineDecay(RATE, decay_steps=length * EPOCH, alpha=lowest / RATE)
    share = np.minimum(EPOCHS / length, 1)
    expected = lowest + (RATE - lowest) * (1 + np.cos(np.pi * share)) / 2
    np.testing.assert_allclose(rates(keras_own), expected, rtol=1e-5)


def restarts(first_epochs, longer, lower, lowest):
    """SGDR, arXiv:1608.03983, equation 5, by walking from restart to restart."""
    begin, length, height = 0.0, first_epochs, 1.0
    expected = []
    for epoch in EPOCHS:
        if epoch >= begin + length:
            begin, length, height = begin + length, length * longer, height * lower
        wave = height * (1 + np.cos(np.pi * (epoch - begin) / length)) / 2
        expected.append(lowest + (RATE - lowest) * wave)
    return expected


@pytest.mark.parametrize(("longer", "lower"), [(1.0, 1.0), (2.0, 1.0), (2.0, 0.5)])
def test_warm_restarts(longer, lower):
    """lr_min + (lr_max - lr_min) (1 + cos(pi T_cur / T_i)) / 2, T_i longer each time.

    T_0 = `first_decay_steps`, T_mult = `t_mul`, T_cur in steps as in the paper, which
    counts fractions of an epoch. alpha is again lr_min / lr0. `m_mul` is not in the
    paper: it lowers the height over lr_min, lr_max - lr_min, and not lr_max. The step
    of a restart has the highest rate; the lowest is approached, never reached.
    """
    lowest = 0.06
    keras_own = CosineDecayRestarts(
        RATE, 2 * EPOCH, t_mul=longer, m_mul=lower, alpha=lowest / RATE
    )
    expected = restarts(2, longer, lower, lowest)
    np.testing.assert_allclose(rates(keras_own), expected, rtol=1e-5)


@pytest.mark.tensorflow_only
@pytest.mark.xfail(strict=True, reason="Keras 3.15: float32 division when compiled")
def test_control_restart_of_keras_comes_on_its_step_when_compiled():
    """With decay steps like 41, 47, 55 a compiled restart is one step late."""
    import tensorflow as tf

    compiled = tf.function(CosineDecayRestarts(RATE, 41, t_mul=1.0).__call__)
    assert float(compiled(tf.constant(41))) == pytest.approx(RATE)


def test_cosine_with_warmup_of_keras_has_the_length_of_both():
    """Keras' own warm-up: a line from the initial rate to warmup_target, then the
    cosine over decay_steps more; alpha is then a share of warmup_target."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.02, 4 * EPOCH, alpha=0.2, warmup_target=RATE, warmup_steps=EPOCH
    )
    share = np.clip((EPOCHS - 1) / 4, 0, 1)
    cosine = 0.2 * RATE + 0.8 * RATE * (1 + np.cos(np.pi * share)) / 2
    expected = np.where(EPOCHS < 1, 0.02 + (RATE - 0.02) * EPOCHS, cosine)
    np.testing.assert_allclose(rates_one_by_one(schedule), expected, rtol=1e-5)
