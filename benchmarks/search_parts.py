"""Seconds of a trial by their use, each second counted once."""

import contextlib
import functools
import gc
import statistics
import tempfile
import time
import unittest.mock

import keras
import keras_tuner
import optuna
from search_peers import searches

from keras_trainkit import hypermodels

PARTS = {
    "collecting garbage": [(gc, "collect"), (keras.backend, "clear_session")],
    "saving weights": [(keras.Model, "save_weights")],
    "KerasTuner's files": [
        (keras_tuner.Oracle, "save"),
        (keras_tuner.Oracle, "_save_trial"),
        (keras_tuner.Tuner, "save"),
    ],
    "Optuna's storage": [
        (optuna.storages.RDBStorage, name)
        for name in dir(optuna.storages.RDBStorage)
        if name.startswith(("create_", "set_", "get_", "record_", "check_"))
    ],
    "fit: other than tracing": [(keras.Model, "fit")],
}
TRIALS, SEED = 12, 1


class Clock:
    """Adds up the time within functions, less that of timed ones they call."""

    def __init__(self):
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._open: list[float] = []

    def timed(self, part, function):
        """The function, its own time added to the part."""

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            self._open.append(0.0)
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - began
                self.seconds[part] += spent - self._open.pop()
                if self._open:
                    self._open[-1] += spent

        return wrapper


class Epochs(keras.callbacks.Callback):
    """Seconds of every epoch; what the first takes more goes into tracing."""

    tracing: list[float] = []

    def on_train_begin(self, logs=None):
        self._ends = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self._ends.append(time.perf_counter())

    def on_train_end(self, logs=None):
        first, *later = (
            b - a for a, b in zip(self._ends, self._ends[1:], strict=False)
        )
        self.tracing.append(first - statistics.median(later))


def print_parts(task):
    """Milliseconds per trial, for KerasTuner's search and for ours."""
    columns = {
        "KerasTuner RandomSearch": ("KerasTuner RandomSearch", {}),
        "KerasTuner RandomSearch, HyperMLP.fit": (
            "KerasTuner RandomSearch",
            {"hypermodel": hypermodels.HyperMLP},
        ),
        "RandomSearch": ("RandomSearch", {}),
        "RandomSearch, steps": ("RandomSearch", {"steps_per_execution": 64}),
    }
    found = {}
    for title, (method, means) in columns.items():
        with tempfile.TemporaryDirectory() as folder:
            search = functools.partial(searches(task)[method], **means)
            found[title] = parts_of(search, task, folder)
    print(f"\n| milliseconds a trial | {' | '.join(found)} |")
    print(f"| --- |{' --- |' * len(found)}")
    for part in next(iter(found.values())):
        cells = (f"{1000 * times[part] / TRIALS:.0f}" for times in found.values())
        print(f"| {part} | {' | '.join(cells)} |")


def parts_of(search, task, folder):
    clock = Clock()
    Epochs.tracing.clear()
    with contextlib.ExitStack() as stack:
        for part, functions in PARTS.items():
            for owner, name in functions:
                timed = clock.timed(part, getattr(owner, name))
                stack.enter_context(unittest.mock.patch.object(owner, name, timed))
        run = search(TRIALS, SEED, folder, callbacks=[Epochs()])
    tracing = sum(Epochs.tracing)
    clock.seconds["fit: other than tracing"] -= tracing
    rest = run.seconds - sum(clock.seconds.values()) - tracing
    return {
        **clock.seconds,
        "fit: tracing, as far as the first epoch takes longer": tracing,
        "building and the rest": rest,
        "all": run.seconds,
    }
