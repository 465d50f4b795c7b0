"""The loop of a search: trial after trial, in one process or shared by workers."""

import dataclasses
import functools
import math
import multiprocessing.connection
import os
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from optuna.trial import TrialState

from keras_trainkit._warnings import warn_user
from keras_trainkit.tuners._configuration_tree import failed_steps, tree_of
from keras_trainkit.tuners._oracle import StudyOracle
from keras_trainkit.tuners._process_identity import is_claimed
from keras_trainkit.tuners._processes import (
    EXIT_SECONDS,
    check_guarded,
    death_message,
    frozen_objects,
    raise_error_of,
    start,
    stop,
)
from keras_trainkit.tuners._progress import Progress
from keras_trainkit.tuners._results import check_one_completed
from keras_trainkit.tuners._search import Search, Tuner
from keras_trainkit.tuners._study_connection import heartbeat
from keras_trainkit.tuners._training import prepare
from keras_trainkit.tuners._trial import run_claimed, run_isolated
from keras_trainkit.tuners._trial_queue import Claim, claim, recover
from keras_trainkit.tuners._trial_record import (
    TrialRecord,
    finished,
    read_trials,
)
from keras_trainkit.tuners._trial_weights import remove_unfinished_weights

_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 2
_POLL_SECONDS = 1
_MAX_REPEATED = 100


class TooManyFailures(RuntimeError):
    """Trials failed one after the other, as many as end a search."""


def run_search(search: Search, workers: int, progress: Progress) -> None:
    """Runs trials until the search is over, in this process or in `workers` others.

    Raises:
        RuntimeError: No trial completed, or too many failed in a row.
    """
    tuner, oracle = search.tuner, search.tuner.oracle
    remove_unfinished_weights(search.folder, oracle.records)
    progress.show_earlier(oracle.records(), search.folder)
    tuner.on_search_begin()
    try:
        if workers == 1:
            with frozen_objects():
                run_loop(search, progress)
        else:
            run_workers(search, workers, progress)
    finally:
        progress.close()
        oracle.load_space()
        if tuner.folds > 1:  # trials prepared it with the rows of a fold
            prepare(tuner.hypermodel, search.args, search.kwargs)
    tuner.on_search_end()
    check_one_completed(oracle.records())


def run_loop(search: Search, progress: Progress) -> None:
    """Runs trials until the search is over, whoever ran them.

    A process that finds nothing to do while others are at work waits: they may die.
    """
    tuner, study = search.tuner, search.study
    own: Claim | None = None
    repeated = 0  # own trials in a row whose values another one has
    wait: float = _WAIT_SECONDS
    while True:
        records = recover(study)
        if own is not None:
            kept = records if tuner.allow_repeats else _without_failed_again(records)
            check_failures(kept, own.index, tuner.oracle)
            is_kept = any(record.index == own.index for record in records)
            repeated = 0 if is_kept else repeated + 1
        progress.show(records)
        if _has_converged(records, tuner) or _only_repeats(repeated, records):
            return
        if tuner.is_over():
            return
        wants_more = functools.partial(_wants_more, search)
        own = claim(study, records, tuner.oracle.max_trials, wants_more)
        if own is not None:
            _run(search, own)
            wait = _WAIT_SECONDS
        elif _others_are_at_work(read_trials(study.trials())):
            time.sleep(wait)
            wait = min(1.5 * wait, _LONGEST_WAIT_SECONDS)
        else:
            return


def run_workers(search: Search, workers: int, progress: Progress) -> None:
    """Starts `workers` processes and waits until the search is over.

    A worker that is killed leaves its trial to the others. The search fails when the
    last of them has died, or when one raises what ends a search.
    """
    started: list[_Worker] = []
    try:
        for _ in range(workers):
            started.append(_Worker(*start(_work, search, workers)))
        alive = started
        while alive:
            multiprocessing.connection.wait(
                [worker.process.sentinel for worker in alive], _POLL_SECONDS
            )
            progress.show(read_trials(search.study.trials()))
            alive = [worker for worker in alive if not worker.has_ended()]
        if all(worker.has_died() for worker in started):
            raise RuntimeError(
                f"All {workers} workers died before the search was over. The last: "
                f"{death_message(started[-1].process)}"
            )
    finally:
        for worker in started:
            stop(worker.process, worker.receiver)


