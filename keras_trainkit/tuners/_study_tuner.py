"""Base class of the tuners: KerasTuner's interface over one study of Optuna."""

import os
from collections.abc import Callable
from typing import Any

import keras_tuner
import optuna
from keras_tuner.engine.trial import Trial

from keras_trainkit._checks import check_count
from keras_trainkit._types import Model
from keras_trainkit.tuners._arguments import (
    check_compile_arguments,
    check_hypermodel,
    check_no_keras_tuner_arguments,
    check_settings,
    checked_configuration,
    warn_if_loss_includes_penalties,
)
from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._files import search_folder, searching
from keras_trainkit.tuners._fit_checks import check_validation, checked_search_arguments
from keras_trainkit.tuners._hyperparameters import Parameter, as_parameter
from keras_trainkit.tuners._oracle import StudyOracle
from keras_trainkit.tuners._processes import end_if_script_is_imported, warm_up
from keras_trainkit.tuners._progress import Progress
from keras_trainkit.tuners._results import (
    find_record,
    print_failures,
    refit,
    robust_configurations,
    trials_frame,
)
from keras_trainkit.tuners._sampler import SeededSampler
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._search_loop import run_search
from keras_trainkit.tuners._space_exploration import SpaceExploration
from keras_trainkit.tuners._study_agreement import (
    agree_on_search,
    open_study,
    search_description,
)
from keras_trainkit.tuners._test_score import evaluate_best
from keras_trainkit.tuners._training import training_of
from keras_trainkit.tuners._trial_weights import kept_weights, load_weights


