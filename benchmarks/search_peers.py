"""Searches over one space, ours and others', each as trials with their seconds."""

import dataclasses
import datetime
import functools
import time

import keras_tuner
import numpy as np
import optuna

from keras_trainkit import hypermodels, tuners
from keras_trainkit.callbacks import OneCycle

# Trainings diverge at some rates of the space; no search is to end by that.
FAILURES = {"max_consecutive_failed_trials": 1000}
SPACE = {"layers": (1, 2), "units": [32, 64, 128], "learning_rate": (1e-4, 1e-1)}


class ByHand(hypermodels.HyperMLP):
    """The same space with a `fit` like that of KerasTuner's guides."""

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        callbacks = [*callbacks]
        if hp.get("schedule") == "one_cycle":
            momentum = {}
            if hp.get("optimizer") == "sgdw":
                highest = hp.get("momentum")
                momentum = {"max_momentum": highest, "min_momentum": highest - 0.1}
            callbacks.append(OneCycle(hp.get("learning_rate"), **momentum))
        return model.fit(
            *args, batch_size=hp.get("batch_size"), callbacks=callbacks, **kwargs
        )


@dataclasses.dataclass(frozen=True)
class Task:
    """Rows, and what is searched on them."""

    parts: tuple
    outputs: int
    task: str
    objective: str
    direction: str
    epochs: int = 9

    def hypermodel(self, steps_per_execution=1, make=hypermodels.HyperMLP):
        """The space, the same for everyone."""
        return make(
            (self.parts[0].shape[1],),
            self.outputs,
            self.task,
            space=SPACE,
            steps_per_execution=steps_per_execution,
        )

    def goal(self):
        """The objective that trials are compared by."""
        return keras_tuner.Objective(self.objective, self.direction)

    def rows(self):
        """Arguments of `fit`."""
        x, y, *validation = self.parts
        return {"x": x, "y": y, "validation_data": tuple(validation), "verbose": 0}


@dataclasses.dataclass
class Run:
    """A finished search: for each trial its end in seconds and its score or None."""

    seconds: float
    trials: list[tuple[float, float | None]]
    epochs: int


def digits():
    """1,200 rows of scikit-learn's digits, 597 for validation."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    parts = (x[:1200], y[:1200], x[1200:], y[1200:])
    return Task(parts, 10, "classification", "val_accuracy", "max")


def california(load, rows=None):
    """Rows of California housing, half as many at most for validation, standardized."""
    frame, y, _, train, validation, _ = load.table("california")
    if rows is not None:
        train, validation = train[:rows], validation[: rows // 2]
    x = frame.to_numpy("float64")
    x = np.clip((x - x[train].mean(0)) / x[train].std(0), -5, 5).astype("float32")
    y = ((y - y[train].mean()) / y[train].std()).astype("float32")[:, None]
    parts = (x[train], y[train], x[validation], y[validation])
    return Task(parts, 1, "regression", "val_loss", "min")


def ours(
    make, task, trials, seed, folder, *, workers=1, steps_per_execution=1, callbacks=()
):
    """A search by one of the kit's tuners."""
    tuner = make(
        task.hypermodel(steps_per_execution),
        task.goal(),
        **({} if trials is None else {"max_trials": trials}),
        seed=seed,
        directory=folder,
        **FAILURES,
    )
    began, clock = datetime.datetime.now(), time.perf_counter()
    tuner.search(
        **task.rows(), epochs=task.epochs, callbacks=[*callbacks], workers=workers
    )
    seconds = time.perf_counter() - clock
    return Run(
        seconds, finished(tuner.study, began), int(tuner.trials_frame()["epochs"].sum())
    )


def finished(study, began):
    """The trials of a study; one that was stopped or failed has no score."""
    complete = optuna.trial.TrialState.COMPLETE
    return [
        (
            (trial.datetime_complete - began).total_seconds(),
            trial.value if trial.state == complete else None,
        )
        for trial in study.trials
        if trial.state.is_finished()
    ]


