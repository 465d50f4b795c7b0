"""The queue of a search: trials are claimed, and queued again after a death.

In one turn of the search a process calls `recover`, which reads the records, and then
`claim`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._process_identity import OWNER, candidate, is_orphan
from keras_trainkit.tuners._search_study import (
    CHOSEN,
    REASON,
    RETRY_OF,
    SURPLUS,
    SearchStudy,
)
from keras_trainkit.tuners._trial_record import TrialRecord, read_trials

MAX_DEATHS = 10


@dataclasses.dataclass(frozen=True)
class Claim:
    """A trial that this process runs: index of its record, and Optuna's key."""

    index: int
    key: int


def recover(study: SearchStudy) -> list[TrialRecord]:
    """Fails what dead processes left running and queues the same values again.

    Written as a repair of what the study shows, so it may be killed at any point and
    run by several processes at once: the second of two equal entries is left out by
    everyone who reads them.

    Returns:
        The records, read after the repair.
    """
    study.check_file()
    study.fail_stale()
    trials = study.trials()
    if _fail_the_dead(study, trials):
        trials = study.trials()
    records = read_trials(trials)
    lost = [record for record in records if record.is_lost]
    for record in lost:
        _queue_again(study, record)
    belonging = _numbers_of(records)
    for trial in trials:
        if trial.number not in belonging and trial.state == TrialState.WAITING:
            study.fail(study.key(trial), SURPLUS)
    return read_trials(study.trials()) if lost else records


def _fail_the_dead(study: SearchStudy, trials: list[FrozenTrial]) -> bool:
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    dead = [trial for trial in running if is_orphan(trial) or study.is_left(trial)]
    for trial in dead:
        study.fail(study.key(trial))
    return bool(dead)


def _queue_again(study: SearchStudy, record: TrialRecord) -> None:
    lost = record.trial
    attrs: dict[str, Any] = {RETRY_OF: lost.number}
    if record.chosen:
        attrs[CHOSEN] = record.chosen
    if len(record.attempts) >= MAX_DEATHS:
        attrs[REASON] = f"Its process died {len(record.attempts)} times."
        study.add(state=TrialState.FAIL, user_attrs=attrs)
        return
    values = {**lost.system_attrs.get("fixed_params", {}), **lost.params}
    study.add(
        state=TrialState.WAITING,
        user_attrs=attrs,
        system_attrs={"fixed_params": values},
    )


def _numbers_of(records: Iterable[TrialRecord]) -> set[int]:
    return {trial.number for record in records for trial in record.attempts}


def claim(
    study: SearchStudy,
    records: list[TrialRecord],
    max_trials: int | None,
    wants_more: Callable[[list[TrialRecord]], bool],
) -> Claim | None:
    """Takes the first waiting trial, or adds one; None if there is none to be had.

    Values chosen by hand are added before all others.

    Args:
        study: `SearchStudy`.
        records: The records as they were a moment ago.
        max_trials: Int or None. Records that the search may have.
        wants_more: Function of the records that is true if a new one makes sense.
    """
    while True:
        for record in records[:max_trials]:
            if record.state == TrialState.WAITING:
                claimed = _take(study, record)
                if claimed is not None:
                    return claimed
        if max_trials is not None and len(records) >= max_trials:
            return None
        entry = _next_chosen(study)
        if entry is None and not wants_more(records):
            return None
        records = _add(study, entry, max_trials)


def _take(study: SearchStudy, record: TrialRecord) -> Claim | None:
    key = study.key(record.trial)
    name, identity = candidate()
    try:
        if name not in record.trial.user_attrs:
            study.set_attribute(key, name, identity)
        if not study.take(key):
            return None
        study.begin(key)
        study.set_attribute(key, OWNER, identity)
    except UpdateFinishedTrialError:  # another process took it, and ended it since
        study.leave(key)
        return None
    return Claim(record.index, key)


def _next_chosen(study: SearchStudy) -> dict[str, Any] | None:
    chosen = study.chosen()
    taken = {
        trial.user_attrs[CHOSEN]["key"]
        for trial in (study.trials() if chosen else ())
        if CHOSEN in trial.user_attrs and trial.user_attrs.get(REASON) != SURPLUS
    }
    return next((entry for entry in chosen if entry["key"] not in taken), None)


def _add(
    study: SearchStudy, entry: dict[str, Any] | None, max_trials: int | None
) -> list[TrialRecord]:
    name, identity = candidate()
    attrs = {name: identity}
    if entry is not None:
        attrs[CHOSEN] = entry
    key = study.add(state=TrialState.WAITING, user_attrs=attrs)
    trials = study.trials()
    number = next(trial.number for trial in trials if study.key(trial) == key)
    records = read_trials(trials)
    if number not in _numbers_of(records[:max_trials]):
        study.fail(key, SURPLUS)
        return read_trials(study.trials())
    return records