class StudyTuner(keras_tuner.Tuner):
    """A `keras_tuner.Tuner` that keeps nothing itself: the study is the only truth.

    Subclasses say how values are drawn (`_make_sampler`, `_as_parameter`), when a trial
    is stopped (`judge`) and what `fit` must be told (`fit_arguments`). Arguments: see
    `RandomSearch`.
    """

    _as_parameter: Callable[[Any], Parameter] = staticmethod(as_parameter)

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_trials: int | None = 10,
        *,
        seed: int | None = None,
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
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        optimizer: Any = None,
        loss: Any = None,
        metrics: list | None = None,
        max_model_size: int | None = None,
        distribution_strategy: Any = None,
        logger: Any = None,
        tuner_id: str | None = None,
    ):
        check_no_keras_tuner_arguments(logger, tuner_id)
        oracle = StudyOracle(
            hyperparameters,
            objective=objective,
            max_trials=max_trials,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        check_compile_arguments(optimizer, loss, metrics, max_model_size)
        check_hypermodel(hypermodel, is_needed=not self._has_own_run())
        self.max_trials = max_trials
        self.storage = storage
        self.executions_per_trial = executions_per_trial
        self.folds = folds
        self.min_improvement = min_improvement
        self.patience = patience
        self.isolate = isolate
        self.trial_timeout = trial_timeout
        self.allow_repeats = allow_repeats
        check_settings(self)
        self._folder = search_folder(directory, project_name)
        lists = self._as_parameter is not as_parameter
        description = search_description(self, oracle.objective, seed, lists=lists)
        self._search_study, self.seed = open_study(
            self._folder, storage, description, overwrite=overwrite
        )
        oracle.study = self._search_study
        replaced = None if self._has_own_run() else {"loss": loss, "metrics": metrics}
        self._exploration = SpaceExploration(self, self._build_all, replaced)
        self._last_search: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        super().__init__(
            oracle,
            hypermodel,
            max_model_size=max_model_size,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            distribution_strategy=distribution_strategy,
            directory=directory or ".",
            project_name=project_name,
            executions_per_trial=executions_per_trial,
        )
        warn_if_loss_includes_penalties(oracle.objective, hypermodel)
        self._sampler = SeededSampler(self._make_sampler, self.seed)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last_search": None}

    @property
    def study(self) -> optuna.Study:
        """The Optuna study that holds the search."""
        return self._search_study.optuna_study

    def search(self, *fit_args: Any, workers: int = 1, **fit_kwargs: Any) -> None:
        """Tries configurations until `max_trials` are done or nothing is left.

        Args:
            *fit_args: Passed on to `HyperModel.fit`, by default `Model.fit`: `x`, `y`,
                or a data set.
            workers: Int >= 1. Processes on this machine that share the search. The
                same script started on another machine with the same `storage` joins
                in by itself. A script needs `if __name__ == "__main__":`, for each
                process imports it first.
            **fit_kwargs: Passed on likewise: `validation_data`, `epochs`,
                `callbacks` (copied for every training) and others. `verbose=0` is
                silent, 2 adds a line per epoch to the progress line.

        Raises:
            ValueError: The study was begun with another space, other data, epochs,
                batch size, class weights or validation split, or an argument is
                wrong. Data are compared by shapes, columns and values, validation
                rows and sample weights too. Every value counts in up to 2 MB of each;
                of larger data evenly spaced rows do. Of `tf.data` and other sets that
                are read batch by batch, shapes and numbers of batches count.
            RuntimeError: No trial completed, or too many failed in a row; the message
                has the reason.
        """
        check_count("workers", workers, "is the number of processes")
        end_if_script_is_imported()
        with searching(self._folder):
            search = self._make_search(fit_args, fit_kwargs)
            self._check_search(search)
            if workers > 1 or self.isolate:
                warm_up()
            self._last_search = (search.args, dict(search.kwargs))
            agree_on_search(search, self._exploration.space)
            progress = self._make_progress(search.kwargs.get("verbose", "auto"))
            run_search(search, workers, progress)

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains one configuration; to be overridden as in KerasTuner.

        Returns:
            The result, or a list of results: of `HyperModel.fit` for every execution
            and fold, as numbers with their metrics.
        """
        return training_of(trial).run(args, self.fit_arguments(dict(kwargs)))

    def on_trial_end(self, trial: Trial) -> None:
        """Hook; the study holds the trial already."""

    def judge(self, index: int, epochs: int, best: float | None) -> bool:
        """Hook after each epoch of a trial's first training; False stops the trial.

        Args:
            index: Int. Index of the trial in the search.
            epochs: Int. Epochs done.
            best: Float. Best finite value of the objective so far, or None.
        """
        return True

    def is_over(self) -> bool:
        """Hook before each trial; True ends the search before `max_trials`."""
        return False

    def fit_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Hook: the keyword arguments of `fit`, made of those of `search`."""
        return kwargs

    def enqueue(self, values: dict) -> None:
        """Queues a configuration chosen by hand: it is tried before all others.

        It counts as one of `max_trials`. The same values are queued once only, so a
        script that is started again may say them again.

        Args:
            values: Dict from names of hyperparameters to values that their ranges
                hold. What is left out is drawn.
        """
        self._search_study.choose(checked_configuration(values))

    def search_space_summary(self, extended: bool = False) -> None:
        """Prints the hyperparameters; see KerasTuner."""
        if not self.oracle.get_space().space:
            self._exploration.explore_anew()
        super().search_space_summary(extended)

    def trials_frame(self) -> Any:
        """A pandas DataFrame with a row per trial.

        Columns: `state` (COMPLETE, PRUNED for stopped, FAIL), `score`, `spread` (the
        standard deviation over folds and executions), `best_epoch`, `epochs`,
        `seconds`, `attempts`, `reason`, and `hp:` with each hyperparameter's name.
        """
        return trials_frame(self.oracle.records())

    def histories(self, trial_id: str) -> list[dict[str, list[float]]]:
        """Every epoch's logs of a trial, a dict for each of its trainings.

        Folds come one after the other, within each its executions. Trials that were
        stopped or failed have what they came to.

        Args:
            trial_id: String, as in `trials_frame`.
        """
        return find_record(self.oracle.records(), trial_id).histories

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints the best trials, then how many were stopped or failed."""
        _check_number_of("num_trials", num_trials)
        super().results_summary(num_trials)
        print_failures(self.oracle.records())

    def get_best_models(self, num_models: int = 1) -> list[Model]:
        """Models of the best trials, at their best epochs, from the best on.

        Args:
            num_models: Int >= 0. How many, at most.
        """
        _check_number_of("num_models", num_models)
        return super().get_best_models(num_models)

    def get_best_hyperparameters(
        self, num_trials: int = 1, *, robust: bool = False
    ) -> list[keras_tuner.HyperParameters]:
        """Configurations from the best on.

        Args:
            num_trials: Int >= 0. How many, at most.
            robust: Bool. Rank by the mean score of the five nearest trials in place of
                a trial's own.
        """
        _check_number_of("num_trials", num_trials)
        if not robust:
            return super().get_best_hyperparameters(num_trials)
        return robust_configurations(self.oracle, num_trials)

    def load_model(self, trial: Trial) -> Model:
        """The model of a trial at its best epoch; see KerasTuner."""
        path = kept_weights(self._folder, trial.trial_id)
        model = self._try_build(trial.hyperparameters)
        if not model.built:
            record = find_record(self.oracle.records(), trial.trial_id)
            model.build_from_config(record.build_config)
        load_weights(model, path)
        return model

    def refit_best(self, *fit_args: Any, **fit_kwargs: Any) -> Model:
        """Trains the best trial again, with its own seed, and returns the model.

        With the data of the search the model, at its best epoch, has the score that is
        recorded (of the best execution; to the last bit on a CPU). After a search with
        `folds` it is trained on all rows given: leave out callbacks that watch
        validation rows.

        Args:
            *fit_args: As for `search`; those of the last `search` if left out.
            **fit_kwargs: Likewise.
        """
        if not fit_args and not fit_kwargs:
            if self._last_search is None:
                raise ValueError(
                    "`refit_best` trains on the data of the last `search` of this "
                    "object, or on what it is given. Received: neither."
                )
            fit_args, fit_kwargs = self._last_search
        return refit(self._make_search(fit_args, fit_kwargs), self.oracle.records())

    def evaluate_best(
        self, x: Any, y: Any = None, *, model: Model | None = None, **kwargs: Any
    ) -> dict[str, float]:
        """Evaluates the best model on test rows, which the search must not have seen.

        The best of many trials is good on the validation rows partly by chance. Where
        its score there is better than here by more than its spread, a warning says so.
        The spread is that of the trial's executions and folds; of a trial with one
        training, two standard errors of the score here, from ten parts of the rows
        (20 at least; for a data set and for fewer rows there is no warning).

        Args:
            x: As in `Model.evaluate`; taken through `hypermodel.encode` if there is
                such a method.
            y: Likewise.
            model: `keras.Model` to evaluate in place of the one that the search kept;
                needed after a search with `folds`, from `refit_best`.
            **kwargs: Passed on to `Model.evaluate`.

        Returns:
            Dict of metrics.
        """
        data = (x, y, kwargs.pop("sample_weight", None))
        return evaluate_best(self, model, data, kwargs)

    def save(self) -> None:
        """Does nothing: the study is stored as it grows."""

    def reload(self) -> None:
        """Does nothing: the study is read when it is asked."""

    def _make_sampler(
        self, seed: int, configuration: PartialConfiguration
    ) -> optuna.samplers.BaseSampler:
        """The sampler for one draw; what the trial has drawn before may be used."""
        raise NotImplementedError

    def _has_own_run(self) -> bool:
        return type(self).run_trial is not StudyTuner.run_trial

    def _make_search(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Search:
        if not self._has_own_run():
            kwargs = checked_search_arguments(self, args, kwargs)
        return Search(
            tuner=self,
            study=self._search_study,
            sampler=self._sampler,
            as_parameter=self._as_parameter,
            build=self._try_build,
            copy_callbacks=self._copy_callbacks,
            folder=self._folder,
            args=args,
            kwargs=kwargs,
        )

    def _copy_callbacks(
        self, callbacks: list[Any], trial: Trial, number: int
    ) -> list[Any]:
        callbacks = self._deepcopy_callbacks(callbacks)
        self._configure_tensorboard_dir(callbacks, trial, number)
        return callbacks

    def _check_search(self, search: Search) -> None:
        """Refuses what every trial would fail with, however it is built."""
        if not self._has_own_run():
            self._exploration.check_models()
            self._deepcopy_callbacks(search.kwargs.get("callbacks", []))
            check_validation(search)

    def _make_progress(self, verbose: Any) -> Progress:
        return Progress(self.oracle.objective, self.oracle.max_trials, verbose)

    def _populate_initial_space(self) -> None:
        """KerasTuner's constructor asks for the space by it."""
        self._exploration.begin()

    def _build_all(self) -> None:
        super()._populate_initial_space()


def _check_number_of(name: str, value: int) -> None:
    check_count(name, value, "is how many of the best trials are shown", at_least=0)
