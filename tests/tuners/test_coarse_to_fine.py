import numpy as np
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from searching import searcher

from keras_trainkit import tuners
from keras_trainkit.tuners.coarse_to_fine import (
    _from_share,
    _kept_choices,
    _to_share,
    _Window,
)

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("window", "best", "expected"),
    [
        ((0.0, 1.0), 0.5, (0.25, 0.75)),  # half around the best
        ((0.0, 1.0), 0.1, (0.0, 0.5)),  # moved to lie within the range
        ((0.0, 1.0), 0.99, (0.5, 1.0)),  # the end of the range is no edge
        ((0.25, 0.75), 0.5, (0.375, 0.625)),
        ((0.25, 0.75), 0.26, (0.0, 1.0)),  # on an inner edge: wide again
        ((0.4, 0.6), 0.595, (0.395, 0.795)),
    ],
)
def test_the_next_window(window, best, expected):
    after = _Window(*window).around(best, 0.5)
    assert (after.low, after.high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("distribution", "value", "share"),
    [
        (FloatDistribution(-2.0, 3.0), 0.5, 0.5),
        (FloatDistribution(1e-4, 1.0, log=True), 1e-3, 0.25),
        (IntDistribution(2, 10, step=2), 4, 0.25),
        (IntDistribution(1, 16, log=True), 4, 0.5),
        (FloatDistribution(0.1, 0.5, step=0.1), 0.2, 0.25),
    ],
)
def test_shares_of_ranges(distribution, value, share):
    assert _to_share(value, distribution) == pytest.approx(share)
    assert _from_share(share, distribution) == pytest.approx(value)


def test_numbers_drawn_lie_on_the_steps():
    even = IntDistribution(2, 10, step=2)
    assert {_from_share(k / 50, even) for k in range(51)} == {2, 4, 6, 8, 10}


def test_the_best_half_of_the_choices_stays():
    letters = CategoricalDistribution(["a", "b", "c", "d"])
    scored = [("a", 3.0), ("b", 5.0), ("a", 9.0), ("d", 1.0)]
    assert _kept_choices(scored, letters, 0.5) == ["d", "a"]
    assert _kept_choices(scored, letters, 0.1) == ["d"]
    assert _kept_choices([], letters, 1.0) == ["a", "b", "c", "d"]


@pytest.mark.slow
def test_later_rounds_are_nearer_to_the_best(tmp_path):
    def objective(hp):
        rate = hp.Float("rate", 1e-4, 1.0, sampling="log")
        slow = hp.Choice("kind", ["fast", "slow"]) == "slow"
        return abs(rate - 0.01) + slow

    tuner = searcher(tuners.CoarseToFine, objective)(
        directory=tmp_path, max_trials=24, rounds=3, shrink=0.25, seed=5
    )
    tuner.search(verbose=0)
    drawn = [t.hyperparameters.values for t in tuner.oracle.trials.values()]
    rates = [values["rate"] for values in drawn]
    first, last = rates[:8], rates[16:]
    # A sixteenth of four decades is a quarter of one.
    assert max(last) / min(last) <= 10**0.25 * 1.001 < max(first) / min(first)
    assert {values["kind"] for values in drawn[:8]} == {"fast", "slow"}
    assert {values["kind"] for values in drawn[16:]} == {"fast"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("rounds", 0), ("shrink", 1.0), ("shrink", 0), ("max_trials", 0)],
)
def test_what_it_is_told_must_make_sense(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        tuners.CoarseToFine(lambda hp: None, directory=tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (IntDistribution(0, 2), {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
        (FloatDistribution(0.0, 1.0, step=0.5), {0: 1 / 3, 0.5: 1 / 3, 1: 1 / 3}),
        # Of log 3.5 - log 0.5, the parts up to log 1.5 and log 2.5.
        (IntDistribution(1, 3, log=True), {1: 0.5646, 2: 0.2625, 3: 0.1729}),
    ],
)
def test_numbers_at_the_ends_are_as_likely_as_others(distribution, expected):
    rng = np.random.default_rng(3)
    drawn = [_Window().draw(rng, distribution) for _ in range(4000)]
    assert set(drawn) == set(expected)
    for value, share in expected.items():  # five standard errors of a share
        assert drawn.count(value) / 4000 == pytest.approx(share, abs=0.04)
