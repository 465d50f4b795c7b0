"""Search around the recipe of an estimator, as its `fit` begins or resumes it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_trainkit._types import Model
from keras_trainkit.estimators._automl import Found, search
from keras_trainkit.estimators._estimator import Data, Recipe
from keras_trainkit.estimators._kernel_part import KernelMachines, with_machines
from keras_trainkit.estimators._leaderboard import with_kernel_row
from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._scoring import (
    check_classes,
    predictions_of,
    scoring_for,
)
from keras_trainkit.estimators._search_folder import (
    FORMAT,
    check_directory,
    described_arguments,
    described_data,
)
from keras_trainkit.estimators._targets import read_weights
from keras_trainkit.estimators._time_limit import Clock
from keras_trainkit.estimators._training import Goal, Trained
from keras_trainkit.estimators._trial_tuner import Job


def search_around(
    recipe: Recipe,
    build: Callable[[dict[str, Any]], Model],
    parts: Sequence[Part],
    goal: Goal,
    seed: int,
    data: Data,
    estimator: Any,
    machines: KernelMachines | None,
    share: dict[str, Any],
) -> tuple[Trained, Recipe]:
    """The ensemble of the best trials, and the recipe by which it came about.

    Args:
        recipe: Dict of name to `choice`, the first trial.
        build: Function of the values of a recipe: a new model, not compiled.
        parts: As in `train`.
        goal: As in `train`.
        seed: Int. Of the first trial.
        data: `Data`, by which a search that goes on is known.
        estimator: Estimator with the arguments of a search: `trials`, `time_limit`,
            `scoring`, `directory`, `folds`, `verbose`.
        machines: As in `with_machines`, and so is `share`.
    """
    y = np.concatenate([part.validation.y for part in parts])
    scoring = scoring_for(estimator.scoring, goal.task, y[0].size)
    _check_folds_of_classes(estimator.folds, y, goal.classes)
    check_classes(scoring, y)
    weights = read_weights(data.sample_weight, data.source.rows)
    if weights is not None:
        weights = weights[data.validated]
    quiet = dataclasses.replace(goal, verbose=2 if estimator.verbose == 2 else 0)
    description = {
        "format": FORMAT,
        "estimator": type(estimator).__name__,
        "seed": seed,
        "scoring": scoring.name,
        **described_data(data),
        "arguments": described_arguments(estimator.get_params(deep=False)),
    }
    job = Job(recipe, build, parts, quiet, seed, scoring, weights)
    found = search(
        job,
        Clock(estimator.time_limit, data.began),
        estimator.trials,
        check_directory(estimator.directory),
        description,
        estimator.verbose,
    )
    return _beside_machines(found, job, machines, share)


def _beside_machines(
    found: Found, job: Job, machines: KernelMachines | None, share: dict[str, Any]
) -> tuple[Trained, Recipe]:
    """The ensemble with the kernel machines in it, where there are any."""
    values = {name: found.recipe[name]["value"] for name in job.recipe}
    trained, share = with_machines(
        found.trained, machines, share, job.parts, job.goal, values
    )
    recipe = {**found.recipe, "kernel_weight": share}
    if machines is None:
        return trained, recipe
    own, both = (
        job.score(predictions_of(outputs, job.goal.task))
        for outputs in (machines.outputs, trained.outputs)
    )
    weight = share["value"]
    return trained, recipe | with_kernel_row(
        recipe, weight, (own, both), machines.seconds
    )


def _check_folds_of_classes(
    folds: int | None, y: np.ndarray, classes: list | None
) -> None:
    """Refuses given folds in some of which a class cannot be."""
    if folds is None or classes is None:
        return
    counts = np.bincount(y, minlength=len(classes))
    few = {classes[n]: int(counts[n]) for n in np.flatnonzero(counts < folds)}
    if few:
        raise ValueError(
            "`folds` is the number of networks, each of which is judged by another "
            "part of the rows, and must be at most the number of rows of each class "
            f"in a search. Received: folds={folds}, and rows of classes {few}."
        )
