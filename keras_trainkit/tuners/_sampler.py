"""Optuna's samplers, their random numbers a function of the trial."""

from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._search_study import REASON, REPEATED
from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._study_connection import quiet_optuna

_DRAWS = 4
_JOINT_DRAWS = 4


class IndependentSampler(optuna.samplers.BaseSampler):
    """Draws each parameter by itself; a subclass has `sample_independent`."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Draws nothing jointly."""
        return {}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Draws nothing jointly."""
        return {}


class SeededSampler(optuna.samplers.BaseSampler):
    """A new sampler for every trial and parameter, seeded by index and name.

    Optuna stores no generator, so a search continued in another process would draw
    other values. Here a value depends on the seed, the trial's index in the search and
    the finished trials alone, and values that are given take nothing from the others.
    Samplers learn from failed trials too, see `with_failures`. Values that lead to
    nothing new are drawn again, and then taken at random from those that do.

    Args:
        make: Function of a seed and a `PartialConfiguration`, that of the trial, which
            returns a sampler.
        seed: Int. The search's seed.
    """

    def __init__(
        self,
        make: Callable[[int, PartialConfiguration], optuna.samplers.BaseSampler],
        seed: int,
    ):
        self._make = make
        self._seed = seed
        self._configuration = PartialConfiguration(0)
        self._one_by_one = False
        self._forced: dict[str, Any] = {}
        self._preferred: dict[str, Any] = {}
        self._relative: optuna.samplers.BaseSampler | None = None
        self._seen: tuple[optuna.Study, FrozenTrial] | None = None

    def begin(self, configuration: PartialConfiguration, one_by_one: bool) -> None:
        """Prepares for the draws of a trial.

        Args:
            configuration: Takes what this trial draws.
            one_by_one: Bool. Nothing is drawn jointly, since parts are chosen by hand.
        """
        self._configuration = configuration
        self._one_by_one = one_by_one
        self._forced = {}
        self._preferred = {}
        self._relative = None
        self._seen = None

    def force(self, name: str, value: Any) -> None:
        """Makes `value` the answer for `name` in this trial."""
        self._forced[name] = value

    def prefer(self, name: str, value: Any) -> None:
        """Makes `value` the answer for `name` if it leads to something new."""
        self._preferred[name] = value

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The space of a joint draw, by the inner sampler."""
        if self._one_by_one:
            return {}
        self._relative = self._seeded("")
        study, trial = self._seen_as(study, trial)
        return self._relative.infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """The joint draw."""
        if self._relative is None:
            return {}
        study, trial = self._seen_as(study, trial)
        for attempt in range(_JOINT_DRAWS):
            sampler = self._seeded("", attempt) if attempt else self._relative
            values = sampler.sample_relative(study, trial, search_space)
            if self._configuration.is_joint_open(values, search_space):
                return values
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """One value by itself."""
        if param_name in self._forced:
            return self._forced[param_name]
        seen = self._seen_as(study, trial)
        parameter = (param_name, param_distribution)
        value = self._preferred.get(param_name)
        if value is not None and self._configuration.is_open(*parameter, value):
            return value
        for attempt in range(_DRAWS):
            sampler = self._seeded(param_name, attempt)
            value = sampler.sample_independent(*seen, *parameter)
            if self._configuration.is_open(*parameter, value):
                return value
        return self._any_open(*parameter, value)

    def _any_open(
        self, name: str, distribution: BaseDistribution, otherwise: Any
    ) -> Any:
        start = derive(self._seed, self._configuration.index, "open", name)
        value = self._configuration.first_open(name, distribution, start)
        return otherwise if value is None else value

    def _seen_as(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> tuple[optuna.Study, FrozenTrial]:
        if self._seen is None:
            self._seen = with_failures(study, trial)
        return self._seen

    def _seeded(self, name: str, attempt: int = 0) -> optuna.samplers.BaseSampler:
        parts = [self._seed, self._configuration.index, "draw", name]
        # Left out where it is 0, so that a search keeps its numbers.
        parts += [attempt] if attempt else []
        return self._make(derive(*parts), self._configuration)


def with_failures(
    study: optuna.Study, trial: FrozenTrial
) -> tuple[optuna.Study, FrozenTrial]:
    """The study and trial themselves, or copies in memory where failed trials count.

    Samplers of Optuna pass over failed trials, and where they find a region promising
    in which every training diverges, they propose it again and again. Here a failed
    trial counts as much as the worst completed one.

    Returns:
        `(study, trial)` for a sampler, which may leave notes with the trial.
    """
    trials = study.get_trials(deepcopy=False)
    values = [t.values[0] for t in trials if t.state == TrialState.COMPLETE]
    if not values or not any(map(_has_failed, trials)):
        return study, trial
    pick = max if study.direction == optuna.study.StudyDirection.MINIMIZE else min
    worst = pick(values)
    with quiet_optuna():
        copy = optuna.create_study(direction=study.direction)
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
    copy.add_trials(
        _completed(trial, worst) if _has_failed(trial) else trial
        for trial in trials
        if trial.state in finished or _has_failed(trial)
    )
    copy.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING))
    return copy, copy.get_trials(deepcopy=False)[-1]


def _has_failed(trial: FrozenTrial) -> bool:
    failed = trial.state == TrialState.FAIL and bool(trial.params)
    return failed and trial.user_attrs.get(REASON, REPEATED) != REPEATED


def _completed(trial: FrozenTrial, value: float) -> FrozenTrial:
    return optuna.trial.create_trial(
        value=value, params=trial.params, distributions=trial.distributions
    )
