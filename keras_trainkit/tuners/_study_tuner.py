"""What every tuner of the kit is: KerasTuner's interface over one study of Optuna."""

import contextlib
import pathlib
import random

import keras_tuner
import optuna
from keras_tuner.errors import FailedTrialError
from optuna.trial import TrialState

from keras_trainkit._checks import check_count
from keras_trainkit.tuners import _files
from keras_trainkit.tuners._arguments import (
    check_arguments,
    refuse_kerastuners,
    warn_of_penalties,
)
from keras_trainkit.tuners._configuration_tree import Tried
from keras_trainkit.tuners._cross_validation import reporter, without_folds
from keras_trainkit.tuners._data_description import described
from keras_trainkit.tuners._database import shown
from keras_trainkit.tuners._hyperparameters import AskingHyperParameters, as_parameter
from keras_trainkit.tuners._oracle import StudyOracle
from keras_trainkit.tuners._process_identity import is_orphan
from keras_trainkit.tuners._processes import (
    end_if_script_is_imported,
    quick_collections,
    warm_up,
)
from keras_trainkit.tuners._results import SearchResults, first_reason
from keras_trainkit.tuners._sampler import SeededSampler
from keras_trainkit.tuners._search_loop import (
    Progress,
    is_adequate,
    run_loop,
    run_workers,
)
from keras_trainkit.tuners._search_study import (
    Record,
    Store,
    delete_study,
    refuse_running,
    sqlite_url,
)
from keras_trainkit.tuners._training import Training


