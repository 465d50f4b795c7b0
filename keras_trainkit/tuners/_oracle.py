"""KerasTuner's oracle as a window on the study."""

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.trial import TrialState

from keras_trainkit.tuners._trial_queue import (
    TrialRecord,
    finished,
    ranked,
)


class StudyOracle(keras_tuner.Oracle):
    """Keeps the search space and the settings; every trial is read from the study.

    Args:
        store: Function that returns the `Store`.
        options: Of `keras_tuner.Oracle`.
    """

    def __init__(self, store, **options):
        self._store = store
        self._reported: dict[str, dict] = {}
        super().__init__(**options)

    def __getstate__(self):
        # KerasTuner's books of trials, which hold functions that cannot be pickled.
        return {**self.__dict__, "_id_to_hash": {}, "_run_times": {}}

    @property
    def trials(self):
        """Dict from `trial_id` to KerasTuner's `Trial`, read now."""
        found = (self._view(record) for record in self._store().records())
        return {trial.trial_id: trial for trial in found}

    @trials.setter
    def trials(self, value):
        # KerasTuner's constructor sets an empty dict; the study is the only truth.
        if value:
            raise ValueError(
                "`trials` shows the study and must not be set. "
                f"Received: {len(value)} trials."
            )

    def get_best_trials(self, num_trials=1):
        """The completed trials, best first; never one that was stopped or failed."""
        best = ranked(self._store().records(), self.objective.direction)
        return [self._view(record) for record in best[:num_trials]]

    def remaining_trials(self):
        """Configurations that are not tried yet; None without `max_trials`."""
        if self.max_trials is None:
            return None
        return max(0, self.max_trials - len(self._store().records()))

    @property
    def start_order(self):
        """Ids of the trials that have begun, in the order of the search."""
        return [record.name for record in self._store().records()]

    @start_order.setter
    def start_order(self, value):
        """Nothing: KerasTuner's constructor sets an empty list."""

    @property
    def end_order(self):
        """Ids of the trials that are done."""
        return [record.name for record in finished(self._store().records())]

    @end_order.setter
    def end_order(self, value):
        """Nothing, likewise."""

    def get_trial(self, trial_id):
        """The trial with this id."""
        for record in self._store().records():
            if record.name == str(trial_id):
                return self._view(record)
        raise KeyError(trial_id)

    def update_trial(self, trial_id, metrics, step=0):
        """The result of a trial whose `run_trial` returns none, as in old KerasTuner.

        Args:
            trial_id: String.
            metrics: Dict from names to numbers, the objective among them.
            step: Not used.
        """
        self._reported[trial_id] = dict(metrics)
        return self.get_trial(trial_id)

    def take_reported(self, trial_id) -> dict | None:
        """The metrics given to `update_trial` since this was called last."""
        return self._reported.pop(trial_id, None)

    def create_trial(self, tuner_id):
        """Not used: Optuna plans the trials."""
        raise NotImplementedError("Optuna plans the trials: see `tuner.study.ask`.")

    def save(self, *args):
        """Nothing: the study is stored as it grows."""

    def reload(self, *args):
        """Nothing: the study is read when it is asked."""

    def _view(self, record):
        return as_keras_tuner_trial(record, self.get_space(), self.objective)


_STATUS = {
    TrialState.COMPLETE: TrialStatus.COMPLETED,
    TrialState.PRUNED: TrialStatus.STOPPED,
    TrialState.FAIL: TrialStatus.FAILED,
    TrialState.RUNNING: TrialStatus.RUNNING,
    TrialState.WAITING: TrialStatus.IDLE,
}


def as_keras_tuner_trial(
    record: TrialRecord, space: keras_tuner.HyperParameters, objective
) -> Trial:
    """Converts a record to KerasTuner's `Trial`."""
    hyperparameters = space.copy()
    hyperparameters.values = dict(record.values)
    trial = Trial(
        hyperparameters,
        record.name,
        _STATUS[record.state],
        record.reason,
    )
    trial.best_step = record.best_epoch or 0
    for name, value in record.metrics.items():
        direction = objective.direction if name == objective.name else None
        trial.metrics.register(name, direction=direction or _direction(name))
        trial.metrics.update(name, value, step=trial.best_step)
    if record.score is not None:
        trial.score = record.score
    return trial


def _direction(name):
    known = keras_tuner.engine.metrics_tracking.infer_metric_direction(name)
    return known or "min"
