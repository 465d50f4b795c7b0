"""Checks of the arguments that every tuner takes."""

import os
import warnings

from keras_trainkit._checks import check_count, check_flag, check_number, check_seed
from keras_trainkit.tuners._files import check_project_name


def check_arguments(tuner, seed, project_name):
    """Raises before anything is written."""
    check_seed("seed", seed)
    check_project_name(project_name)
    if tuner.max_trials is not None:
        check_count("max_trials", tuner.max_trials, "is the number of configurations")
    check_count(
        "executions_per_trial",
        tuner.executions_per_trial,
        "is the number of trainings of one configuration",
    )
    check_count("folds", tuner.folds, "is the number of folds, 1 for none,")
    check_flag("isolate", tuner.isolate, "decides whether trials get their own process")
    check_flag(
        "allow_repeats",
        tuner.allow_repeats,
        "decides whether a configuration may be tried again",
    )
    _check_adequate(tuner)
    _check_timeout(tuner)
    _check_chief()


def refuse_given(name, value, why):
    """Refuses an argument of KerasTuner that makes no sense here."""
    if value is not None:
        raise ValueError(f"`{name}` {why}. Received: {name}={value!r}.")


def refuse_kerastuners(logger, tuner_id):
    """Refuses what the constructors of KerasTuner take beside these arguments."""
    refuse_given(
        *("logger", logger),
        "logs trials, which are in `study` here, for Optuna's dashboard too; give "
        "`search` a callback such as keras.callbacks.TensorBoard for the epochs",
    )
    refuse_given(
        *("tuner_id", tuner_id),
        "names a worker of KerasTuner's chief; use `workers` of `search`, or the same "
        "`storage` on each machine",
    )


def warn_of_penalties(objective, hypermodel):
    """Warns where the loss holds what is searched, as the hypermodel says."""
    fair = getattr(hypermodel, "objective", None)
    if objective.name == "val_loss" and getattr(fair, "name", "val_loss") != "val_loss":
        warnings.warn(
            "`objective='val_loss'` holds penalties that differ from trial to trial, "
            "so small ones win whatever they do. Take objective=hypermodel.objective.",
            stacklevel=4,
        )


def _check_adequate(tuner):
    improvement, patience = tuner.min_improvement, tuner.patience
    if patience is not None:
        check_count("patience", patience, "is the number of trials to wait")
    if improvement is None:
        return
    check_number(
        "min_improvement",
        improvement,
        "is the least improvement of the objective that counts",
        at_least=0,
    )
    if patience is None:
        raise ValueError(
            "`patience` is the number of trials that may bring no more than "
            "`min_improvement` and must be given with it. Received: patience=None, "
            f"min_improvement={improvement}."
        )


def _check_timeout(tuner):
    if tuner.trial_timeout is None:
        return
    check_number(
        "trial_timeout",
        tuner.trial_timeout,
        "is the number of seconds that a trial may take",
        above=0,
    )
    if not tuner.isolate:
        raise ValueError(
            "`trial_timeout` ends the process of a trial, so it needs `isolate=True`. "
            f"Received: trial_timeout={tuner.trial_timeout}, isolate=False."
        )


def _check_chief():
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise ValueError(
            "Machines share a search through `storage`, the URL of a database, not "
            "through KerasTuner's chief: start the same script on each. Received: "
            f"KERASTUNER_ORACLE_IP={os.environ['KERASTUNER_ORACLE_IP']!r}."
        )
