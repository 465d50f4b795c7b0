"""KerasTuner's oracle, and its trials, as views of the study."""

from typing import Any

import keras_tuner
from keras_tuner.engine.metrics_tracking import infer_metric_direction
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.trial import TrialState

from keras_trainkit._checks import check_count, check_flag
from keras_trainkit.tuners._objective import check_objective_argument
from keras_trainkit.tuners._search_study import SearchStudy
from keras_trainkit.tuners._trial_record import (
    TrialRecord,
    finished,
    ranked,
    read_trials,
)

_STATUS = {
    TrialState.COMPLETE: TrialStatus.COMPLETED,
    TrialState.PRUNED: TrialStatus.STOPPED,
    TrialState.FAIL: TrialStatus.FAILED,
    TrialState.RUNNING: TrialStatus.RUNNING,
    TrialState.WAITING: TrialStatus.IDLE,
}


class StudyOracle(keras_tuner.Oracle):
    """Keeps the search space and the settings; every trial is read from the study.

    Args:
        given: `keras_tuner.HyperParameters` of the caller, or None. A copy grows with
            the definitions of the hypermodel, where these may be added.
        objective: Name, `keras_tuner.Objective`, list of both, or None.
        max_trials: Int >= 1 or None.
        tune_new_entries: Bool. Whether entries that `given` lacks are tuned.
        allow_new_entries: Bool. Whether there may be such entries.
        max_retries_per_trial: Int >= 0.
        max_consecutive_failed_trials: Int >= 1.

    Attributes:
        study: `SearchStudy`, set by the tuner as soon as it is open.
        given: Copy of the definitions that the caller gave, or None.
    """

    study: SearchStudy

    def __init__(
        self,
        given: keras_tuner.HyperParameters | None,
        *,
        objective: Any,
        max_trials: int | None,
        tune_new_entries: bool,
        allow_new_entries: bool,
        max_retries_per_trial: int,
        max_consecutive_failed_trials: int,
    ):
        check_objective_argument(objective)
        _check_counts(max_trials, max_retries_per_trial, max_consecutive_failed_trials)
        _check_space(given, tune_new_entries, allow_new_entries)
        self.given = None if given is None else given.copy()
        self._reported: dict[str, dict[str, float]] = {}
        may_grow = tune_new_entries and allow_new_entries
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=given.copy() if given is not None and may_grow else given,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )

    def __getstate__(self) -> dict[str, Any]:
        # KerasTuner's books of trials, which hold functions that cannot be pickled.
        return {**self.__dict__, "_id_to_hash": {}, "_run_times": {}}

    def records(self) -> list[TrialRecord]:
        """The records of the search, read now."""
        return read_trials(self.study.trials())

    def load_space(self) -> None:
        """Takes the space over that the study has, if there is one."""
        space = self.study.space()
        if space is not None:
            self.hyperparameters = space

    def forget_space(self) -> None:
        """Goes back to the definitions that the caller gave."""
        given = self.given
        self.hyperparameters = (
            keras_tuner.HyperParameters() if given is None else given.copy()
        )

    def learn_space(self, hyperparameters: keras_tuner.HyperParameters) -> None:
        """Adds the definitions that a trial has shown, to the study too."""
        if not self.allow_new_entries:
            return
        known = len(self.hyperparameters.space)
        self.update_space(hyperparameters)
        self.study.add_to_space(self.get_space().get_config()["space"][known:])

    @property
    def trials(self) -> dict[str, Trial]:
        """Dict from `trial_id` to KerasTuner's `Trial`, read now."""
        return {record.name: self._view(record) for record in self.records()}

    @trials.setter
    def trials(self, value: dict[str, Trial]) -> None:
        # KerasTuner's constructor sets an empty dict; the study is the only truth.
        if value:
            raise ValueError(
                "`trials` shows the study and must not be set. "
                f"Received: {len(value)} trials."
            )

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The completed trials, best first; never one that was stopped or failed."""
        best = ranked(self.records(), self.objective.direction)
        return [self._view(record) for record in best[:num_trials]]

    def remaining_trials(self) -> int | None:
        """Number of configurations still to be tried; None without `max_trials`."""
        if self.max_trials is None:
            return None
        return max(0, self.max_trials - len(self.records()))

    @property
    def start_order(self) -> list[str]:
        """Ids of the trials that have begun, in the order of the search."""
        return [record.name for record in self.records()]

    @start_order.setter
    def start_order(self, value: list[str]) -> None:
        """Does nothing: KerasTuner's constructor sets an empty list."""

    @property
    def end_order(self) -> list[str]:
        """Ids of the trials that are done."""
        return [record.name for record in finished(self.records())]

    @end_order.setter
    def end_order(self, value: list[str]) -> None:
        """Does nothing, likewise."""

    def get_trial(self, trial_id: str) -> Trial:
        """The trial with this id."""
        for record in self.records():
            if record.name == str(trial_id):
                return self._view(record)
        raise KeyError(trial_id)

    def update_trial(
        self, trial_id: str, metrics: dict[str, float], step: int = 0
    ) -> Trial:
        """The result of a trial whose `run_trial` returns none, as in old KerasTuner.

        Args:
            trial_id: String.
            metrics: Dict from names to numbers, the objective among them.
            step: Not used.
        """
        self._reported[trial_id] = dict(metrics)
        return self.get_trial(trial_id)

    def take_reported(self, trial_id: str) -> dict[str, float] | None:
        """The metrics given to `update_trial` since this was called last."""
        return self._reported.pop(trial_id, None)

    def create_trial(self, tuner_id: str) -> Trial:
        """Raises an error: Optuna plans the trials."""
        raise NotImplementedError("Optuna plans the trials: see `tuner.study.ask`.")

    def save(self, *args: Any) -> None:
        """Does nothing: the study is stored as it grows."""

    def reload(self, *args: Any) -> None:
        """Does nothing: the study is read when it is asked."""

    def _view(self, record: TrialRecord) -> Trial:
        return as_keras_tuner_trial(record, self.get_space(), self.objective)


def as_keras_tuner_trial(
    record: TrialRecord,
    space: keras_tuner.HyperParameters,
    objective: keras_tuner.Objective,
) -> Trial:
    """Converts a trial record to KerasTuner's `Trial`."""
    hyperparameters = space.copy()
    hyperparameters.values = dict(record.values)
    trial = Trial(hyperparameters, record.name, _STATUS[record.state], record.reason)
    trial.best_step = record.best_epoch or 0
    for name, value in record.metrics.items():
        direction = objective.direction if name == objective.name else None
        direction = direction or infer_metric_direction(name) or "min"
        trial.metrics.register(name, direction=direction)
        trial.metrics.update(name, value, step=trial.best_step)
    if record.score is not None:
        trial.score = record.score
    return trial


def _check_counts(
    max_trials: Any, max_retries_per_trial: Any, max_consecutive_failed_trials: Any
) -> None:
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


def _check_space(given: Any, tune_new_entries: Any, allow_new_entries: Any) -> None:
    if given is not None and not isinstance(given, keras_tuner.HyperParameters):
        raise ValueError(
            "`hyperparameters` are definitions that go before those of the hypermodel "
            "and must be a `keras_tuner.HyperParameters` or None; single values go to "
            f"`enqueue`. Received: hyperparameters={given!r}."
        )
    purpose = "decides whether entries that `hyperparameters` lacks are tuned"
    check_flag("tune_new_entries", tune_new_entries, purpose)
    purpose = "decides whether there may be entries that `hyperparameters` lacks"
    check_flag("allow_new_entries", allow_new_entries, purpose)
