import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import optuna

from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._study_tuner import StudyTuner


class RandomSearch(StudyTuner):
    """Tries configurations at random; logarithmic ranges by their logarithm.

    Stands in for `keras_tuner.RandomSearch`. The search is a study of Optuna in a
    database and nothing else: killed at any moment and started again, it continues
    with the trial that was lost, and ends as if nothing had happened. A trial whose
    objective is NaN or infinite, that raises, or whose process dies is recorded with
    the reason, and the search continues.

    Args:
        hypermodel: `keras_tuner.HyperModel` or function of `hp` that returns a compiled
            model. A hypermodel with a method `prepare(x, y)` has it called with the
            training rows before it is built, in every fold anew. May be None in a
            subclass with its own `run_trial`.
        objective: String, a key of the logs or a metric, `keras_tuner.Objective`, a
            list of both (summed, as in KerasTuner), or None if `fit` returns a number
            to be minimized.
        max_trials: Int >= 1 or None for all. Configurations to try, those from earlier
            runs included. Each is tried once, failed ones too: a search whose space
            holds fewer ends when nothing is left.
        seed: Int >= 0 or None for one drawn at random and kept with the study. Every
            trial has its own seeds, from this, its index and its execution, so the
            same seed gives the same trials and, on a CPU, the same scores.
        hyperparameters: `keras_tuner.HyperParameters` or None. Definitions that go
            before those of the hypermodel.
        tune_new_entries: Bool. Whether entries that `hyperparameters` lacks are tuned;
            else they take their default.
        allow_new_entries: Bool. Whether there may be such entries.
        max_retries_per_trial: Int >= 0. How often a trial that failed is tried again,
            with new seeds.
        max_consecutive_failed_trials: Int >= 1. Failed trials in a row that end the
            search with an error.
        directory: String or path. Where the folder of the search is.
        project_name: String. Name of that folder and of the study.
        storage: String, URL of a database (`"postgresql+psycopg://..."`) that several
            machines share. None: a SQLite file in the folder, for one machine.
        executions_per_trial: Int >= 1. Trainings of each configuration; the score is
            their mean.
        folds: Int >= 1. Above 1, the arrays `x` and `y` of `search` are cut into so
            many folds, the score is the mean over them, and a trial that Wilcoxon's
            test finds worse than the best after some folds is stopped.
        min_improvement: Float >= 0 or None. With `patience`: what a trial must improve
            the objective by to count.
        patience: Int >= 1 or None. The search ends when so many trials in a row have
            brought no more than `min_improvement`.
        isolate: Bool. Run each trial in a process of its own, which gives its memory
            back and may crash alone. Hypermodel and data must then be picklable, and
            a script needs `if __name__ == "__main__":`.
        trial_timeout: Float > 0 or None. Seconds after which a trial fails. Needs
            `isolate`.
        allow_repeats: Bool. Whether a configuration may be tried again, until
            `max_trials` are done. (`executions_per_trial` trains each several times.)
        overwrite: Bool. Delete the search that is in the folder first: what the kit
            wrote, nothing else. Not for a script that joins a search or continues it.
        optimizer: Optimizer or name that replaces the model's. None keeps it.
        loss: Likewise.
        metrics: Likewise.
        max_model_size: Int or None. Models with more parameters fail.
        distribution_strategy: `tf.distribute.Strategy` or None.
        logger: Not taken; the error says what to use.
        tuner_id: Not taken, likewise.

    Attributes:
        study: `optuna.Study`, for Optuna's pictures, dashboard and analysis. The
            objective of every epoch is there as an intermediate value, of the first
            execution (about 3 ms an epoch in a SQLite file); with `folds` that of
            every fold.

    Raises:
        ValueError: A folder or study of another search, or one with foreign files.

    Example:

    ```python
    tuner = keras_trainkit.tuners.RandomSearch(build_model, max_trials=20, seed=0)
    tuner.enqueue({"learning_rate": 0.001})
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=10)
    model = tuner.get_best_models()[0]
    ```

    Source: `keras_tuner.RandomSearch` 1.4.8. There the files of a search may be torn
    by a kill, -inf wins, trials are not seeded and a seed of 0 means none.
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_trials: int | None = 10,
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
        return optuna.samplers.RandomSampler(seed)
