import keras_tuner
import pytest
from searching import searcher

from keras_trainkit import tuners

pytestmark = pytest.mark.backend_free


def tried(tmp_path, objective, **options):
    tuner = searcher(tuners.GridSearch, objective)(directory=tmp_path, **options)
    tuner.search(verbose=0)
    trials = tuner.oracle.trials.values()
    return [tuple(trial.hyperparameters.values.values()) for trial in trials]


def test_three_rates_and_three_batch_sizes_are_nine_trials(tmp_path):
    def objective(hp):
        rate = hp.Choice("rate", [0.1, 0.2, 0.3], default=0.2)
        return rate * hp.Int("batch", 16, 64, step=2, sampling="log")

    found = tried(tmp_path, objective)
    # Defaults first, the last entry fastest.
    assert found == [
        *((0.2, batch) for batch in (16, 32, 64)),
        *((0.1, batch) for batch in (16, 32, 64)),
        *((0.3, batch) for batch in (16, 32, 64)),
    ]


def test_entries_that_only_some_combinations_have_are_listed_there(tmp_path):
    def objective(hp):
        kind = hp.Choice("kind", ["plain", "deep", "wide"])
        if kind == "deep":  # no scope: plain Python decides
            hp.Int("depth", 2, 3)
        hp.Boolean("bias", parent_name="kind", parent_values=["wide"])
        return 1.0

    found = tried(tmp_path, objective)
    assert found == [
        ("plain",),
        ("deep", 2),
        ("deep", 3),
        ("wide", False),
        ("wide", True),
    ]


def test_a_combination_that_failed_counts_as_tried(tmp_path):
    def objective(hp):
        if hp.Boolean("a"):
            raise OSError("no disk")
        return 1.0 + hp.Int("b", 1, 2)

    found = tried(tmp_path, objective)
    # Three times, for there might be more behind it.
    assert found == [(False, 1), (False, 2), *(3 * [(True,)])]


def test_combinations_behind_a_failure_are_tried_at_the_end(tmp_path):
    calls = []

    def objective(hp):
        flag = hp.Boolean("a")
        calls.append(flag)
        if calls == [False]:
            raise OSError("busy")
        return 1.0 + hp.Int("b", 1, 2)

    found = tried(tmp_path, objective)
    assert found == [(False,), (True, 1), (True, 2), (False, 1), (False, 2)]


def test_a_hypermodel_that_refuses_a_value_is_not_asked_again(tmp_path):
    def objective(hp):
        if hp.Boolean("a"):
            raise keras_tuner.errors.FailedTrialError("no such thing")
        return 1.0 + hp.Int("b", 1, 2)

    assert tried(tmp_path, objective) == [(False, 1), (False, 2), (True,)]


def test_values_that_always_fail_between_two_draws_do_not_end_the_search(tmp_path):
    def objective(hp):
        kind = hp.Choice("kind", ["a", "b", "c", "d", "e"])
        if kind in "bd":
            raise OSError("no disk")
        return 1.0 + hp.Int("b", 1, 2)

    found = tried(tmp_path, objective)
    assert len(found) == 2 * 3 + 2 * 3
    assert found[-4:] == [("b",), ("b",), ("d",), ("d",)]


def test_max_trials_ends_it_earlier(tmp_path):
    assert len(tried(tmp_path, lambda hp: hp.Float("a", 0, 1), max_trials=4)) == 4


def test_a_list_and_a_range_do_not_share_a_study(tmp_path):
    tried(tmp_path, lambda hp: hp.Float("a", 0, 1), max_trials=1, seed=3)
    with pytest.raises(ValueError, match="begun as, with method='GridSearch'"):
        searcher(tuners.RandomSearch)(directory=tmp_path, seed=3)
