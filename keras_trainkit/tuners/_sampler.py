"""Optuna's samplers, their random numbers a function of the trial."""

import optuna
from optuna.trial import TrialState

from keras_trainkit.tuners._configuration_tree import Tried
from keras_trainkit.tuners._search_study import quiet
from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._trial_queue import REASON, REPEATED

_DRAWS = 4
_JOINT_DRAWS = 4


class SeededSampler(optuna.samplers.BaseSampler):
    """A new sampler for every trial and parameter, seeded by what they are called.

    Optuna stores no generator, so a search that goes on in another process would draw
    other values. Here a value depends on the seed, the trial's index in the search and
    the finished trials alone, and values that are given take nothing from the others.
    Samplers learn from failed trials too, see `with_failures`. Values that lead to
    nothing new are drawn again, and then taken at random from those that do.

    Args:
        make: Function of a seed that returns a sampler.
        seed: Int. The search's seed.
    """

    def __init__(self, make, seed):
        self._make = make
        self._seed = seed
        self._index = 0
        self._forced: dict = {}
        self._one_by_one = False
        self._relative: optuna.samplers.BaseSampler | None = None
        self._seen: tuple | None = None
        self._suggested: dict = {}
        self._tried: Tried | None = None
        self._steps: list = []

    def begin(self, index: int, one_by_one: bool, tried=None, steps=()):
        """Says which trial comes.

        Args:
            index: Int.
            one_by_one: Bool. Nothing is drawn jointly, since parts are chosen by hand.
            tried: `Tried`, or None where a configuration may come again.
            steps: List that grows with what this trial has drawn.
        """
        self._index = index
        self._forced = {}
        self._suggested = {}
        self._tried, self._steps = tried, steps
        self._one_by_one = one_by_one
        self._relative = None
        self._seen = None

    def force(self, name, value):
        """Makes `value` the answer for `name` in this trial."""
        self._forced[name] = value

    def suggest(self, name, value):
        """Makes `value` the answer for `name` if it leads to something new."""
        self._suggested[name] = value

    def infer_relative_search_space(self, study, trial):
        """The space of a joint draw, by the inner sampler."""
        if self._one_by_one:
            return {}
        self._relative = self._seeded("")
        study, trial = self._seen_as(study, trial)
        return self._relative.infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        """The joint draw."""
        if self._relative is None:
            return {}
        study, trial = self._seen_as(study, trial)
        sampler = self._relative
        for attempt in range(_JOINT_DRAWS):
            sampler = self._seeded("", attempt) if attempt else self._relative
            values = sampler.sample_relative(study, trial, search_space)
            if self._tried is None or self._tried.is_joint_open(values, search_space):
                return values
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        """One value by itself."""
        if param_name in self._forced:
            return self._forced[param_name]
        seen = self._seen_as(study, trial)
        where = (param_name, param_distribution)
        value = self._suggested.get(param_name)
        if value is not None and self._is_open(*where, value):
            return value
        for attempt in range(_DRAWS):
            sampler = self._seeded(param_name, attempt)
            value = sampler.sample_independent(*seen, *where)
            if self._is_open(*where, value):
                return value
        return self._any_open(*where, value)

    def _is_open(self, name, distribution, value):
        if self._tried is None:
            return True
        return self._tried.is_open(self._steps, name, distribution, value)

    def _any_open(self, name, distribution, otherwise):
        if self._tried is None:
            return otherwise
        found = self._tried.open_values(self._steps, name, distribution)
        if not found:
            return otherwise
        return found[derive(self._seed, self._index, "open", name) % len(found)]

    def _seen_as(self, study, trial):
        if self._seen is None:
            self._seen = with_failures(study, trial)
        return self._seen

    def _seeded(self, name, attempt=0):
        parts = [self._seed, self._index, "draw", name]
        # Left out where it is 0, so that a search keeps its numbers.
        sampler = self._make(derive(*parts, *([attempt] if attempt else [])))
        if hasattr(sampler, "index"):
            sampler.index = self._index
        if hasattr(sampler, "tried"):
            sampler.tried, sampler.steps = self._tried, self._steps
        return sampler


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
