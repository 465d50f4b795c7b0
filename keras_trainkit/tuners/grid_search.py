import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import optuna
from optuna.trial import FrozenTrial

from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._hyperparameters import as_listed_parameter
from keras_trainkit.tuners._sampler import IndependentSampler
from keras_trainkit.tuners._study_tuner import StudyTuner


class GridSearch(StudyTuner):
    """Tries every combination: 3 learning rates and 3 batch sizes are 9 trials.

    Defaults come first and the last entry changes fastest, as in
    `keras_tuner.GridSearch`. Of a range without a `step` ten values are taken, evenly
    (in the logarithm where the range is logarithmic). Entries that only some
    combinations have are listed where they exist, also where plain Python code decides
    that. A combination whose trial failed counts as tried; where it failed between two
    entries, those behind it are tried at the end, unless it fails there three times.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: Int >= 1, or None for all combinations.

    All other arguments are those of `RandomSearch` but `allow_repeats`; `seed` is for
    the trainings.

    Source: `keras_tuner.GridSearch` 1.4.8, which cannot continue after a kill.
    """

    _as_parameter = staticmethod(as_listed_parameter)

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        directory: str | os.PathLike = ".",
        project_name: str = "search",
        storage: str | None = None,
        executions_per_trial: int = 1,
        folds: int = 1,
        min_improvement: float | None = None,
        patience: int | None = None,
        isolate: bool = False,
        trial_timeout: float | None = None,
        overwrite: bool = False,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        loss: keras.losses.Loss | str | None = None,
        metrics: list | None = None,
        max_model_size: int | None = None,
        distribution_strategy: Any = None,
        logger: Any = None,
        tuner_id: str | None = None,
    ):
        super().__init__(
            hypermodel,
            objective,
            max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            directory=directory,
            project_name=project_name,
            storage=storage,
            executions_per_trial=executions_per_trial,
            folds=folds,
            min_improvement=min_improvement,
            patience=patience,
            isolate=isolate,
            trial_timeout=trial_timeout,
            overwrite=overwrite,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            max_model_size=max_model_size,
            distribution_strategy=distribution_strategy,
            logger=logger,
            tuner_id=tuner_id,
        )

    def _make_sampler(
        self, seed: int, configuration: PartialConfiguration
    ) -> optuna.samplers.BaseSampler:
        return _GridSampler(configuration)


class _GridSampler(IndependentSampler):
    """Takes the first value that leads to something new."""

    def __init__(self, configuration: PartialConfiguration):
        self._configuration = configuration

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: Any,
    ) -> Any:
        value = self._configuration.first_open(param_name, param_distribution)
        return param_distribution.choices[0] if value is None else value
