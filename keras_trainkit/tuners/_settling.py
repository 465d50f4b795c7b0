"""Two processes that drew the same values at the same moment: the first keeps them."""

import math
import time

from optuna.trial import TrialState

from keras_trainkit.tuners._owner import is_orphan
from keras_trainkit.tuners._slots import SETTLED, is_counted
from keras_trainkit.tuners._tried import Repeated, path_of, size_of, step_of

_LOOK_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 60


def settle(store, claim):
    """Says that this trial has drawn its values; raises `Repeated` if it must go.

    Waits for trials of earlier places that may still come to the same values, a minute
    at most. Values from ranges without steps are never the same, and nothing is
    looked up for them.
    """
    deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
    slots = store.slots()
    mine = _steps(next(slot for slot in slots if slot.place == claim.place))
    if mine is None:
        return
    store.storage.set_trial_user_attr(claim.key, SETTLED, True)
    while True:
        others = [slot for slot in store.slots() if slot.place != claim.place]
        if any(_has_taken(slot, mine, claim.place) for slot in others):
            raise Repeated
        undecided = any(_may_take(slot, mine, claim.place) for slot in others)
        if not undecided or time.monotonic() > deadline:
            return
        time.sleep(_LOOK_SECONDS)


def _steps(slot):
    """What a place has drawn; None where its values cannot come twice."""
    path = path_of(slot)
    if any(size_of(distribution) == math.inf for _, distribution, _ in path):
        return None
    return {step_of(*part) for part in path}


def _has_taken(slot, mine, place):
    decided = is_counted(slot) or slot.place < place and not _is_drawing(slot)
    return decided and _steps(slot) == mine


def _may_take(slot, mine, place):
    if slot.place > place or not _is_drawing(slot) or is_orphan(slot.trial):
        return False
    theirs = _steps(slot)
    return theirs is not None and theirs <= mine


def _is_drawing(slot):
    running = slot.trial.state == TrialState.RUNNING
    return running and SETTLED not in slot.trial.user_attrs
