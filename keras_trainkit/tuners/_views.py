"""Trials of the study as KerasTuner shows trials."""

import math

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.trial import TrialState

from keras_trainkit.tuners._slots import REASON, RESULT, Slot

_STATUS = {
    TrialState.COMPLETE: TrialStatus.COMPLETED,
    TrialState.PRUNED: TrialStatus.STOPPED,
    TrialState.FAIL: TrialStatus.FAILED,
    TrialState.RUNNING: TrialStatus.RUNNING,
    TrialState.WAITING: TrialStatus.IDLE,
}


def trial_name(place: int) -> str:
    """KerasTuner's `trial_id`."""
    return f"{place:04d}"


def as_trial(slot: Slot, space: keras_tuner.HyperParameters, objective) -> Trial:
    """One place as KerasTuner's `Trial`."""
    result = slot.trial.user_attrs.get(RESULT, {})
    hyperparameters = space.copy()
    hyperparameters.values = dict(result.get("values", {}))
    trial = Trial(
        hyperparameters,
        trial_name(slot.place),
        _STATUS[slot.trial.state],
        slot.trial.user_attrs.get(REASON),
    )
    trial.best_step = result.get("best_step", 0)
    for name, value in result.get("metrics", {}).items():
        direction = objective.direction if name == objective.name else None
        trial.metrics.register(name, direction=direction or _direction(name))
        trial.metrics.update(name, value, step=trial.best_step)
    if slot.trial.state == TrialState.COMPLETE:
        trial.score = slot.trial.value
    return trial


def ranked(slots, direction) -> list[Slot]:
    """The completed places, best first; equals in the order of the search."""
    done = [
        slot
        for slot in slots
        if slot.trial.state == TrialState.COMPLETE and math.isfinite(slot.trial.value)
    ]
    sign = -1 if direction == "max" else 1
    return sorted(done, key=lambda slot: (sign * slot.trial.value, slot.place))


def _direction(name):
    known = keras_tuner.engine.metrics_tracking.infer_metric_direction(name)
    return known or "min"
