import json

import keras
import numpy as np
import pytest
from comparing import assert_close, rounding
from keras import ops

from keras_trainkit.schedules import OneCycle, StepDecay, Warmup, WarmupStableDecay


def rate(schedule, step):
    return float(ops.convert_to_numpy(schedule(step)))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.2),
        (5, 0.5),  # half the rise: the mean of 0.2 and 0.8
        (10, 0.8),  # handed over: step 0 of the schedule
        (16, 0.8),  # its step 6, the last before the first drop
        (17, 0.4),  # its step 7
        (24, 0.2),
    ],
)
@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_schedule_starts_from_its_own_step_0_after_the_rise(shape, step, expected):
    decay = StepDecay(0.8, decay_steps=7, decay_rate=0.5)
    schedule = Warmup(decay, 10, initial_learning_rate=0.2, shape=shape)
    assert rate(schedule, step) == pytest.approx(expected, rel=1e-6)


def test_cosine_rise_is_half_a_wave():
    schedule = Warmup(0.8, 30, initial_learning_rate=0.4, shape="cosine")
    # (1 - cos 60 degrees) / 2 = 1/4 and (1 - cos 120 degrees) / 2 = 3/4 of 0.4
    assert rate(schedule, 10) == pytest.approx(0.5)
    assert rate(schedule, 20) == pytest.approx(0.7)


def test_number_is_held_after_a_rise_from_zero():
    schedule = Warmup(0.8, warmup_steps=4)
    steps = np.arange(7)
    expected = [0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    assert_close(schedule(steps), expected, rtol=rounding("float32", 4))


@pytest.mark.parametrize(
    "inner",
    [
        keras.optimizers.schedules.ExponentialDecay(0.8, 5, 0.3),
        keras.optimizers.schedules.PiecewiseConstantDecay([3, 6], [0.8, 0.3, 0.1]),
        keras.optimizers.schedules.PolynomialDecay(0.8, 9, power=0.5),
        keras.optimizers.schedules.InverseTimeDecay(0.8, 5, 2.0),
        keras.optimizers.schedules.CosineDecay(0.8, 9),
        keras.optimizers.schedules.CosineDecayRestarts(0.8, 3, t_mul=2.0),
    ],
    ids=lambda inner: type(inner).__name__,
)
def test_any_schedule_of_keras_follows_unchanged(inner):
    schedule = Warmup(inner, 4, initial_learning_rate=0.1)
    rise = [rate(schedule, t) for t in range(4)]
    assert rise == pytest.approx([0.1, 0.275, 0.45, 0.625])  # a line to 0.8
    after = [rate(schedule, 4 + t) for t in range(8)]
    assert after == pytest.approx([rate(inner, t) for t in range(8)])


def test_schedule_inside_comes_back_from_json():
    original = Warmup(Warmup(OneCycle(0.8, 50), 3), 5, initial_learning_rate=0.01)
    text = json.dumps(keras.saving.serialize_keras_object(original))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy.schedule.schedule) is OneCycle
    assert copy.get_config() == original.get_config()
    assert rate(copy, 33) == rate(original, 33)


def test_rebuilding_leaves_the_config_as_it_was():
    config = Warmup(StepDecay(0.8, 7), 5).get_config()
    before = json.dumps(config)
    Warmup.from_config(config)
    assert json.dumps(config) == before


@pytest.mark.parametrize(
    ("inner", "peak"),
    [
        (0.8, 10),
        (OneCycle(0.8, 100, warmup_fraction=0.3), 40),
        (OneCycle(0.8, 100, warmup_fraction=0.3, start_step=-70), 10),  # peak past
        (WarmupStableDecay(0.8, 7, 20), 17),
        (Warmup(0.8, 5), 15),
    ],
)
def test_peak_step_is_later_by_the_rise(inner, peak):
    assert Warmup(inner, 10).peak_step == peak


def test_peak_step_is_unknown_for_a_schedule_that_does_not_tell():
    assert not hasattr(
        Warmup(keras.optimizers.schedules.CosineDecay(0.8, 9), 10), "peak_step"
    )


@pytest.mark.parametrize("value", [0, -0.1, None, "0.1", True, np.sin])
def test_refuses_what_is_neither_rate_nor_schedule(value):
    words = "`schedule` is the rate after the rise, if not a LearningRateSchedule"
    with pytest.raises(ValueError, match=words):
        Warmup(value, 10)


def test_refuses_a_config_without_a_schedule():
    with pytest.raises(ValueError, match="`schedule` is the rate"):
        Warmup.from_config({"warmup_steps": 10})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"warmup_steps": 0}, "`warmup_steps` is the length .* at least 1"),
        ({"warmup_steps": 2.0}, "`warmup_steps` is the length .* integer"),
        ({"initial_learning_rate": -0.1}, "`initial_learning_rate` .* at least 0"),
        ({"initial_learning_rate": 0.8}, "`initial_learning_rate` .* below 0.8"),
        ({"shape": "sqrt"}, "`shape` is the form of the rise .* 'linear', 'cosine'"),
    ],
)
def test_refuses_arguments_outside_their_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        Warmup(**{"schedule": 0.8, "warmup_steps": 10, **wrong})
