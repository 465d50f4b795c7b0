"""A trial in a process of its own."""

import contextlib

from optuna.trial import TrialState

from keras_trainkit.tuners._processes import (
    check_guarded,
    died_how,
    start,
    stop,
    wait_for_end,
)
from keras_trainkit.tuners._running import run_claimed


def run_isolated(tuner, claim, args, kwargs):
    """Runs the trial in a child, which gives all its memory back when it ends.

    A child that ends without a result, by whatever way, is a failed trial.
    """
    store = tuner._store
    attempts = 1 + tuner.oracle.max_retries_per_trial
    try:
        for attempt in range(attempts):
            reason = _run(tuner, claim, args, kwargs)
            if store.storage.get_trial(claim.key).state != TrialState.RUNNING:
                return
            if attempt == attempts - 1:
                store.fail(claim.key, reason)
    except BaseException:
        # The search ends, and the trial is to be run again if it has no reason.
        with contextlib.suppress(Exception):
            store.fail(claim.key)
        raise


def _run(tuner, claim, args, kwargs):
    process, receiver = start(run_claimed, tuner, claim, args, kwargs)
    try:
        if not wait_for_end(process, receiver, tuner.trial_timeout):
            return f"It took longer than trial_timeout={tuner.trial_timeout} seconds."
        check_guarded(process)
        return died_how(process)
    finally:
        stop(process, receiver)
