"""A process's share of a search: trial after trial until nothing is left."""

import math
import multiprocessing.connection
import os
import sys
import time

from optuna.trial import TrialState

from keras_trainkit.tuners._process_identity import is_run
from keras_trainkit.tuners._processes import (
    check_guarded,
    died_how,
    raise_error_of,
    start,
    stop,
)
from keras_trainkit.tuners._search_study import beating
from keras_trainkit.tuners._trial import run_claimed, run_isolated
from keras_trainkit.tuners._trial_queue import (
    claim,
    finished,
    ranked,
    recover,
)

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
        records = recover(store)
        if mine is not None:
            check_failures(records, mine, tuner.oracle)
        progress.show(records)
        if tuner._is_adequate(records):
            return
        chosen = tuner._record.chosen()
        most = tuner.oracle.max_trials
        claimed = claim(store, records, most, chosen, tuner._wants_more)
        mine = None if claimed is None else claimed.index
        if claimed is not None:
            _run(tuner, claimed, args, kwargs)
            wait = _WAIT_SECONDS
        elif _others_at_work(store.records()):
            time.sleep(wait)
            wait = min(1.5 * wait, _LONGEST_WAIT_SECONDS)
        else:
            return


def check_failures(records, index, oracle):
    """Raises when too many trials in a row failed, the one just run among them."""
    done = finished(records)
    failed = {r.index for r in done if r.state == TrialState.FAIL}
    if index not in failed:
        return
    limit = oracle.max_consecutive_failed_trials
    last = done[-limit:]
    if len(last) == limit and all(r.state == TrialState.FAIL for r in last):
        reason = last[-1].reason
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


def _others_at_work(records):
    return any(record.is_lost or is_run(record.trial) for record in records)


_LOOK_SECONDS = 1


def run_workers(tuner, workers, args, kwargs, progress):
    """Starts `workers` processes and waits until the search is over.

    A worker that is killed leaves its trial to the others. The search fails when the
    last of them has died, or when one raises what ends a search.
    """
    started = [start(_work, tuner, workers, args, kwargs) for _ in range(workers)]
    alive = list(started)
    try:
        while alive:
            multiprocessing.connection.wait(
                [process.sentinel for process, _ in alive], _LOOK_SECONDS
            )
            progress.show(tuner._store.records())
            alive = [pair for pair in alive if not _has_ended(*pair)]
        if all(process.exitcode != 0 for process, _ in started):
            raise RuntimeError(
                f"All {workers} workers died before the search was over. The last: "
                f"{died_how(started[-1][0])}"
            )
    finally:
        for child in started:
            stop(*child)


def _has_ended(process, receiver):
    if receiver.poll():
        raise_error_of(receiver)
    check_guarded(process)
    return process.exitcode is not None


def _work(tuner, workers, args, kwargs):
    # The backend's threads start with its first operation, after this.
    threads = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    silent = Progress(tuner.oracle.objective, tuner.max_trials, verbose=0)
    run_loop(tuner, args, kwargs, silent)


def is_adequate(records, direction, min_improvement, patience) -> bool:
    """Whether `patience` trials in a row brought no more than `min_improvement`.

    Counted along the trials that are done; small improvements add up, as they do in
    `callbacks.EarlyStopping`.
    """
    sign = -1 if direction == "max" else 1
    reference, waited = math.inf, 0
    for record in records:
        if not record.state.is_finished():
            return False  # what comes after it is not decided yet
        value = math.inf
        if record.score is not None:
            value = sign * record.score
        if reference - value > min_improvement:
            reference, waited = value, 0
        elif math.isfinite(reference):
            waited += 1
        if waited >= patience:
            return True
    return False


class Progress:
    """Trials done, the best so far, the time left.

    On a terminal the line is written over; elsewhere there is one per trial.

    Args:
        objective: KerasTuner's objective.
        max_trials: Int or None.
        verbose: 0 for silence.
    """

    def __init__(self, objective, max_trials, verbose):
        self._objective = objective
        self._max_trials = max_trials
        self._silent = verbose == 0
        self._began = self._latest = time.monotonic()
        self._done_before: int | None = None
        self._done = 0
        self._shown: str | None = None

    def show(self, records):
        """Writes the line if it has changed."""
        done = len(finished(records))
        if self._done_before is None:
            self._done_before = done
        if done != self._done:
            self._done, self._latest = done, time.monotonic()
        text = self._text(records, done)
        if self._silent or not done or self._shown == text:
            return
        self._shown = text
        start, end = ("\r", "") if sys.stdout.isatty() else ("", "\n")
        print(f"{start}{text}", end=end, flush=True)

    def say_what_was_there(self, records, folder):
        """Writes how many trials are older than this start."""
        done = len(finished(records))
        if done and not self._silent:
            print(f"Search: {done} of the trials were there already, in {folder}")

    def close(self):
        """Ends the line."""
        if self._shown is not None and sys.stdout.isatty():
            print()

    def _text(self, records, done):
        total = "" if self._max_trials is None else f"/{self._max_trials}"
        text = f"Search: {done}{total} trials"
        best = ranked(records, self._objective.direction)
        if best:
            text += (
                f" | best {self._objective.name} {best[0].score:.5g} "
                f"(trial {best[0].name})"
            )
        left = self._seconds_left(done)
        return text if left is None else f"{text} | {_clock(left)} left"

    def _seconds_left(self, done):
        here = done - self._done_before
        if self._max_trials is None or not here or done >= self._max_trials:
            return None
        spent = self._latest - self._began
        return spent / here * (self._max_trials - done)


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
