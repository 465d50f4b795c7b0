import importlib.util
import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import optuna

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._warnings import warn_user
from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._study_tuner import StudyTuner

_MAX_INITIAL_POINTS = 10


class BayesianOptimization(StudyTuner):
    """Tries configurations that a model of the earlier scores finds promising.

    | `surrogate` | model                               | where it looks next          |
    | ----------- | ----------------------------------- | ---------------------------- |
    | `"tpe"`     | densities of good and other values  | where their ratio is highest |
    | `"gp"`      | Gaussian process over all of them   | expected improvement         |

    Ranges are normalised, by their logarithm where they say so, and every dimension of
    the Gaussian process has its own length scale. Entries that only some trials have
    are drawn by themselves: by TPE as the others, beside `"gp"` at random.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: See `RandomSearch`.
        surrogate: `"tpe"` or `"gp"`. The latter needs torch.
        num_initial_points: Int >= 1, trials at random before the model is asked. None:
            a third of `max_trials`, 10 at most.
        alpha: Float or None. Noise of KerasTuner's Gaussian process. Changes nothing
            here, where the noise is estimated, and a warning says so.
        beta: Float or None. Its trade-off between exploring and exploiting. Changes
            nothing here, where expected improvement needs none; likewise.

    All other arguments are those of `RandomSearch`.

    Raises:
        ImportError: For `"gp"` without torch; names the extra to install.

    Source: Bergstra et al., 2011 (TPE), Snoek et al., 2012, arXiv:1206.2944 (Gaussian
    process), both Optuna's. KerasTuner's takes 3 trials per dimension at random and
    one length scale for all dimensions.
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        surrogate: str = "tpe",
        directory: str | os.PathLike = ".",
        project_name: str = "search",
        storage: str | None = None,
        executions_per_trial: int = 1,
        folds: int = 1,
        min_improvement: float | None = None,
        patience: int | None = None,
        isolate: bool = False,
        trial_timeout: float | None = None,
        allow_repeats: bool = False,
        overwrite: bool = False,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        loss: keras.losses.Loss | str | None = None,
        metrics: list | None = None,
        max_model_size: int | None = None,
        distribution_strategy: Any = None,
        logger: Any = None,
        tuner_id: str | None = None,
    ):
        check_choice(
            "surrogate", surrogate, "is the model of the scores", ("tpe", "gp")
        )
        _warn_of_unused(alpha, beta)
        if num_initial_points is not None:
            check_count(
                "num_initial_points",
                num_initial_points,
                "is the number of trials at random",
            )
        if surrogate == "gp":
            _check_torch()
        self.surrogate = surrogate
        self.num_initial_points = num_initial_points
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
            allow_repeats=allow_repeats,
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
        first = self.num_initial_points
        if first is None:
            trials = self.max_trials or 3 * _MAX_INITIAL_POINTS
            first = max(1, min(_MAX_INITIAL_POINTS, trials // 3))
        if self.surrogate == "tpe":
            return optuna.samplers.TPESampler(n_startup_trials=first, seed=seed)
        return optuna.samplers.GPSampler(
            n_startup_trials=first, seed=seed, warn_independent_sampling=False
        )


def _warn_of_unused(alpha: float | None, beta: float | None) -> None:
    for name, value in (("alpha", alpha), ("beta", beta)):
        if value is not None:
            warn_user(
                f"`{name}` sets KerasTuner's own Gaussian process and changes nothing "
                f"here; `surrogate` chooses the model. Received: {name}={value!r}.",
            )


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise ImportError(
            "`surrogate='gp'` needs torch: pip install keras-trainkit[gp]. "
            "The default, 'tpe', needs nothing."
        )
