"""Models of the scores: what they find, and what they make of failed trials."""

import importlib.util
import math

import pytest
from optuna.trial import TrialState
from searching import hill, searcher, table

from keras_trainkit import tuners
from keras_trainkit.tuners._sampler import with_failures

pytestmark = pytest.mark.backend_free

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="surrogate='gp' needs torch: pip install keras-trainkit[gp]",
)


def bowl(hp):
    """Lowest, 0, at x = 0.7 and a rate of 0.001, on a logarithmic scale."""
    x = hp.Float("x", -2.0, 2.0)
    rate = hp.Float("rate", 1e-5, 1e-1, sampling="log")
    return (x - 0.7) ** 2 + (rate / 1e-3 - 1) ** 2 / (rate / 1e-3 + 1) ** 2


def searched(objective, directory, max_trials, **options):
    tuner = searcher(tuners.BayesianOptimization, objective)(
        max_trials=max_trials,
        surrogate="gp",
        num_initial_points=5,
        seed=2,
        directory=directory,
        **options,
    )
    tuner.search(verbose=0)
    return tuner


@pytest.mark.soak
@needs_torch
def test_a_gaussian_process_finds_what_chance_does_not(tmp_path):
    tuner = searched(bowl, tmp_path / "gp", 18)
    chance = searcher(tuners.RandomSearch, bowl)(
        max_trials=72, seed=2, directory=tmp_path / "random"
    )
    chance.search(verbose=0)
    found, by_chance = (t.oracle.get_best_trials()[0].score for t in (tuner, chance))
    assert found < 0.01 < by_chance


@pytest.mark.slow
@needs_torch
def test_a_gaussian_process_begun_again_goes_on_as_if_nothing_had_happened(tmp_path):
    """Conditional entries included, which it draws at random."""
    whole = searched(hill, tmp_path / "whole", 9)
    searched(hill, tmp_path / "parts", 6)
    parts = searched(hill, tmp_path / "parts", 9)
    assert table(parts) == table(whole)


def cliff(hp):
    """Ever better up to x = 0.5, behind which nothing has a score."""
    x = hp.Float("x", -2.0, 2.0)
    return math.nan if x > 0.5 else 0.5 - x


@pytest.mark.parametrize(
    "surrogate",
    ["tpe", pytest.param("gp", marks=[needs_torch, pytest.mark.slow])],
)
def test_failures_are_learnt_from(surrogate, tmp_path):
    tuner = searcher(tuners.BayesianOptimization, cliff)(
        max_trials=24,
        surrogate=surrogate,
        num_initial_points=6,
        seed=0,
        max_consecutive_failed_trials=24,
        directory=tmp_path,
    )
    tuner.search(verbose=0)
    states = [trial.state for trial in tuner.study.trials]
    assert TrialState.FAIL in states[:6]
    assert states[-12:].count(TrialState.FAIL) <= 6
    assert tuner.oracle.get_best_trials()[0].score < 0.1


def test_a_failed_trial_counts_as_the_worst(tmp_path):
    def objective(hp):
        x = hp.Float("x", -2.0, 2.0)
        return {0.0: 3.0, 1.0: math.nan, -1.0: 7.0}[x]

    tuner = searcher(tuners.RandomSearch, objective)(max_trials=3, directory=tmp_path)
    for x in (0.0, 1.0, -1.0):
        tuner.enqueue({"x": x})
    tuner.search(verbose=0)
    seen, _ = with_failures(tuner.study, None)
    finished = [(t.params["x"], t.value) for t in seen.trials if t.state.is_finished()]
    assert finished == [(0.0, 3.0), (1.0, 7.0), (-1.0, 7.0)]
    states = [trial.state for trial in tuner.study.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
