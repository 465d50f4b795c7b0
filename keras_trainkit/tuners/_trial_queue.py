"""The places of a search, read from the trials of its study.

A place is one configuration to be tried, counted from 0. Most places have one trial.
Where a process died the place has a second, which says so in `retry_of`. A place whose
values another process had drawn at the same moment is left out, and its number with
it. All other numbers follow from what a trial was created with, so every process counts
alike.
"""

import dataclasses
import math

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from keras_trainkit.tuners._process_identity import (
    CANDIDATE,
    OWNER,
    candidate,
    is_orphan,
)

RETRY_OF = "retry_of"
CHOSEN = "chosen"
REASON = "reason"
RESULT = "result"
SURPLUS = "surplus"
REPEATED = "repeated"
SETTLED = "settled"


@dataclasses.dataclass
class Slot:
    """A place and its attempts, the last of which counts."""

    place: int
    attempts: list[optuna.trial.FrozenTrial]

    @property
    def trial(self) -> optuna.trial.FrozenTrial:
        """The attempt that counts."""
        return self.attempts[-1]

    @property
    def lost(self) -> bool:
        """Whether a process died over it and nobody has taken it up."""
        return was_lost(self.trial)


def was_lost(trial) -> bool:
    """Whether this attempt ended without a result and without a reason."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs


def read_slots(trials) -> list[Slot]:
    """The places in their order; attempts that came twice are left out.

    Trials that plain Optuna made and ran have no place: not `study.ask()`, whatever is
    told of it, nor `study.add_trial()`. What `study.enqueue_trial()` queued has one.
    """
    again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    trials = [t for t in trials if t.number in again or not _is_foreign(t)]
    slots: list[Slot] = []
    slot_of: dict[int, Slot] = {}
    retried, chosen = set(), set()
    for trial in sorted(trials, key=lambda trial: trial.number):
        attrs = trial.user_attrs
        original, key = attrs.get(RETRY_OF), attrs.get(CHOSEN, {}).get("key")
        if attrs.get(REASON) == SURPLUS or original in retried:
            continue
        if original is not None:
            if original not in slot_of:
                continue
            retried.add(original)
            slot_of[original].attempts.append(trial)
            slot_of[trial.number] = slot_of[original]
        elif key not in chosen:
            if key is not None:
                chosen.add(key)
            slot_of[trial.number] = Slot(len(slots), [trial])
            slots.append(slot_of[trial.number])
    return [slot for slot in slots if slot.trial.user_attrs.get(REASON) != REPEATED]


def _is_foreign(trial):
    ours = trial.state == TrialState.WAITING or "fixed_params" in trial.system_attrs
    return not ours and not any(map(_is_ours, trial.user_attrs))


def _is_ours(name):
    return name in (RETRY_OF, CHOSEN, REASON, RESULT, OWNER) or name.startswith(
        CANDIDATE
    )


def numbers_of(slots) -> set[int]:
    """Numbers of the trials that belong to some place."""
    return {trial.number for slot in slots for trial in slot.attempts}


def is_counted(slot) -> bool:
    """Whether the place is done: completed, stopped, or failed with a reason."""
    return slot.trial.state.is_finished() and not slot.lost


def finished(slots) -> list[Slot]:
    """The places that are done."""
    return [slot for slot in slots if is_counted(slot)]


def trial_name(place: int) -> str:
    """KerasTuner's `trial_id`."""
    return f"{place:04d}"


def ranked(slots, direction) -> list[Slot]:
    """The completed places, best first; equals in the order of the search."""
    done = [
        slot
        for slot in slots
        if slot.trial.state == TrialState.COMPLETE and math.isfinite(slot.trial.value)
    ]
    sign = -1 if direction == "max" else 1
    return sorted(done, key=lambda slot: (sign * slot.trial.value, slot.place))


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
