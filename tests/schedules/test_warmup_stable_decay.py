import numpy as np
import pytest
from keras import ops

from keras_trainkit.schedules import WarmupStableDecay


def rates(schedule, steps):
    return ops.convert_to_numpy(schedule(np.asarray(steps)))


def make(shape="linear", decay_start=30):
    return WarmupStableDecay(
        0.9,
        warmup_steps=10,
        decay_steps=36,
        decay_start=decay_start,
        initial_learning_rate=0.3,
        final_learning_rate=0.1,
        shape=shape,
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.3),
        (5, 0.6),  # half the rise
        (10, 0.9),
        (30, 0.9),  # last step at the full rate
        (39, 0.7),  # a quarter of the decay: 0.9 - 0.8 / 4
        (48, 0.5),
        (66, 0.1),
        (900, 0.1),  # held afterwards
    ],
)
def test_rate_at_the_turning_points(step, expected):
    assert rates(make(), step) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        # at 1/9, 1/4 and 1 of the decay, as shares of the 0.8 above 0.1
        ("linear", [8 / 9, 3 / 4, 0]),
        ("cosine", [0.96984631, 0.85355339, 0]),  # (1 + cos 20, 45, 180 degrees) / 2
        ("sqrt", [2 / 3, 1 / 2, 0]),  # 1 - sqrt(share)
    ],
)
def test_form_of_the_decay(shape, expected):
    heights = (rates(make(shape), [34, 39, 66]) - 0.1) / 0.8
    np.testing.assert_allclose(heights, expected, atol=1e-6)


@pytest.mark.parametrize("shape", ["linear", "cosine", "sqrt"])
def test_decay_ends_at_exactly_zero_by_default(shape):
    schedule = WarmupStableDecay(0.9, 10, 41, 30, shape=shape)
    assert list(rates(schedule, [71, 72, 900])) == [0, 0, 0]


def test_rate_is_held_until_told():
    np.testing.assert_allclose(
        rates(make(decay_start=None), [10, 66, 10**9]), 0.9, rtol=1e-6
    )


def test_there_may_be_no_rise():
    schedule = WarmupStableDecay(0.9, warmup_steps=0, decay_steps=3, decay_start=2)
    expected = [0.9, 0.9, 0.9, 0.6, 0.3, 0]
    np.testing.assert_allclose(rates(schedule, range(6)), expected, rtol=1e-6)
    held = WarmupStableDecay(0.9, warmup_steps=0, decay_steps=3)
    np.testing.assert_allclose(rates(held, range(6)), [0.9] * 6, rtol=1e-6)


def test_decay_from_returns_a_new_schedule_and_leaves_the_old_one():
    trunk = make(shape="sqrt", decay_start=None)
    branch = trunk.decay_from(50)
    assert branch.get_config() == {**trunk.get_config(), "decay_start": 50}
    assert trunk.decay_start is None
    assert rates(branch, 54) == pytest.approx(0.1 + 0.8 * 2 / 3, rel=1e-6)
    assert rates(trunk, 54) == pytest.approx(0.9)


def test_a_long_run_decays_step_by_step():
    start = 2**26 + 1  # float32 knows every fourth integer here
    late = rates(make(decay_start=start), np.arange(start, start + 37))
    early = rates(make(decay_start=30), np.arange(30, 67))
    np.testing.assert_array_equal(late, early)


def test_peak_step_is_the_end_of_the_rise():
    assert make().peak_step == 10


@pytest.mark.parametrize("step", [9, -1, 30.0])
def test_decay_from_refuses_a_step_within_the_rise(step):
    words = "`decay_start` is the step where the decay begins, .* at least 10"
    with pytest.raises(ValueError, match=words):
        make().decay_from(step)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"learning_rate": 0}, "`learning_rate` is the rate held .* above 0"),
        (
            {"warmup_steps": -1},
            "`warmup_steps` is the length of the rise .* at least 0",
        ),
        ({"decay_steps": 0}, "`decay_steps` is the length of the decay .* at least 1"),
        ({"decay_start": 9}, "`decay_start` is the step .* at least 10"),
        ({"initial_learning_rate": 1}, "`initial_learning_rate` .* at most 0.9"),
        ({"final_learning_rate": -1}, "`final_learning_rate` .* at least 0"),
        ({"final_learning_rate": 1}, "`final_learning_rate` .* at most 0.9"),
        ({"shape": "exp"}, "`shape` is the form of the decay .* 'sqrt'"),
    ],
)
def test_refuses_arguments_outside_their_range(wrong, words):
    right = {"learning_rate": 0.9, "warmup_steps": 10, "decay_steps": 36}
    with pytest.raises(ValueError, match=words):
        WarmupStableDecay(**{**right, **wrong})