def kerastuner(
    make, task, trials, seed, folder, *, callbacks=(), hypermodel=ByHand, **options
):
    """A search by one of KerasTuner's."""
    ended, epochs = [], []

    class Timed(make):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            score = self.oracle.get_trial(trial.trial_id).score
            ended.append((time.perf_counter() - clock, score))

        def on_epoch_end(self, *args, **kwargs):
            super().on_epoch_end(*args, **kwargs)
            epochs.append(1)

    if not issubclass(make, keras_tuner.Hyperband):  # counts trials in its own way
        options["max_trials"] = trials
    tuner = Timed(
        task.hypermodel(make=hypermodel),
        task.goal(),
        seed=seed,
        directory=str(folder),
        **FAILURES,
        **options,
    )
    clock = time.perf_counter()
    tuner.search(**task.rows(), epochs=task.epochs, callbacks=[*callbacks])
    return Run(time.perf_counter() - clock, ended, len(epochs))


def plain_optuna(task, trials, seed, folder):
    """A script with Optuna alone: one loop, one SQLite file, TPE."""
    import keras

    hypermodel = task.hypermodel()

    def objective(trial):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed + trial.number)
        hp = keras_tuner.HyperParameters()
        hp.values = suggested(trial)
        model = hypermodel.build(hp)
        fit = hypermodel.fit(hp, model, **task.rows(), epochs=task.epochs)
        pick = max if task.direction == "max" else min
        return pick(fit.history[task.objective])

    study = optuna.create_study(
        storage=f"sqlite:///{folder}/study.db",
        direction="maximize" if task.direction == "max" else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    began, clock = datetime.datetime.now(), time.perf_counter()
    study.optimize(objective, n_trials=trials)  # NaN is a failed trial to it
    seconds = time.perf_counter() - clock
    return Run(seconds, finished(study, began), trials * task.epochs)


def suggested(trial):
    """The space of `HyperMLP` under SPACE, in Optuna's words."""
    values = {
        "layers": trial.suggest_int("layers", 1, 2),
        "units_0": trial.suggest_categorical("units_0", SPACE["units"]),
        "activation": trial.suggest_categorical(
            "activation", ["relu", "gelu", "silu", "mish", "tanh"]
        ),
        "normalization": trial.suggest_categorical(
            "normalization", ["none", "batch", "layer"]
        ),
        "residual": trial.suggest_categorical("residual", [False, True]),
        "dropout": trial.suggest_float("dropout", 0.2, 0.5),
        "optimizer": trial.suggest_categorical("optimizer", ["adamw", "sgdw"]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "schedule": trial.suggest_categorical("schedule", ["one_cycle", "constant"]),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
    }
    if values["layers"] == 2:
        values["units_1"] = trial.suggest_categorical("units_1", SPACE["units"])
    if values["optimizer"] == "sgdw":
        values["momentum"] = trial.suggest_float("momentum", 0.9, 0.99)
    return values


def searches(task):
    """Functions of `(trials, seed, folder)` by name; ours first."""
    partial = functools.partial
    bands = {"max_epochs": task.epochs, "factor": 3, "hyperband_iterations": 3}
    bayesian = tuners.BayesianOptimization
    makers = {
        "RandomSearch": tuners.RandomSearch,
        "BayesianOptimization, TPE": bayesian,
        "BayesianOptimization, GP": partial(bayesian, surrogate="gp"),
        "Hyperband": partial(tuners.Hyperband, **bands),
        "CoarseToFine": tuners.CoarseToFine,
    }
    found = {name: partial(ours, make, task) for name, make in makers.items()}
    for name in ("RandomSearch", "BayesianOptimization"):
        found[f"KerasTuner {name}"] = partial(
            kerastuner, getattr(keras_tuner, name), task
        )
    found["KerasTuner Hyperband"] = partial(
        kerastuner, keras_tuner.Hyperband, task, **bands
    )
    found["Optuna, TPE"] = partial(plain_optuna, task)
    return found
