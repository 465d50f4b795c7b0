"""Random values from the window of a round."""

import numpy as np
import optuna
from optuna.trial import TrialState

from keras_trainkit.tuners._window import (
    Window,
    from_share,
    is_choice,
    kept_choices,
    to_share,
)


class CoarseSampler(optuna.samplers.BaseSampler):
    """Draws in the window that the trials of earlier rounds leave.

    Args:
        store: `Store`.
        starts: First place of each round.
        shrink: Width left after a round.
        direction: `"min"` or `"max"`.
        seed: Int.
    """

    place = 0  # set by SeededSampler

    def __init__(self, store, starts, shrink, direction, seed):
        self._store = store
        self._starts = starts
        self._shrink = shrink
        self._sign = -1 if direction == "max" else 1
        self._rng = np.random.default_rng(seed)

    def infer_relative_search_space(self, study, trial):
        """Values are drawn one by one."""
        return {}

    def sample_relative(self, study, trial, search_space):
        """Nothing."""
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        """A value from the window."""
        scored = self._scored(param_name)
        begun = [start for start in self._starts[1:] if start <= self.place]
        if is_choice(param_distribution):
            seen = [(v, s) for place, v, s in scored if begun and place < begun[-1]]
            share = self._shrink ** len(begun) if seen else 1.0
            kept = kept_choices(seen, param_distribution, share)
            return kept[self._rng.integers(len(kept))]
        window = Window()
        for start in begun:
            earlier = [(s, v) for place, v, s in scored if place < start]
            if earlier:
                _, best = min(earlier, key=lambda pair: pair[0])
                share = to_share(best, param_distribution)
                window = window.around(share, self._shrink)
        return from_share(
            self._rng.uniform(window.low, window.high), param_distribution
        )

    def _scored(self, name):
        """Place, value and score (lower is better) of every completed trial."""
        return [
            (slot.place, slot.trial.params[name], self._sign * slot.trial.value)
            for slot in self._store.slots()
            if slot.trial.state == TrialState.COMPLETE and name in slot.trial.params
        ]
