"""Checks of the arguments that every tuner takes."""

import os
import warnings
from typing import Any

import keras_tuner

from keras_trainkit._checks import check_count, check_flag, check_number, check_seed
from keras_trainkit.tuners._files import check_project_name


def check_arguments(
    *,
    seed: Any,
    project_name: Any,
    max_trials: Any,
    max_retries_per_trial: Any,
    max_consecutive_failed_trials: Any,
    executions_per_trial: Any,
    folds: Any,
    min_improvement: Any,
    patience: Any,
    isolate: Any,
    trial_timeout: Any,
    allow_repeats: Any,
) -> None:
    """Raises before anything is written."""
    check_seed("seed", seed)
    check_project_name(project_name)
    if max_trials is not None:
        check_count("max_trials", max_trials, "is the number of configurations")
    check_count(
        "max_retries_per_trial",
        max_retries_per_trial,
        "is how often a trial that failed is tried again",
        at_least=0,
    )
    check_count(
        "max_consecutive_failed_trials",
        max_consecutive_failed_trials,
        "is the number of failed trials in a row that ends the search",
    )
    check_count(
        "executions_per_trial",
        executions_per_trial,
        "is the number of trainings of one configuration",
    )
    check_count("folds", folds, "is the number of folds, 1 for none,")
    check_flag("isolate", isolate, "decides whether trials get their own process")
    check_flag(
        "allow_repeats",
        allow_repeats,
        "decides whether a configuration may be tried again",
    )
    _check_stop_criterion(min_improvement, patience)
    _check_timeout(trial_timeout, isolate)
    _check_no_chief()


def check_hypermodel(hypermodel: Any, *, is_needed: bool) -> None:
    """Refuses None where `run_trial` is not the tuner's own."""
    if hypermodel is None and is_needed:
        raise ValueError(
            "`hypermodel` is the space to be searched and must be a HyperModel or "
            "a function, but in a subclass with its own `run_trial`. "
            "Received: hypermodel=None."
        )


def check_no_keras_tuner_arguments(logger: Any, tuner_id: Any) -> None:
    """Refuses arguments of KerasTuner that make no sense here, and says what does."""
    if logger is not None:
        raise ValueError(
            "`logger` logs trials, which are in `study` here, for Optuna's dashboard "
            "too; give `search` a callback such as keras.callbacks.TensorBoard for the "
            f"epochs. Received: logger={logger!r}."
        )
    if tuner_id is not None:
        raise ValueError(
            "`tuner_id` names a worker of KerasTuner's chief; use `workers` of "
            "`search`, or the same `storage` on each machine. "
            f"Received: tuner_id={tuner_id!r}."
        )


def warn_if_loss_includes_penalties(
    objective: keras_tuner.Objective, hypermodel: Any
) -> None:
    """Warns where the loss holds what is searched, as the hypermodel says."""
    fair = getattr(hypermodel, "objective", None)
    if objective.name == "val_loss" and getattr(fair, "name", "val_loss") != "val_loss":
        warnings.warn(
            "`objective='val_loss'` holds penalties that differ from trial to trial, "
            "so small ones win whatever they do. Take objective=hypermodel.objective.",
            stacklevel=4,
        )


def _check_stop_criterion(min_improvement: Any, patience: Any) -> None:
    if patience is not None:
        check_count("patience", patience, "is the number of trials to wait")
    if min_improvement is None:
        return
    check_number(
        "min_improvement",
        min_improvement,
        "is the least improvement of the objective that counts",
        at_least=0,
    )
    if patience is None:
        raise ValueError(
            "`patience` is the number of trials that may bring no more than "
            "`min_improvement` and must be given with it. Received: patience=None, "
            f"min_improvement={min_improvement}."
        )


def _check_timeout(trial_timeout: Any, isolate: bool) -> None:
    if trial_timeout is None:
        return
    check_number(
        "trial_timeout",
        trial_timeout,
        "is the number of seconds that a trial may take",
        above=0,
    )
    if not isolate:
        raise ValueError(
            "`trial_timeout` ends the process of a trial, so it needs `isolate=True`. "
            f"Received: trial_timeout={trial_timeout}, isolate=False."
        )


def _check_no_chief() -> None:
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise ValueError(
            "Machines share a search through `storage`, the URL of a database, not "
            "through KerasTuner's chief: start the same script on each. Received: "
            f"KERASTUNER_ORACLE_IP={os.environ['KERASTUNER_ORACLE_IP']!r}."
        )