class StudyTuner(SearchResults):
    """A `keras_tuner.Tuner` that keeps nothing itself: the study is the only truth.

    Subclasses say how values are drawn (`_make_sampler`, `_as_parameter`), when a trial
    is stopped (`_judge_of`) and what `fit` must be told (`_fit_kwargs`). Arguments: see
    `RandomSearch`.
    """

    _as_parameter = staticmethod(as_parameter)

    def __init__(
        self,
        hypermodel=None,
        objective="val_loss",
        max_trials=10,
        *,
        seed=None,
        directory=".",
        project_name="search",
        storage=None,
        executions_per_trial=1,
        folds=1,
        min_improvement=None,
        patience=None,
        isolate=False,
        trial_timeout=None,
        allow_repeats=False,
        overwrite=False,
        hyperparameters=None,
        tune_new_entries=True,
        allow_new_entries=True,
        max_retries_per_trial=0,
        max_consecutive_failed_trials=3,
        optimizer=None,
        loss=None,
        metrics=None,
        max_model_size=None,
        distribution_strategy=None,
        logger=None,
        tuner_id=None,
    ):
        refuse_kerastuners(logger, tuner_id)
        self.max_trials = max_trials
        self.storage = storage
        self.executions_per_trial = executions_per_trial
        self.folds = folds
        self.min_improvement = min_improvement
        self.patience = patience
        self.isolate = isolate
        self.trial_timeout = trial_timeout
        self.allow_repeats = allow_repeats
        check_arguments(self, seed, project_name)
        _check_hypermodel(self, hypermodel)
        oracle = StudyOracle(
            self._get_store,
            objective=objective,
            max_trials=max_trials,
            hyperparameters=_own_space(
                hyperparameters, tune_new_entries and allow_new_entries
            ),
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self._given = None if hyperparameters is None else hyperparameters.copy()
        self._explored = None
        self._open(pathlib.Path(directory or "."), project_name, oracle, overwrite)
        self.seed = self._agree(seed, oracle.objective)
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
        warn_of_penalties(oracle.objective, hypermodel)
        self._sampler = SeededSampler(self._make_sampler, self.seed)
        self._training: Training | None = None
        self._last_search: tuple | None = None

    def __getstate__(self):
        return {**self.__dict__, "_training": None, "_last_search": None}

    @property
    def study(self) -> optuna.Study:
        """The Optuna study that holds the search."""
        return self._store.study

    def search(self, *fit_args, workers=1, **fit_kwargs):
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
            ValueError: The study was begun with another space, other data, or other
                epochs. Data are compared by shapes, columns and values, validation
                rows and sample weights too: all values of up to 2 MB each, beyond
                that rows spread evenly, in milliseconds. Of `tf.data` and other sets
                that are read batch by batch only shapes and numbers are.
            RuntimeError: No trial completed, or too many failed in a row; the message
                has the reason.
        """
        check_count("workers", workers, "is the number of processes")
        end_if_script_is_imported()
        with _files.searching(self._folder):
            self._search(fit_args, workers, fit_kwargs)

    def _search(self, fit_args, workers, fit_kwargs):
        if workers > 1 or self.isolate:
            warm_up()
        self._last_search = (fit_args, dict(fit_kwargs))
        self._record.agree_on_data(
            *described(fit_args, self._fit_kwargs(dict(fit_kwargs)))
        )
        self._prepare(fit_args, fit_kwargs)
        self._record.agree_on_space(self._explored or self._explore())
        self._load_space()
        verbose = fit_kwargs.get("verbose", "auto")
        progress = Progress(self.oracle.objective, self.oracle.max_trials, verbose)
        self._remove_unfinished_weights()
        progress.say_what_was_there(self._store.records(), self._folder)
        self.on_search_begin()
        try:
            if workers == 1:
                with quick_collections():
                    run_loop(self, fit_args, fit_kwargs, progress)
            else:
                run_workers(self, workers, fit_args, fit_kwargs, progress)
        finally:
            progress.close()
            self._load_space()
        self.on_search_end()
        self._refuse_nothing()

    def run_trial(self, trial, *args, **kwargs):
        """Trains one configuration; to be overridden as in KerasTuner.

        Returns:
            The result, or a list of results: of `HyperModel.fit` for every execution
            and fold, as numbers with their metrics.
        """
        if self._training is None:
            raise ValueError(
                "`run_trial` is called by `search`, one trial after the other, and "
                "must not be called otherwise. Received: a call outside of a search."
            )
        return self._training.run(args, self._fit_kwargs(dict(kwargs)))

    def enqueue(self, values: dict):
        """Queues a configuration chosen by hand: it is tried before all others.

        It counts as one of `max_trials`. The same values are queued once only, so a
        script that is started again may say them again.

        Args:
            values: Dict from names of hyperparameters to values that their ranges
                hold. What is left out is drawn.
        """
        if not isinstance(values, dict) or not values:
            raise ValueError(
                "`values` is a configuration to be tried and must be a dict from names "
                f"of hyperparameters to values. Received: values={values!r}."
            )
        self._record.choose(values)

    def on_trial_end(self, trial):
        """Hook; the study holds the trial already."""

    def save(self):
        """Nothing: the study is stored as it grows."""

    def reload(self):
        """Nothing: the study is read when it is asked."""

    def search_space_summary(self, extended=False):
        """Prints the hyperparameters; see KerasTuner."""
        if not self.oracle.get_space().space:
            self._explore()
        super().search_space_summary(extended)

    def _make_sampler(self, seed) -> optuna.samplers.BaseSampler:
        raise NotImplementedError

    def _wants_more(self, records):
        return self.allow_repeats or Tried(records).has_more()

    def _judge_of(self, claim):
        return None

    def _fit_kwargs(self, kwargs):
        return kwargs

    def _is_adequate(self, records):
        if self.patience is None:
            return False
        return is_adequate(
            records,
            self.oracle.objective.direction,
            self.min_improvement or 0,
            self.patience,
        )

    def _report_of(self, drawn):
        return None if self.folds == 1 else reporter(drawn, self.folds)

    def _get_store(self):
        return self._store

    def _open(self, directory, project_name, oracle, overwrite):
        self._folder = directory / project_name
        _files.check_folder(self._folder)
        url = self.storage or sqlite_url(self._folder / _files.DATABASE)
        self._content = {"study": project_name, "storage": shown(url)}
        if overwrite:
            self._delete(url, project_name)
        exists = _files.begin(self._folder, self._content)
        self._store = Store(
            url, project_name, oracle.objective.direction, exists=exists
        )
        self._record = Record(self._store)

    def _delete(self, url, project_name):
        end_if_script_is_imported()
        _files.refuse_while_searched(self._folder)
        if self.storage is None:
            refuse_running(url, project_name)
        else:
            delete_study(url, project_name)
        _files.begin(self._folder, self._content, anew=True)
        _files.delete_search(self._folder)

    def _agree(self, seed, objective):
        description = {
            "objective": objective.name,
            "direction": objective.direction,
            "seed": random.SystemRandom().randrange(2**31) if seed is None else seed,
            "executions_per_trial": self.executions_per_trial,
            "folds": self.folds,
            "lists": self._as_parameter is not as_parameter,
            "method": _method_of(type(self)),
        }
        first = self._record.begin(description)
        if seed is None:
            description["seed"] = first
        self._record.agree(description)
        _files.finish(self._folder, self._content)
        return first

    def _prepare(self, args, kwargs):
        prepare = getattr(self.hypermodel, "prepare", None)
        data = without_folds(args, kwargs)
        if prepare is not None and data is not None:
            prepare(*data)

    def _remove_unfinished_weights(self):
        """Deletes what killed processes were writing, each as large as a model."""
        found = _files.unfinished_weights(self._folder)  # before it is asked who lives
        living = {
            self._weights_path(record.name).parent
            for record in (self._store.records() if found else ())
            if record.state == TrialState.RUNNING and not is_orphan(record.trial)
        }
        for path in found:
            if path.parent not in living:
                path.unlink(missing_ok=True)

    def _weights_path(self, trial_id):
        return self._folder / f"trial_{trial_id}" / _files.WEIGHTS

    def _callbacks_of(self, callbacks, trial, number):
        callbacks = self._deepcopy_callbacks(callbacks)
        self._configure_tensorboard_dir(callbacks, trial, number)
        return callbacks

    def _populate_initial_space(self):
        """The space as far as it is known before `search`; called by the constructor.

        Building may need what `prepare` learns from the data. Until then the space is
        what the hypermodel declares.
        """
        self._load_space()
        if self._record.space() is not None or self.hypermodel is None:
            return
        prepares = hasattr(self.hypermodel, "prepare")
        if prepares and getattr(self.hypermodel, "prepared", None) is None:
            space = self.oracle.get_space()
            self.hypermodel.declare_hyperparameters(space)
            self.oracle.update_space(space)
        else:
            self._explored = self._build_all()

    def _explore(self):
        self.oracle.hyperparameters = (
            keras_tuner.HyperParameters() if self._given is None else self._given.copy()
        )
        return self._build_all()

    def _build_all(self):
        # The defaults may be a configuration that the hypermodel refuses.
        with contextlib.suppress(FailedTrialError):
            super()._populate_initial_space()
        return self.oracle.get_space()

    def _load_space(self):
        space = self._record.space()
        if space is not None:
            self.oracle.hyperparameters = space

    def _learn_space(self, hyperparameters):
        if not self.oracle.allow_new_entries:
            return
        known = len(self.oracle.hyperparameters.space)
        self.oracle.update_space(hyperparameters)
        new = self.oracle.get_space().get_config()["space"][known:]
        self._record.add_to_space(new)

    def _asking_hyperparameters(self, asking):
        return AskingHyperParameters(
            asking,
            self._given,
            self.oracle.tune_new_entries,
            self.oracle.allow_new_entries,
        )

    def _ask_ahead(self, hyperparameters):
        """Draws what is known before the model is built, as KerasTuner does."""
        hyperparameters.ask_given()
        if self.hypermodel is not None:
            self.hypermodel.declare_hyperparameters(hyperparameters)

    def _refuse_nothing(self):
        records = self._store.records()
        if all(record.state != TrialState.COMPLETE for record in records):
            raise RuntimeError(
                f"No trial of the search completed. Received: {len(records)} trials, "
                f"the first failed one with {first_reason(records)}"
            )


def _method_of(cls):
    kit = (base for base in cls.__mro__ if base.__module__.startswith("keras_trainkit"))
    return next(kit).__name__


def _check_hypermodel(tuner, hypermodel):
    if hypermodel is None and type(tuner).run_trial is StudyTuner.run_trial:
        raise ValueError(
            "`hypermodel` is the space to be searched and must be a HyperModel or a "
            "function, but in a subclass with its own `run_trial`. "
            "Received: hypermodel=None."
        )


def _own_space(given, may_grow):
    """The definitions of the caller, who keeps theirs as they are where new ones come.

    Args:
        given: `keras_tuner.HyperParameters` or None.
        may_grow: Bool. Whether definitions of the hypermodel are added.
    """
    return given.copy() if given is not None and may_grow else given
