"""Growth of a process during a long search: memory, and time per trial.

    python benchmarks/search_growth.py

Random searches of 40 trials over one BiLSTM, KerasTuner's and ours, each in a process
of its own. Printed are the resident memory after the 5th and the last trial, and the
median seconds of five trials there.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

import keras_tuner
import numpy as np
from table_sizes import resident

from keras_trainkit import hypermodels, tuners

MAKERS = {"KerasTuner RandomSearch": keras_tuner, "RandomSearch": tuners}
TRIALS, EARLY, FEW = 40, 5, 5


def main():
    seconds = "seconds a trial at 5"
    print(f"| search | MB after 5 | after 40 | MB a trial | {seconds} | at 40 |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in MAKERS:
        subprocess.run([sys.executable, __file__, "--one", name], check=True)


def one(name):
    """A line of the table."""
    clocks, megabytes = growth_of(MAKERS[name].RandomSearch)
    seconds = np.diff(clocks)
    early, late = megabytes[EARLY], megabytes[TRIALS]
    cells = [
        name,
        f"{early:.0f}",
        f"{late:.0f}",
        f"{(late - early) / (TRIALS - EARLY):.1f}",
        f"{statistics.median(seconds[EARLY - 2 : EARLY - 2 + FEW]):.2f}",
        f"{statistics.median(seconds[-FEW:]):.2f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def growth_of(tuner_class):
    """Clocks and megabytes at the begin of every trial and at the end of the last."""
    seen = []

    class Noted(tuner_class):
        def on_trial_begin(self, trial):
            seen.append((time.perf_counter(), resident("VmRSS") / 2**20))
            super().on_trial_begin(trial)

    space = {"layers": 2, "units": 16, "batch_size": 32, "attention": "additive"}
    space |= {"query": "learned", "optimizer": "adamw", "schedule": "one_cycle"}
    x = np.random.default_rng(0).normal(size=(64, 12, 5)).astype("float32")
    y = np.arange(64) % 3
    with tempfile.TemporaryDirectory() as folder:
        tuner = Noted(
            hypermodels.HyperBiLSTMAttention((12, 5), 3, space=space),
            "val_loss",
            max_trials=TRIALS + 1,  # the last one says when the one before has ended
            max_consecutive_failed_trials=TRIALS,
            seed=1,
            directory=folder,
        )
        tuner.search(x, y, validation_data=(x, y), epochs=2, verbose=0)
    return zip(*seen, strict=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=MAKERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    main() if arguments.one is None else one(arguments.one)
