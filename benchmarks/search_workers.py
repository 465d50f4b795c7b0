"""Many workers over one study: kills, throughput, and memory of isolated trials.

    python benchmarks/search_workers.py --postgres postgresql+psycopg://me@host/database
    python benchmarks/search_workers.py --parts throughput --seconds 0.5

`.ci/postgresql start FOLDER` starts a server here and prints its URL; without
`--postgres` the file of SQLite alone is measured.

`kills`: 8 workers, 200 quick trials, SIGKILL to two workers that hold a trial.

`throughput`: trials that sleep, from the first one's start to the last one's end as the
study has them. `of n` is trials per second over n times those of one worker, `of sleep`
over those of trials that cost nothing but the sleep. `whole` is the call of `search`,
for which the processes are started, `start` the part of it before the first trial.

`memory`: what the process that searches has in memory after the first isolated trial
and after the last; each trains a small BiLSTM for an epoch.
"""

import argparse
import os
import pathlib
import signal
import tempfile
import threading
import time
import uuid

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from keras_trainkit import hypermodels, tuners  # noqa: E402

PARTS = ("kills", "throughput", "memory")


class Sleeping(tuners.RandomSearch):
    """Sleeps for each trial."""

    def __init__(self, seconds, **options):
        self.seconds = seconds
        super().__init__(**options)

    def run_trial(self, trial, *args, **kwargs):
        x = trial.hyperparameters.Float("x", -2.0, 2.0)
        time.sleep(self.seconds)
        return x**2


def storage_of(url):
    """Options of a search that nobody has begun."""
    folder = tempfile.mkdtemp(prefix="search_workers")
    name = f"search-{uuid.uuid4().hex}"
    return {"storage": url, "directory": folder, "project_name": name, "seed": 1}


def completed(tuner):
    return [t for t in tuner.study.trials if t.state == TrialState.COMPLETE]


def print_head(title, *names):
    print(f"\n{title}\n\n| {' | '.join(names)} |\n|{' --- |' * len(names)}", flush=True)


def print_row(*cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def kill_owners(tuner, moments, killed):
    """Kills the owner of the trial begun last as soon as so many have completed."""
    while moments:
        time.sleep(0.05)
        trials = tuner.study.trials
        held = [
            trial
            for trial in trials
            if trial.state == TrialState.RUNNING
            and trial.user_attrs.get("owner", {}).get("pid") not in {None, *killed}
        ]
        done = sum(trial.state == TrialState.COMPLETE for trial in trials)
        if done >= moments[0] and held:
            latest = max(held, key=lambda trial: trial.datetime_start)
            pid = latest.user_attrs["owner"]["pid"]
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            moments = moments[1:]


def kills(storages, workers, trials):
    title = f"{workers} workers, {trials} trials of 0.1 s, two workers killed"
    names = ("completed", "trials", "other values", "lost and run again", "seconds")
    print_head(title, "storage", *names)
    for name, url in storages.items():
        tuner = Sleeping(0.1, max_trials=trials, **storage_of(url))
        killed: set[int] = set()
        moments = (trials // 4, trials // 2)
        killer = threading.Thread(target=kill_owners, args=(tuner, moments, killed))
        killer.start()
        started = time.perf_counter()
        tuner.search(workers=workers, verbose=0)
        seconds = time.perf_counter() - started
        killer.join()
        done = completed(tuner)
        trials_left = len(tuner.oracle.trials)
        values = len({trial.params["x"] for trial in done})
        again = sum("retry_of" in trial.user_attrs for trial in done)
        print_row(name, len(done), trials_left, values, again, f"{seconds:.1f}")


def throughput(storages, counts, seconds, each):
    names = ("workers", "trials/s", "of n", "of sleep", "whole, s", "start, s")
    print_head(f"Trials of {seconds} s, {each} for each worker", "storage", *names)
    for name, url in storages.items():
        alone = None
        for workers in counts:
            tuner = Sleeping(seconds, max_trials=workers * each, **storage_of(url))
            began, started = time.time(), time.perf_counter()
            tuner.search(workers=workers, verbose=0)
            whole = time.perf_counter() - started
            done = completed(tuner)
            first = min(trial.datetime_start for trial in done)
            last = max(trial.datetime_complete for trial in done)
            rate = len(done) / (last - first).total_seconds() / workers
            alone = alone or rate
            speed = f"{rate * workers:.2f}", f"{rate / alone:.3f}"
            share = f"{rate * seconds:.3f}"
            times = f"{whole:.1f}", f"{first.timestamp() - began:.1f}"
            print_row(name, workers, *speed, share, *times)


def resident():
    """Bytes of this process that are in memory."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory(trials):
    rng = np.random.default_rng(0)
    x, y = rng.integers(1, 50, (32, 8)), rng.integers(0, 2, 32)
    small = {"embedding_units": 4, "units": 3, "layers": 1, "batch_size": 16}
    where = storage_of(None)

    def searched(max_trials):
        hypermodel = hypermodels.HyperBiLSTMAttention(
            (8,), 1, task="binary", vocabulary_size=50, space=small
        )
        tuner = tuners.RandomSearch(
            hypermodel, max_trials=max_trials, isolate=True, **where
        )
        tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
        return len(completed(tuner)), resident()

    title = f"{trials} isolated trials of a BiLSTM, MB of the process that searches"
    names = ("after the first", "after the last", "growth", "seconds")
    print_head(title, "completed", *names)
    started = time.perf_counter()
    _, first = searched(1)
    done, last = searched(trials)
    sizes = [f"{size / 1e6:.1f}" for size in (first, last, last - first)]
    print_row(done, *sizes, f"{time.perf_counter() - started:.0f}")


def main(postgres, parts, workers, seconds, each, trials, isolated):
    storages = {"SQLite": None}
    if postgres is not None:
        storages["PostgreSQL"] = postgres
    if "kills" in parts:
        kills(storages, max(workers), trials)
    if "throughput" in parts:
        throughput(storages, workers, seconds, each)
    if "memory" in parts:
        memory(isolated)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgres", help="URL of a database")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=1.0, help="of a sleep")
    parser.add_argument("--each", type=int, default=20, help="trials for each worker")
    parser.add_argument("--trials", type=int, default=200, help="of `kills`")
    parser.add_argument("--isolated", type=int, default=100, help="trials of `memory`")
    main(**vars(parser.parse_args()))
