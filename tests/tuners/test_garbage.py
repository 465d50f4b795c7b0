"""Collections of garbage during a search."""

import gc
import weakref

import pytest

from keras_trainkit import tuners
from keras_trainkit.tuners._garbage import quick_collections


class Knot:
    def __init__(self):
        self.itself = self


def test_what_a_search_leaves_is_still_collected():
    with quick_collections():
        assert gc.get_freeze_count() > 10_000  # Keras and its backend
        knot = weakref.ref(Knot())
        gc.collect()
        assert knot() is None
    assert gc.get_freeze_count() == 0


def test_what_its_caller_has_frozen_stays_frozen():
    gc.freeze()
    try:
        with quick_collections():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_nothing_stays_frozen_after_a_search_that_raised(tmp_path):
    def objective(hp):
        assert gc.get_freeze_count() > 0
        raise KeyboardInterrupt

    class Search(tuners.RandomSearch):
        def run_trial(self, trial, **kwargs):
            return objective(trial.hyperparameters)

    with pytest.raises(KeyboardInterrupt):
        Search(max_trials=2, directory=tmp_path).search(verbose=0)
    assert gc.get_freeze_count() == 0
