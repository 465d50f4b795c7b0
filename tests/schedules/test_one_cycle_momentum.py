import numpy as np
import pytest
from comparing import rounding
from keras import ops

from keras_trainkit.schedules import OneCycle, OneCycleMomentum

CYCLE = {"warmup_fraction": 0.3, "annihilation_fraction": 0.2}


def momentum(schedule, step):
    return float(ops.convert_to_numpy(schedule(step)))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.9),  # start
        (15, 0.75),  # half the fall: the mean of 0.9 and 0.6
        (30, 0.6),  # peak of the learning rate
        (55, 0.75),  # half the rise
        (80, 0.9),  # end of the cycle
        (90, 0.9),  # stays in the annihilation
        (500, 0.9),
    ],
)
@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_momentum_at_the_turning_points(shape, step, expected):
    schedule = OneCycleMomentum(100, 0.9, 0.6, 0.3, 0.2, shape)
    assert momentum(schedule, step) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("start_step", [-11, 0, 40])
def test_momentum_mirrors_the_rate_until_the_annihilation(shape, start_step):
    same = {"shape": shape, "start_step": start_step, **CYCLE}
    steps = np.arange(start_step, start_step + 81)
    rates = OneCycle(1.0, 100, 0.2, **same)(steps)
    values = OneCycleMomentum(100, 0.9, 0.6, **same)(steps)
    height = (ops.convert_to_numpy(rates) - 0.2) / 0.8
    depth = (0.9 - ops.convert_to_numpy(values)) / 0.3
    np.testing.assert_allclose(depth, height, atol=rounding("float32", 8) / 0.3)


def test_without_annihilation_momentum_rises_to_the_end():
    schedule = OneCycleMomentum(100, 0.9, 0.6, 0.3, 0)
    assert momentum(schedule, 65) == pytest.approx(0.75)
    assert momentum(schedule, 100) == pytest.approx(0.9)


def test_peak_step_is_that_of_the_rate():
    schedule = OneCycleMomentum(100, warmup_fraction=0.3, start_step=7)
    assert schedule.peak_step == 37
    assert momentum(schedule, 37) == pytest.approx(0.85)


def test_bounds_may_be_equal():
    schedule = OneCycleMomentum(100, 0.7, 0.7)
    assert momentum(schedule, 33) == pytest.approx(0.7)


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, None])
def test_refuses_a_momentum_of_one_or_more(value):
    words = "`max_momentum` is the momentum at the lowest .* at least 0 and below 1"
    with pytest.raises(ValueError, match=words):
        OneCycleMomentum(100, max_momentum=value)


@pytest.mark.parametrize("value", [-0.1, 0.91, "0.5"])
def test_refuses_a_minimum_above_the_maximum(value):
    words = "`min_momentum` is the momentum at the peak .* at least 0 and at most 0.9"
    with pytest.raises(ValueError, match=words):
        OneCycleMomentum(100, max_momentum=0.9, min_momentum=value)


def test_refuses_what_the_rate_refuses():
    with pytest.raises(ValueError, match="`total_steps` is the length"):
        OneCycleMomentum(0)
    with pytest.raises(ValueError, match="`annihilation_fraction` is the share"):
        OneCycleMomentum(100, warmup_fraction=0.4, annihilation_fraction=0.6)
