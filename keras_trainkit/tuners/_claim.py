"""Taking the next place of a search."""

import dataclasses

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from keras_trainkit.tuners._owner import candidate
from keras_trainkit.tuners._slots import (
    CHOSEN,
    OWNER,
    REASON,
    SURPLUS,
    numbers_of,
    read_slots,
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A trial that this process runs."""

    place: int
    number: int
    key: int


def claim(store, slots, max_trials, chosen, wants_more) -> Claim | None:
    """The first waiting place, or a new one; None if there is none to be had.

    Args:
        store: `Store`.
        slots: The places as they were a moment ago.
        max_trials: Int or None, the number of places.
        chosen: List of dicts `{"key", "values"}`, to be tried first.
        wants_more: Function of the places that says whether a new one makes sense.
    """
    while True:
        for slot in slots[:max_trials]:
            if slot.trial.state == TrialState.WAITING:
                claimed = _take(store, slot)
                if claimed is not None:
                    return claimed
        if max_trials is not None and len(slots) >= max_trials:
            return None
        entry = _next_chosen(store, chosen)
        if entry is None and not wants_more(slots):
            return None
        slots = _add(store, entry, max_trials)


def _take(store, slot):
    key = store.key(slot.trial)
    name, me = candidate()
    try:
        if name not in slot.trial.user_attrs:
            store.storage.set_trial_user_attr(key, name, me)
        if not store.take(key):
            return None
        store.begin(key)
        store.storage.set_trial_user_attr(key, OWNER, me)
    except UpdateFinishedTrialError:  # another process took it, and ended it since
        store.leave(key)
        return None
    return Claim(slot.place, slot.trial.number, key)


def _next_chosen(store, chosen):
    taken = {
        trial.user_attrs[CHOSEN]["key"]
        for trial in (store.trials() if chosen else ())
        if CHOSEN in trial.user_attrs and trial.user_attrs.get(REASON) != SURPLUS
    }
    return next((entry for entry in chosen if entry["key"] not in taken), None)


def _add(store, entry, max_trials):
    attrs = dict([candidate()])
    if entry is not None:
        attrs[CHOSEN] = entry
    key = store.add(state=TrialState.WAITING, user_attrs=attrs)
    trials = store.trials()
    number = next(trial.number for trial in trials if store.key(trial) == key)
    slots = read_slots(trials)
    if number not in numbers_of(slots[:max_trials]):
        store.fail(key, SURPLUS)
        return store.slots()
    return slots
