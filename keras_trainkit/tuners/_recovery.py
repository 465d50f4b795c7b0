"""Taking up the trials of processes that died."""

from optuna.trial import TrialState

from keras_trainkit.tuners._owner import is_orphan
from keras_trainkit.tuners._slots import (
    CHOSEN,
    REASON,
    RETRY_OF,
    SURPLUS,
    Slot,
    numbers_of,
    read_slots,
)

DEATHS = 10


def recover(store) -> list[Slot]:
    """Fails what dead processes left running and queues the same values again.

    Written as a repair of what the study shows, so it may be killed at any point and
    run by several processes at once: the second of two equal entries is left out by
    everyone who reads them.

    Returns:
        The places, read after the repair.
    """
    store.check_file()
    store.fail_stale()
    trials = store.trials()
    if _fail_the_dead(store, trials):
        trials = store.trials()
    slots = read_slots(trials)
    lost = [slot for slot in slots if slot.lost]
    for slot in lost:
        _queue_again(store, slot)
    belonging = numbers_of(slots)
    for trial in trials:
        if trial.number not in belonging and trial.state == TrialState.WAITING:
            store.fail(store.key(trial), SURPLUS)
    return store.slots() if lost else slots


def _fail_the_dead(store, trials):
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    dead = [trial for trial in running if is_orphan(trial) or store.is_left(trial)]
    for trial in dead:
        store.fail(store.key(trial))
    return dead


def _queue_again(store, slot):
    lost = slot.trial
    attrs = {RETRY_OF: lost.number}
    if CHOSEN in lost.user_attrs:
        attrs[CHOSEN] = lost.user_attrs[CHOSEN]
    if len(slot.attempts) >= DEATHS:
        attrs[REASON] = f"Its process died {len(slot.attempts)} times."
        store.add(state=TrialState.FAIL, user_attrs=attrs)
        return
    values = {**lost.system_attrs.get("fixed_params", {}), **lost.params}
    store.add(
        state=TrialState.WAITING,
        user_attrs=attrs,
        system_attrs={"fixed_params": values},
    )
