"""A process's share of a search: trial after trial until nothing is left."""

import time

from optuna.trial import TrialState

from keras_trainkit.tuners._beating import beating
from keras_trainkit.tuners._claim import claim
from keras_trainkit.tuners._isolated import run_isolated
from keras_trainkit.tuners._owner import is_run
from keras_trainkit.tuners._recovery import recover
from keras_trainkit.tuners._running import run_claimed
from keras_trainkit.tuners._slots import REASON, finished

_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 2


def run_loop(tuner, args, kwargs, progress):
    """Runs trials until the search is over, whoever ran them.

    A process that finds nothing to do while others are at work waits: they may die.
    """
    store = tuner._store
    mine = None
    wait = _WAIT_SECONDS
    while True:
        slots = recover(store)
        if mine is not None:
            check_failures(slots, mine, tuner.oracle)
        progress.show(slots)
        if tuner._is_adequate(slots):
            return
        chosen = tuner._record.chosen()
        most = tuner.oracle.max_trials
        claimed = claim(store, slots, most, chosen, tuner._wants_more)
        mine = None if claimed is None else claimed.place
        if claimed is not None:
            _run(tuner, claimed, args, kwargs)
            wait = _WAIT_SECONDS
        elif _others_at_work(store.slots()):
            time.sleep(wait)
            wait = min(1.5 * wait, _LONGEST_WAIT_SECONDS)
        else:
            return


def check_failures(slots, place, oracle):
    """Raises when too many trials in a row failed, the one just run among them."""
    done = finished(slots)
    failed = {s.place for s in done if s.trial.state == TrialState.FAIL}
    if place not in failed:
        return
    limit = oracle.max_consecutive_failed_trials
    last = done[-limit:]
    if len(last) == limit and all(s.trial.state == TrialState.FAIL for s in last):
        reason = last[-1].trial.user_attrs[REASON]
        raise RuntimeError(
            f"`max_consecutive_failed_trials` is the number of failed trials in a row "
            f"that ends a search, and it is reached. Received: {limit} failures, the "
            f"last one {reason}"
        )


def _run(tuner, claimed, args, kwargs):
    run = run_isolated if tuner.isolate else run_claimed
    try:
        with beating(tuner._store, claimed.key):
            run(tuner, claimed, args, kwargs)
    finally:
        tuner._store.leave(claimed.key)


def _others_at_work(slots):
    return any(slot.lost or is_run(slot.trial) for slot in slots)
