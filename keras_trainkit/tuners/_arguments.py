"""Checks of the arguments that every tuner takes."""

import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_trainkit._checks import check_count, check_flag, check_number
from keras_trainkit._warnings import warn_user
from keras_trainkit.tuners._data_description import plain
from keras_trainkit.tuners._search import Tuner

MADE_TO_FIT = ("accuracy", "acc", "crossentropy", "ce")  # of which `compile` makes one


def check_no_keras_tuner_arguments(logger: Any, tuner_id: Any) -> None:
    """Refuses what KerasTuner has and makes no sense here, and says what does."""
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
    _check_no_chief()


def _check_no_chief() -> None:
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise ValueError(
            "Machines share a search through `storage`, the URL of a database, not "
            "through KerasTuner's chief: start the same script on each. Received: "
            f"KERASTUNER_ORACLE_IP={os.environ['KERASTUNER_ORACLE_IP']!r}."
        )


def check_settings(tuner: Tuner) -> None:
    """Refuses settings that no search can have."""
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
    _check_stop_criterion(tuner.min_improvement, tuner.patience)
    _check_timeout(tuner.trial_timeout, tuner.isolate)


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


def check_hypermodel(hypermodel: Any, *, is_needed: bool) -> None:
    """Refuses what builds no models, and None where it is needed."""
    if hypermodel is None and not is_needed:
        return
    is_class = isinstance(hypermodel, type)
    builds = isinstance(hypermodel, keras_tuner.HyperModel) or callable(hypermodel)
    if is_class and issubclass(hypermodel, keras_tuner.HyperModel):
        allowed, builds = ", called with its arguments if it is a class,", False
    elif isinstance(hypermodel, keras.Layer):
        allowed, builds = " that builds a new model for every trial", False
    else:
        allowed = ", but in a subclass with its own `run_trial`"
    if not builds:
        raise ValueError(
            "`hypermodel` is the space to be searched and must be a HyperModel or a "
            f"function `build(hp)`{allowed}. Received: hypermodel={hypermodel!r}."
        )


def check_compile_arguments(
    optimizer: Any, loss: Any, metrics: Any, max_model_size: Any
) -> None:
    """Checks what replaces a model's own, before every trial fails with it."""
    known = {
        "optimizer": (optimizer, keras.optimizers.get, "an optimizer"),
        "loss": (loss, keras.losses.get, "a loss"),
    }
    for name, (value, get, kind) in known.items():
        if value is not None and (isinstance(value, type) or not is_known(value, get)):
            raise ValueError(
                f"`{name}` replaces that of every model and must be {kind} of Keras, "
                f"its name, or None. Received: {name}={value!r}."
            )
    if metrics is not None and not isinstance(metrics, list | tuple | dict):
        raise ValueError(
            "`metrics` replace those of every model and must be a list of metrics, or "
            f"of their names, or None. Received: metrics={metrics!r}."
        )
    for metric in keras.tree.flatten(metrics):
        if metric not in MADE_TO_FIT and not is_known(metric, keras.metrics.get):
            raise ValueError(
                "`metrics` replace those of every model and must be metrics of Keras, "
                f"or their names. Received: {metric!r} among them."
            )
    if max_model_size is not None:
        purpose = "is the number of parameters that a model may have"
        check_count("max_model_size", max_model_size, purpose)


def checked_configuration(values: Any) -> dict[Any, Any]:
    """The values that `enqueue` queues, as plain ones."""
    if not isinstance(values, dict) or not values:
        raise ValueError(
            "`values` is a configuration to be tried and must be a dict from names "
            f"of hyperparameters to values. Received: values={values!r}."
        )
    return plain(values)


def is_known(value: Any, get: Callable[[Any], Any]) -> bool:
    """False for a name that Keras does not know."""
    if not isinstance(value, str):
        return True
    try:
        get(value)
    except ValueError:
        return False
    return True


def warn_if_loss_includes_penalties(
    objective: keras_tuner.Objective, hypermodel: Any
) -> None:
    """Warns where the loss holds what is searched, as the hypermodel says."""
    fair = getattr(hypermodel, "objective", None)
    if objective.name == "val_loss" and getattr(fair, "name", "val_loss") != "val_loss":
        warn_user(
            "`objective='val_loss'` holds penalties that differ from trial to trial, "
            "so small ones win whatever they do. Take objective=hypermodel.objective.",
        )
