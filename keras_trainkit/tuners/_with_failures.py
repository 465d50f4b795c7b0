"""What a sampler learns from: the finished trials, failed ones as the worst of all."""

import optuna
from optuna.trial import TrialState

from keras_trainkit.tuners._quiet import quiet
from keras_trainkit.tuners._slots import REASON, REPEATED


def with_failures(study: optuna.Study, trial):
    """The study and trial themselves, or copies in memory where failed trials count.

    Samplers of Optuna pass over failed trials, and where they find a region promising
    in which every training diverges, they propose it again and again. As bad as the
    worst completed trial is what they are told of it.

    Returns:
        `(study, trial)` for a sampler, which may leave notes with the trial.
    """
    trials = study.get_trials(deepcopy=False)
    values = [t.values[0] for t in trials if t.state == TrialState.COMPLETE]
    if not values or not any(map(_has_failed, trials)):
        return study, trial
    pick = max if study.direction == optuna.study.StudyDirection.MINIMIZE else min
    worst = pick(values)
    with quiet():
        copy = optuna.create_study(direction=study.direction)
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
    copy.add_trials(
        _completed(trial, worst) if _has_failed(trial) else trial
        for trial in trials
        if trial.state in finished or _has_failed(trial)
    )
    copy.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING))
    return copy, copy.get_trials(deepcopy=False)[-1]


def _has_failed(trial):
    failed = trial.state == TrialState.FAIL and bool(trial.params)
    return failed and trial.user_attrs.get(REASON, REPEATED) != REPEATED


def _completed(trial, value):
    return optuna.trial.create_trial(
        value=value, params=trial.params, distributions=trial.distributions
    )