def check_failures(
    records: Iterable[TrialRecord], index: int, oracle: StudyOracle
) -> None:
    """Raises when too many trials in a row failed, the one just run among them."""
    done = finished(records)
    failed = {record.index for record in done if record.state == TrialState.FAIL}
    if index not in failed:
        return
    limit = oracle.max_consecutive_failed_trials
    last = done[-limit:]
    if len(last) == limit and all(record.index in failed for record in last):
        raise TooManyFailures(
            f"`max_consecutive_failed_trials` is the number of failed trials in a row "
            f"that ends a search, and it is reached. Received: {limit} failures, the "
            f"last one {last[-1].reason}"
        )


def has_converged(
    records: Iterable[TrialRecord],
    direction: str,
    min_improvement: float,
    patience: int,
) -> bool:
    """Stop criterion: `patience` trials without `min_improvement`.

    Counted along the trials that are done; small improvements add up, as they do in
    `callbacks.EarlyStopping`.
    """
    sign = -1 if direction == "max" else 1
    reference, waited = math.inf, 0
    for record in records:
        if not record.state.is_finished():
            return False  # what comes after it is not decided yet
        value = math.inf if record.score is None else sign * record.score
        if reference - value > min_improvement:
            reference, waited = value, 0
        elif math.isfinite(reference):
            waited += 1
        if waited >= patience:
            return True
    return False


def _has_converged(records: list[TrialRecord], tuner: Tuner) -> bool:
    if tuner.patience is None:
        return False
    direction = tuner.oracle.objective.direction
    return has_converged(records, direction, tuner.min_improvement or 0, tuner.patience)


def _without_failed_again(records: list[TrialRecord]) -> list[TrialRecord]:
    """The records but those that failed where another one had, see `tree_of`."""
    kept, seen = [], set()
    for record in records:
        steps = failed_steps(record)
        if not steps or steps not in seen:
            kept.append(record)
        seen.add(steps)
    return kept


def _only_repeats(repeated: int, records: list[TrialRecord]) -> bool:
    """True, with a warning, where nothing new comes any more.

    After a start that asks in another order every trial there is may come once more.
    """
    if repeated <= _MAX_REPEATED + len(records):
        return False
    warn_user(
        f"The search ends before `max_trials`: its last {repeated} configurations had "
        "all been tried. A hypermodel must ask for its hyperparameters in the same "
        "order at every start; a loop over a set does not.",
    )
    return True


def _wants_more(search: Search, records: list[TrialRecord]) -> bool:
    return search.tuner.allow_repeats or tree_of(search.study.trials()).has_more()


def _run(search: Search, own: Claim) -> None:
    run = run_isolated if search.tuner.isolate else run_claimed
    try:
        with heartbeat(search.study.storage, own.key):
            run(search, own)
    finally:
        search.study.leave(own.key)


def _others_are_at_work(records: list[TrialRecord]) -> bool:
    return any(record.is_lost or is_claimed(record.trial) for record in records)


@dataclasses.dataclass
class _Worker:
    """A process that shares the search, and when it was seen to be done with it."""

    process: BaseProcess
    receiver: Connection
    done_at: float | None = None

    def has_ended(self) -> bool:
        """True if it has, or is done and does not end, as with a thread left in it."""
        if self.done_at is None and self.receiver.poll():
            raise_error_of(self.receiver)
            self.done_at = time.monotonic()
        check_guarded(self.process)
        if self.process.exitcode is not None:
            return True
        waited = 0 if self.done_at is None else time.monotonic() - self.done_at
        return waited > EXIT_SECONDS

    def has_died(self) -> bool:
        """True if it has ended before the search was over."""
        return self.process.exitcode not in (0, None)


def _work(search: Search, workers: int) -> None:
    # The backend's threads start with its first operation, after this.
    threads = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    oracle = search.tuner.oracle
    run_loop(search, Progress(oracle.objective, oracle.max_trials, verbose=0))
