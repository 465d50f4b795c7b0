import keras
import numpy as np
import pytest
from comparing import rounding
from keras import ops

from keras_trainkit.schedules import OneCycle, OneCycleMomentum


def rate(schedule, step):
    return float(ops.convert_to_numpy(schedule(step)))


@pytest.fixture
def schedule():
    return OneCycle(
        max_learning_rate=1.0,
        total_steps=100,
        min_learning_rate=0.2,
        final_learning_rate=0.01,
        warmup_fraction=0.3,
        annihilation_fraction=0.2,
    )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.2),  # start
        (15, 0.6),  # half the rise: the mean of 0.2 and 1.0
        (30, 1.0),  # peak
        (55, 0.6),  # half the fall
        (80, 0.2),  # end of the cycle
        (90, 0.105),  # half the annihilation: the mean of 0.2 and 0.01
        (100, 0.01),  # end
        (500, 0.01),  # held afterwards
    ],
)
def test_rate_at_the_turning_points(schedule, step, expected):
    assert rate(schedule, step) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.2),
        (10, 0.4),  # a third of the rise: (1 - cos 60 degrees) / 2 = 1/4 of 0.8
        (15, 0.6),
        (20, 0.8),  # two thirds: 3/4 of 0.8
        (30, 1.0),
        (55, 0.6),
        (80, 0.2),
        (90, 0.105),
        (100, 0.01),
    ],
)
def test_cosine_legs_turn_at_the_same_points(step, expected):
    schedule = OneCycle(1.0, 100, 0.2, 0.01, 0.3, 0.2, shape="cosine")
    assert rate(schedule, step) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.04),  # peak / 25
        (25, 1.0),
        (50, 0.7500025),  # a third of the fall: 3/4 of the way above 1e-5
        (75, 0.2500075),
        (100, 1e-5),  # peak / 1e5
        (101, 1e-5),
    ],
)
def test_without_annihilation_it_is_the_shape_of_fastai(step, expected):
    schedule = OneCycle(1.0, 100, 1 / 25, 1e-5, 0.25, 0, shape="cosine")
    assert rate(schedule, step) == pytest.approx(expected, abs=rounding("float32", 16))


def test_defaults_are_fractions_of_the_peak():
    schedule = OneCycle(max_learning_rate=0.5, total_steps=10)
    assert rate(schedule, 0) == pytest.approx(0.05)
    assert rate(schedule, 9) == pytest.approx(0.05)
    assert rate(schedule, 10) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("start_step", "step", "expected"),
    [
        (1000, 0, 0.2),  # held before the cycle
        (1000, 1000, 0.2),
        (1000, 1015, 0.6),
        (1000, 1030, 1.0),
        (1000, 1100, 0.01),
        (-15, 0, 0.6),  # half the rise lies before step 0
        (-15, 15, 1.0),
        (-15, 85, 0.01),
    ],
)
def test_cycle_begins_at_start_step(start_step, step, expected):
    schedule = OneCycle(1.0, 100, 0.2, 0.01, 0.3, 0.2, start_step=start_step)
    assert rate(schedule, step) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("start_step", "peak"), [(0, 30), (1000, 1030), (-15, 15)])
def test_peak_step_is_the_step_of_the_highest_rate(start_step, peak):
    schedule = OneCycle(1.0, 100, 0.2, 0.01, 0.3, 0.2, start_step=start_step)
    assert schedule.peak_step == peak
    assert rate(schedule, peak) == 1.0


def test_peak_may_lie_between_two_steps():
    schedule = OneCycle(1.0, 3, 0.2, 0.01, 0.5, 0.2)
    assert schedule.peak_step == 1.5
    # 1 is two thirds up the rise of 1.5 steps, 2 is 0.5 of 0.9 steps down.
    assert rate(schedule, 1) == pytest.approx(0.2 + 0.8 * 2 / 3)
    assert rate(schedule, 2) == pytest.approx(1 - 0.8 * 5 / 9)


def test_end_of_a_steep_fall_is_reached_in_a_run_of_one_step():
    schedule = OneCycle(0.7, 1, 0.2, 0.003)
    assert [rate(schedule, t) for t in (0, 1, 2)] == pytest.approx([0.2, 0.003, 0.003])


@pytest.mark.parametrize("shares", [(1e-300, 0.1), (1 - 1e-16, 0), (0.5, 0.5 - 1e-16)])
def test_legs_too_short_for_float32_are_passed_in_an_instant(shares):
    schedule = OneCycle(0.7, 10, 0.2, 0.003, *shares)
    values = ops.convert_to_numpy(schedule(np.arange(12)))
    assert np.isfinite(values).all()
    assert values[-1] == pytest.approx(0.003)


def test_late_cycles_keep_every_step():
    start = 2**26 + 1  # float32 knows every fourth integer here
    schedule = OneCycle(1.0, 100, 0.2, 0.01, 0.3, 0.2, start_step=start)
    late = ops.convert_to_numpy(schedule(np.arange(start, start + 101)))
    early = ops.convert_to_numpy(
        OneCycle(1.0, 100, 0.2, 0.01, 0.3, 0.2)(np.arange(101))
    )
    np.testing.assert_array_equal(late, early)


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf"), "0.1", True])
def test_refuses_a_peak_that_is_no_rate(value):
    with pytest.raises(ValueError, match="`max_learning_rate` is the peak .* above 0"):
        OneCycle(value, total_steps=10)


