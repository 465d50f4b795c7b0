"""Fifty kills at random moments, for every method (`pytest -m soak`)."""

import os
import random
import signal
import time

import pytest
from optuna.trial import TrialState
from searching import METHODS, forked, hill, searcher, table

pytestmark = pytest.mark.soak


def slow(hp):
    time.sleep(0.02)
    return hill(hp)


def killed_after(seconds, function):
    """Runs the function in a fork that is killed then; whether it was killed."""
    child = forked(function)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("method", METHODS)
def test_fifty_kills_change_nothing(method, tmp_path):
    cls, options = METHODS[method]
    options = {**options, "seed": 3, "directory": tmp_path, "max_trials": 240}

    def made(name):
        return searcher(cls, slow)(project_name=name, **options)

    whole = made("whole")
    whole.search(verbose=0)
    moments = random.Random(1)
    kills = 0
    while kills < 50 and made("killed").remaining_trials:
        delay = moments.uniform(0.05, 0.4)
        kills += killed_after(delay, lambda: made("killed").search(verbose=0))
    resumed = made("killed")
    resumed.search(verbose=0)
    assert kills == 50  # the search is too long to be done before
    assert table(resumed) == table(whole)
    ends = (TrialState.COMPLETE, TrialState.PRUNED)
    ended = [t for t in resumed.study.trials if t.state in ends]
    assert len(ended) == len(table(whole))  # none ran twice after its end
