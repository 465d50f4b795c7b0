import numpy as np
import pytest
from keras import ops

from keras_trainkit.schedules import StepDecay


def rates(schedule, steps):
    return ops.convert_to_numpy(schedule(np.asarray(steps)))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.4),
        (6, 0.4),  # last step before the first drop
        (7, 0.2),  # first drop
        (13, 0.2),
        (14, 0.1),
        (21, 0.05),
    ],
)
def test_rate_before_and_after_each_drop(step, expected):
    schedule = StepDecay(0.4, decay_steps=7, decay_rate=0.5)
    assert rates(schedule, step) == pytest.approx(expected, rel=1e-6)


def test_ten_percent_is_left_by_default():
    assert rates(StepDecay(0.4, 7), 7) == pytest.approx(0.04)


def test_factor_of_one_keeps_the_rate():
    assert rates(StepDecay(0.4, 7, decay_rate=1), 700) == pytest.approx(0.4)


def test_factor_close_to_one_keeps_its_digits_over_many_drops():
    schedule = StepDecay(0.4, decay_steps=7, decay_rate=0.999)
    assert rates(schedule, 70_000) == pytest.approx(0.4 * 0.999**10_000, rel=1e-5)


def test_drops_stay_on_their_step_beyond_the_integers_of_float32():
    schedule = StepDecay(0.4, decay_steps=2**26 + 1, decay_rate=0.5)
    around = np.array([2**26, 2**26 + 1])
    np.testing.assert_allclose(rates(schedule, around), [0.4, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"initial_learning_rate": 0},
            "`initial_learning_rate` is the rate .* above 0",
        ),
        ({"decay_steps": 0}, "`decay_steps` is the time between drops .* at least 1"),
        ({"decay_steps": 7.0}, "`decay_steps` .* integer .* decay_steps=7.0"),
        ({"decay_rate": 0}, "`decay_rate` multiplies the rate .* above 0"),
        ({"decay_rate": 2}, "`decay_rate` multiplies the rate .* at most 1"),
    ],
)
def test_refuses_arguments_outside_their_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        StepDecay(**{"initial_learning_rate": 0.4, "decay_steps": 7, **wrong})
