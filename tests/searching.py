"""Searches without training, small enough to be repeated; importable by children."""

import faulthandler
import gc
import os
import pathlib
import signal
import sys
import threading
import time
import traceback
import warnings

import keras
import keras_tuner
import optuna
import pytest
from keras_tuner.errors import FatalValueError

from keras_trainkit import tuners

METHODS = {
    "random": (tuners.RandomSearch, {"max_trials": 7}),
    "grid": (tuners.GridSearch, {"max_trials": 7}),
    "bayesian": (
        tuners.BayesianOptimization,
        {"max_trials": 7, "num_initial_points": 3},
    ),
    "hyperband": (tuners.Hyperband, {"max_epochs": 4, "max_trials": 7}),
    "coarse_to_fine": (tuners.CoarseToFine, {"max_trials": 7, "rounds": 2}),
}
QUICK = {"grid", "hyperband"}  # a list of trials, and one that depends on scores
every_method = pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
        for name in METHODS
    ],
)


def hill(hp):
    """Best at x = 1 with the kind "b"; "c" brings one more entry."""
    x = hp.Float("x", -2.0, 2.0)
    kind = hp.Choice("kind", ["a", "b", "c"])
    extra = hp.Int("extra", 1, 4, parent_name="kind", parent_values=["c"])
    return (x - 1) ** 2 + {"a": 1, "b": 0, "c": extra}[kind]


def searcher(cls, objective=hill):
    """A class of tuner whose trials are calls of `objective(hp)`."""

    def run_trial(self, trial, *args, **kwargs):
        return objective(trial.hyperparameters)

    return type(f"{cls.__name__}Of", (cls,), {"run_trial": run_trial})


def table(tuner):
    """What each trial tried and got, as plain rows."""
    trials = tuner.oracle.trials.values()
    return [(t.trial_id, t.status, t.hyperparameters.values, t.score) for t in trials]


def killed_at(call, objective=hill):
    """`objective`, in a process that kills itself in its `call`-th call."""
    calls = []

    def dying(hp):
        value = objective(hp)
        calls.append(value)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    return dying


def in_child(function):
    """Runs the function in a fork and returns the status it ended with."""
    return os.waitstatus_to_exitcode(os.waitpid(forked(function), 0)[1])


def waited_for(children):
    """The statuses that forks ended with."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def forked(function, seconds=240):
    """Starts the function in a fork and returns its number.

    The child collects nothing that its parent left: what a loaded SavedModel frees, it
    frees through threads of TensorFlow, which no fork has. A child that stands still
    ends after so many seconds and shows where.
    """
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of every fork
        child = os.fork()
    if child == 0:
        gc.freeze()
        gc.enable()
        faulthandler.register(signal.SIGALRM, sys.__stderr__, chain=True)
        signal.alarm(seconds)
        try:
            function()
            os._exit(0)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(1)
    gc.enable()
    return child


def wait_until(condition, *children):
    """Returns when it holds; raises after two minutes, or when a child has ended."""
    deadline = time.monotonic() + 120
    while not condition():
        ended = [child for child in children if os.waitpid(child, os.WNOHANG)[0]]
        if ended or time.monotonic() > deadline:
            raise AssertionError(f"not yet; children that have ended: {ended}")
        time.sleep(0.01)


class Curves(keras_tuner.HyperModel):
    """Has the validation losses of `curves`, a list for each training, without one.

    None is an epoch without validation, and an error in the list is raised.
    """

    def __init__(self, *curves):
        super().__init__()
        self.curves = list(curves)

    def build(self, hp):
        hp.Float("a", 0, 1)
        return keras.Sequential()

    def fit(self, hp, model, *args, callbacks, **kwargs):
        result = keras.callbacks.History()
        result.history = {"loss": [], "val_loss": []}
        for callback in callbacks:
            callback.set_model(model)
        for epoch, loss in enumerate(self.curves.pop(0)):
            if isinstance(loss, Exception):
                raise loss
            logs = {"loss": 9.0} if loss is None else {"loss": 9.0, "val_loss": loss}
            for name, value in logs.items():
                result.history[name].append(value)
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs)
            if getattr(model, "stop_training", False):
                break
        return result


class Sleeping(tuners.RandomSearch):
    """Sleeps for each trial."""

    def run_trial(self, trial, *args, **kwargs):
        time.sleep(0.05)
        return hill(trial.hyperparameters)


class Meeting(tuners.RandomSearch):
    """Waits in each trial until two processes have begun one, a minute at most."""

    company = 2

    def run_trial(self, trial, *args, **kwargs):
        met = pathlib.Path(self.directory, "met")
        met.mkdir(exist_ok=True)
        (met / str(os.getpid())).touch()
        deadline = time.monotonic() + 60
        while len(list(met.iterdir())) < self.company and time.monotonic() < deadline:
            time.sleep(0.02)
        return hill(trial.hyperparameters)


class MeetingOfFour(Meeting):
    """Waits for four."""

    company = 4


class OneKilled(tuners.RandomSearch):
    """Kills the process that begins the fifth trial, when it begins it first."""

    def run_trial(self, trial, *args, **kwargs):
        value = hill(trial.hyperparameters)
        begun = pathlib.Path(self.directory, "begun")
        if trial.trial_id == "0004" and not begun.exists():
            begun.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return value


class Lingering(tuners.RandomSearch):
    """Leaves a thread behind that its process waits for."""

    def run_trial(self, trial, *args, **kwargs):
        threading.Thread(target=time.sleep, args=(600,)).start()
        return hill(trial.hyperparameters)


class Troubled(tuners.RandomSearch):
    """Does to its process what `trouble` says."""

    def run_trial(self, trial, *args, **kwargs):
        trouble = trial.hyperparameters.Choice("trouble", ["none", "kill", "hang"])
        if trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "hang":
            time.sleep(600)
        return float(os.getpid())


class Ending(tuners.RandomSearch):
    """Ends its process, or the search with a long message; counts its trainings."""

    def run_trial(self, trial, *args, **kwargs):
        with open(pathlib.Path(self.directory, "begun"), "a") as file:
            file.write("x")
        if trial.hyperparameters.Choice("how", ["exit", "long"]) == "exit":
            sys.exit(3)
        raise FatalValueError("long " * 40_000)


optuna.logging.set_verbosity(optuna.logging.WARNING)
