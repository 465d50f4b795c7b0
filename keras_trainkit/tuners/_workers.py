"""Several processes that share a search on this machine."""

import multiprocessing.connection
import os

from keras_trainkit.tuners._loop import run_loop
from keras_trainkit.tuners._processes import (
    check_guarded,
    died_how,
    raise_error_of,
    start,
    stop,
)
from keras_trainkit.tuners._progress import Progress

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
            progress.show(tuner._store.slots())
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
