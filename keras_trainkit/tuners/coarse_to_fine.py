import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import optuna

from keras_trainkit._checks import check_count, check_number
from keras_trainkit.tuners._coarse_sampler import CoarseSampler
from keras_trainkit.tuners._study_tuner import StudyTuner


class CoarseToFine(StudyTuner):
    """Searches at random, first everywhere, then ever closer around the best.

    The trials are cut into equal rounds. After each, every range is narrowed to
    `shrink` of its width around the best value of all trials so far (in the logarithm
    where the range is logarithmic), and of a choice the best `shrink` of the values
    stay. Where the best lies in the outer tenth of its window, better values may lie
    behind it: that range is widened again, by the same factor.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: Int >= 1. Trials of all rounds.
        rounds: Int >= 1. Rounds; 1 is a random search.
        shrink: Float in (0, 1). Width of a round's ranges as a share of those before.

    All other arguments are those of `RandomSearch`.

    With workers, a round may begin before the last trials of the one before are done.

    Source: Goodfellow et al., 2016, Deep Learning, section 11.4, there by hand.
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_trials: int = 30,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        rounds: int = 3,
        shrink: float = 0.5,
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
        check_count("rounds", rounds, "is the number of rounds")
        check_number(
            "shrink", shrink, "is the width left after a round", above=0, below=1
        )
        check_count("max_trials", max_trials, "is the number of trials of all rounds")
        self.rounds = rounds
        self.shrink = shrink
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

    def _make_sampler(self, seed) -> optuna.samplers.BaseSampler:
        starts = [-(-r * self.max_trials // self.rounds) for r in range(self.rounds)]
        direction = self.oracle.objective.direction
        return CoarseSampler(self._store, starts, self.shrink, direction, seed)
