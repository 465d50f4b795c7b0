"""The rules of the range test on curves whose answer can be read off."""

import numpy as np
import pytest

from keras_trainkit.analysis._suggestions import (
    _middle_of_longest_fall,
    num_early,
    smooth,
    suggest,
)

RATES = np.geomspace(1e-4, 1e1, 51)  # ten to a decade
# Flat at 2 up to place 20, down to 1 at 30 (steepest in the middle), up to 6 at 50.
FALL = np.concatenate(
    [
        np.full(20, 2.0),
        1.5 + 0.5 * np.cos(np.linspace(0, np.pi, 11)),
        np.linspace(1, 6, 21)[1:],
    ]
)
NOISE = 1e-3 * np.random.default_rng(0).normal(size=51)


def test_first_tenth_is_early():
    assert [num_early(20), num_early(100), num_early(105)] == [2, 10, 10]


def test_smooth_weighs_neighbours_on_both_sides():
    # Weights 1/4, 1/2, 1, 1/2, 1/4 around each place, those outside left out.
    values = [4.0, 8.0, 2.0]
    expected = [
        (4 + 8 / 2 + 2 / 4) / 1.75,
        (4 / 2 + 8 + 2 / 2) / 2,
        (4 / 4 + 8 / 2 + 2) / 1.75,
    ]
    assert smooth(values, 0.5, early=3) == pytest.approx(expected)


def test_smooth_takes_no_more_of_an_explosion_than_the_early_losses_showed():
    exploding = smooth([4.0, 3.0, 2.0, 1e9], 0.5, early=1)
    assert exploding == pytest.approx(smooth([4.0, 3.0, 2.0, 4.0], 0.5, early=1))


def test_smooth_without_smoothing_returns_the_losses():
    assert smooth([3.0, 1.0, 2.0], 0, early=1) == pytest.approx([3, 1, 2])


def test_smooth_has_no_lag():
    assert smooth(FALL, 0.5, early=5).argmin() in (29, 30)


def test_three_rules_on_a_plain_curve():
    found = suggest(RATES, FALL + NOISE, FALL, beta=0.0, early=5)
    assert found["steepest"] == pytest.approx(RATES[25])
    assert found["minimum"] == pytest.approx(RATES[30] / 10)
    # 2 at place 20 (5 to 20 are equal: none is below another) down to 1 at 30.
    falling = suggest(RATES[15:], FALL[15:] + NOISE[15:], FALL[15:], beta=0, early=5)
    assert falling["valley"] == pytest.approx(RATES[25])


def test_valley_is_the_longest_fall_also_with_bumps():
    curve = np.array([9, 9, 5, 4, 9, 8, 4.5, 7, 6, 3, 2, 10.0])
    # 9 8 7 6 3 2 at places 4 5 7 8 9 10; the middle of 4 and 10 is 7.
    assert _middle_of_longest_fall(curve) == 7


def test_noise_alone_gives_nothing():
    noise = 2 + 0.3 * np.random.default_rng(1).normal(size=51)
    found = suggest(RATES, noise, smooth(noise, 0.9, 5), beta=0.9, early=5)
    assert found == {"steepest": None, "valley": None, "minimum": None}


def test_rise_alone_gives_nothing():
    rise = np.linspace(1, 5, 51) + NOISE
    found = suggest(RATES, rise, smooth(rise, 0.9, 5), beta=0.9, early=5)
    assert set(found.values()) == {None}


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_too_few_steps_give_nothing(steps):
    losses = FALL[:steps]
    found = suggest(RATES[:steps], losses, losses, beta=0.9, early=5)
    assert set(found.values()) == {None}
