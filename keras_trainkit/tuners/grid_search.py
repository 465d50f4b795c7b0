from typing import Unpack

import optuna

from keras_trainkit.tuners._grid import Grid
from keras_trainkit.tuners._options import Options
from keras_trainkit.tuners._parameter import as_list
from keras_trainkit.tuners._study_tuner import StudyTuner


class GridSearch(StudyTuner):
    """Tries every combination: 3 learning rates and 3 batch sizes are 9 trials.

    Defaults come first and the last entry changes fastest, as in
    `keras_tuner.GridSearch`. Of a range without a `step` ten values are taken, evenly
    (in the logarithm where the range is logarithmic). Entries that only some
    combinations have are listed where they exist, also where plain Python code decides
    that. A combination whose trial failed counts as tried.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: Int >= 1, or None for all combinations.
        **options: As for `RandomSearch`, by name. `seed` is for the trainings.

    Source: `keras_tuner.GridSearch` 1.4.8, which cannot go on after a kill.
    """

    _as_parameter = staticmethod(as_list)

    def __init__(
        self,
        hypermodel=None,
        objective="val_loss",
        max_trials=None,
        **options: Unpack[Options],
    ):
        super().__init__(hypermodel, objective, max_trials, **options)

    def _make_sampler(self, seed):
        return _GridSampler(self._store)

    def _wants_more(self, slots):
        return Grid(slots).has_more()


class _GridSampler(optuna.samplers.BaseSampler):
    """Takes each value as the tree of the other trials says."""

    def __init__(self, store):
        self._store = store

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        others = [
            slot for slot in self._store.slots() if slot.trial.number != trial.number
        ]
        return Grid(others).next_choice(
            trial.params, param_name, param_distribution.choices
        )
