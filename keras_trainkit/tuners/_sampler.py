"""Optuna's samplers, their random numbers a function of the trial."""

import optuna

from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._with_failures import with_failures


class SeededSampler(optuna.samplers.BaseSampler):
    """A new sampler for every trial and parameter, seeded by what they are called.

    Optuna stores no generator, so a search that goes on in another process would draw
    other values. Here a value depends on the seed, the trial's place in the search and
    the finished trials alone, and values that are given take nothing from the others.
    Samplers learn from failed trials too, see `with_failures`.

    Args:
        make: Function of a seed that returns a sampler.
        seed: Int. The search's seed.
    """

    def __init__(self, make, seed):
        self._make = make
        self._seed = seed
        self._place = 0
        self._forced: dict = {}
        self._one_by_one = False
        self._relative: optuna.samplers.BaseSampler | None = None
        self._seen: tuple | None = None

    def begin(self, place: int, one_by_one: bool):
        """Says which trial comes, and whether parts of it are chosen by hand."""
        self._place = place
        self._forced = {}
        self._one_by_one = one_by_one
        self._relative = None
        self._seen = None

    def force(self, name, value):
        """Makes `value` the answer for `name` in this trial."""
        self._forced[name] = value

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
        return self._relative.sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        """One value by itself."""
        if param_name in self._forced:
            return self._forced[param_name]
        return self._seeded(param_name).sample_independent(
            *self._seen_as(study, trial), param_name, param_distribution
        )

    def _seen_as(self, study, trial):
        if self._seen is None:
            self._seen = with_failures(study, trial)
        return self._seen

    def _seeded(self, name):
        sampler = self._make(derive(self._seed, self._place, "draw", name))
        if hasattr(sampler, "place"):
            sampler.place = self._place
        return sampler
