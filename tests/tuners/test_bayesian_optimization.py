"""The Gaussian process, which needs torch."""

import importlib.util

import pytest
from searching import hill, searcher, table

from keras_trainkit import tuners

pytestmark = pytest.mark.skipif(
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


def test_it_finds_what_chance_does_not(tmp_path):
    tuner = searched(bowl, tmp_path / "gp", 18)
    chance = searcher(tuners.RandomSearch, bowl)(
        max_trials=72, seed=2, directory=tmp_path / "random"
    )
    chance.search(verbose=0)
    found, by_chance = (t.oracle.get_best_trials()[0].score for t in (tuner, chance))
    assert found < 0.01 < by_chance


def test_begun_again_it_goes_on_as_if_nothing_had_happened(tmp_path):
    """Conditional entries included, which it draws at random."""
    whole = searched(hill, tmp_path / "whole", 9)
    searched(hill, tmp_path / "parts", 6)
    parts = searched(hill, tmp_path / "parts", 9)
    assert table(parts) == table(whole)
