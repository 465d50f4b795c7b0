"""The places of a search, read from the trials of its study.

A place is one configuration to be tried, counted from 0. Most places have one trial.
Where a process died the place has a second, which says so in `retry_of`. A place whose
values another process had drawn at the same moment is left out, and its number with
it. All other numbers follow from what a trial was created with, so every process counts
alike.
"""

import dataclasses

import optuna
from optuna.trial import TrialState

RETRY_OF = "retry_of"
CHOSEN = "chosen"
REASON = "reason"
RESULT = "result"
OWNER = "owner"
CANDIDATE = "candidate:"
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
