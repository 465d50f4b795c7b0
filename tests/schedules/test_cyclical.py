import numpy as np
import pytest
from keras import ops

from keras_trainkit.schedules import Cyclical

LOW, HIGH, HALF = 0.2, 1.0, 4


def rates(schedule, steps):
    return ops.convert_to_numpy(schedule(np.asarray(steps)))


def test_triangular_goes_up_and_down_for_ever():
    schedule = Cyclical(LOW, HIGH, HALF)
    by_hand = [0.2, 0.4, 0.6, 0.8, 1.0, 0.8, 0.6, 0.4]
    np.testing.assert_allclose(rates(schedule, range(24)), by_hand * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.2),
        (4, 1.0),
        (8, 0.2),
        (10, 0.4),  # half of half the height: 0.2 + 0.8 / 4
        (12, 0.6),  # second peak: half the height
        (16, 0.2),
        (20, 0.4),  # third peak: a quarter of the height
    ],
)
def test_triangular2_halves_the_height_with_each_cycle(step, expected):
    schedule = Cyclical(LOW, HIGH, HALF, mode="triangular2")
    assert rates(schedule, step) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.2),
        (2, 0.524),  # 0.2 + 0.8 * 1/2 * 0.9 ** 2
        (4, 0.72488),  # 0.2 + 0.8 * 0.9 ** 4
        (8, 0.2),
        (12, 0.4259436291848),  # 0.2 + 0.8 * 0.9 ** 12
    ],
)
def test_exp_range_shrinks_the_height_at_every_step(step, expected):
    schedule = Cyclical(LOW, HIGH, HALF, mode="exp_range", gamma=0.9)
    assert rates(schedule, step) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_formula_of_the_paper(mode):
    gamma = 0.97 if mode == "exp_range" else None
    step = np.arange(100)
    cycle = np.floor(1 + step / (2 * 7))
    x = np.abs(step / 7 - 2 * cycle + 1)
    scale = {"triangular": 1, "triangular2": 0.5 ** (cycle - 1)}
    scale["exp_range"] = 0.97**step
    expected = 0.03 + (0.4 - 0.03) * np.maximum(0, 1 - x) * scale[mode]
    schedule = Cyclical(0.03, 0.4, 7, mode, gamma)
    np.testing.assert_allclose(rates(schedule, step), expected, rtol=3e-6)


def test_gamma_close_to_one_keeps_its_digits():
    schedule = Cyclical(1e-6, 1.0, 500, mode="exp_range", gamma=0.99994)
    peak = 100_500
    assert rates(schedule, peak) == pytest.approx(0.99994**peak, rel=1e-3)


def test_late_cycles_keep_every_step():
    start = 8 * 2**23  # a whole number of cycles, past 2**24
    schedule = Cyclical(LOW, HIGH, HALF)
    late = rates(schedule, np.arange(start, start + 8))
    np.testing.assert_array_equal(late, rates(schedule, np.arange(8)))


def test_peak_step_is_the_first_top():
    schedule = Cyclical(LOW, HIGH, HALF)
    assert schedule.peak_step == 4
    assert rates(schedule, schedule.peak_step) == 1.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"min_learning_rate": 0}, "`min_learning_rate` is the low bound .* above 0"),
        ({"max_learning_rate": 0.2}, "`max_learning_rate` is the peak .* above 0.2"),
        ({"half_cycle_steps": 0}, "`half_cycle_steps` is the way .* at least 1"),
        ({"half_cycle_steps": 2.5}, "`half_cycle_steps` is the way .* integer"),
        ({"mode": "triangular3"}, "`mode` says what becomes .* 'exp_range'"),
        ({"mode": "exp_range"}, "`gamma` is the factor .* Received: gamma=None"),
        ({"mode": "exp_range", "gamma": 1.1}, "`gamma` is the factor .* at most 1"),
        ({"gamma": 0.9}, "`gamma` is the factor .* must be None in the other modes"),
    ],
)
def test_refuses_arguments_outside_their_range(wrong, words):
    right = {"min_learning_rate": 0.2, "max_learning_rate": 1, "half_cycle_steps": 4}
    with pytest.raises(ValueError, match=words):
        Cyclical(**{**right, **wrong})