@pytest.mark.parametrize("value", [0, 2.0, 10**9 + 1, None])
def test_refuses_a_length_that_is_no_count(value):
    with pytest.raises(ValueError, match="`total_steps` is the length of the run"):
        OneCycle(0.1, total_steps=value)


@pytest.mark.parametrize("value", [0, 0.7, 0.8, "low"])
def test_refuses_a_start_that_is_not_below_the_peak(value):
    words = "`min_learning_rate` starts the cycle .* above 0 and below 0.7"
    with pytest.raises(ValueError, match=words):
        OneCycle(0.7, total_steps=10, min_learning_rate=value)


@pytest.mark.parametrize("value", [0, 0.3, [0.1]])
def test_refuses_an_end_above_the_start(value):
    words = "`final_learning_rate` ends the run .* above 0 and at most 0.2"
    with pytest.raises(ValueError, match=words):
        OneCycle(0.7, 10, min_learning_rate=0.2, final_learning_rate=value)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 30])
def test_refuses_a_warmup_that_is_not_a_share(fraction):
    with pytest.raises(ValueError, match="`warmup_fraction` is the share"):
        OneCycle(0.1, total_steps=10, warmup_fraction=fraction)


@pytest.mark.parametrize("fraction", [-0.1, 0.75, 1, None])
def test_refuses_an_annihilation_that_leaves_no_fall(fraction):
    words = "`annihilation_fraction` is the share .* at least 0 and below 0.75"
    with pytest.raises(ValueError, match=words):
        OneCycle(0.1, 10, warmup_fraction=0.25, annihilation_fraction=fraction)


def test_refuses_an_unknown_shape():
    with pytest.raises(ValueError, match="`shape` is the form .* 'linear', 'cosine'"):
        OneCycle(0.1, 10, shape="sqrt")


@pytest.mark.parametrize("value", [1.5, None, 10**9 + 1])
def test_refuses_a_start_that_is_no_step(value):
    with pytest.raises(ValueError, match="`start_step` is the optimizer step"):
        OneCycle(0.1, 10, start_step=value)


# Read off torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10,
# ...) of torch: the rate and the momentum of each of the ten steps.
TORCH = {
    "defaults": (
        {},
        [0.02, 0.26, 0.5, 0.47524232, 0.40587283]
        + [0.30563101, 0.19437099, 0.094129173, 0.024759684, 2e-06],
        [0.95, 0.9, 0.85, 0.85495156, 0.86882551]
        + [0.88887395, 0.91112605, 0.93117449, 0.94504844, 0.95],
    ),
    "linear": (
        {
            "pct_start": 0.45,
            "anneal_strategy": "linear",
            "div_factor": 10,
            "final_div_factor": 100,
        },
        [0.05, 0.17857143, 0.30714286, 0.43571429, 0.45459091]
        + [0.36377273, 0.27295455, 0.18213636, 0.091318182, 0.0005],
        [0.95, 0.92142857, 0.89285714, 0.86428571, 0.85909091]
        + [0.87727273, 0.89545455, 0.91363636, 0.93181818, 0.95],
    ),
    "three phases": (
        {
            "pct_start": 0.4,
            "three_phase": True,
            "div_factor": 5,
            "final_div_factor": 20,
        },
        [0.1, 0.2, 0.4, 0.5, 0.4, 0.2, 0.1, 0.07625, 0.02875, 0.005],
        [0.95, 0.925, 0.875, 0.85, 0.875, 0.925, 0.95, 0.95, 0.95, 0.95],
    ),
}


def as_torch(
    pct_start=0.3,
    anneal_strategy="cos",
    three_phase=False,
    div_factor=25,
    final_div_factor=1e4,
    max_lr=0.5,
    steps=10,
):
    """The arguments that the docstring gives."""
    low, share = max_lr / div_factor, (pct_start * steps - 1) / (steps - 1)
    shape = {
        "total_steps": steps - 1,
        "warmup_fraction": share,
        "annihilation_fraction": 1 - 2 * share if three_phase else 0,
        "shape": {"cos": "cosine", "linear": "linear"}[anneal_strategy],
    }
    rates = {
        "min_learning_rate": low,
        "final_learning_rate": low / final_div_factor,
    }
    return OneCycle(max_lr, **shape, **rates), OneCycleMomentum(**shape)


@pytest.mark.parametrize("case", TORCH)
def test_arguments_of_the_docstring_give_the_numbers_of_torch(case):
    arguments, rates, momenta = TORCH[case]
    torch_rate, momentum = as_torch(**arguments)
    assert [float(torch_rate(step)) for step in range(10)] == pytest.approx(
        rates, rel=1e-5
    )
    assert [float(momentum(step)) for step in range(10)] == pytest.approx(momenta)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="needs torch")
@pytest.mark.parametrize("case", TORCH)
def test_numbers_are_those_of_the_torch_that_is_installed(case):
    import torch

    arguments, rates, _ = TORCH[case]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1, 0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=10, **arguments
    )
    seen = []
    for step in range(10):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < 9:
            scheduler.step()
    assert seen == pytest.approx(rates, rel=1e-6)
