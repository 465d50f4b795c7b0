from typing import Unpack

import optuna

from keras_trainkit._checks import check_count, check_number
from keras_trainkit.tuners._coarse_sampler import CoarseSampler
from keras_trainkit.tuners._options import Options
from keras_trainkit.tuners._study_tuner import StudyTuner


class CoarseToFine(StudyTuner):
    """Searches at random, first everywhere, then ever closer around the best.

    The trials are cut into equal rounds. After each, every range is narrowed to
    `shrink` of its width around the best value of all trials so far (in the logarithm
    where the range is logarithmic), and of a choice the best `shrink` of the values
    stay. Where the best lies in the outer tenth of its window, better values may lie
    behind it: that range is widened again, by the same factor.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: Int >= 1. Trials of all rounds.
        rounds: Int >= 1. Rounds; 1 is a random search.
        shrink: Float in (0, 1). Width of a round's ranges as a share of those before.
        **options: As for `RandomSearch`, by name.

    With workers, a round may begin before the last trials of the one before are done.

    Source: Goodfellow et al., 2016, Deep Learning, section 11.4, there by hand.
    """

    def __init__(
        self,
        hypermodel=None,
        objective="val_loss",
        max_trials=30,
        *,
        rounds=3,
        shrink=0.5,
        **options: Unpack[Options],
    ):
        check_count("rounds", rounds, "is the number of rounds")
        check_number(
            "shrink", shrink, "is the width left after a round", above=0, below=1
        )
        check_count("max_trials", max_trials, "is the number of trials of all rounds")
        self.rounds = rounds
        self.shrink = shrink
        super().__init__(hypermodel, objective, max_trials, **options)

    def _make_sampler(self, seed) -> optuna.samplers.BaseSampler:
        starts = [-(-r * self.max_trials // self.rounds) for r in range(self.rounds)]
        direction = self.oracle.objective.direction
        return CoarseSampler(self._store, starts, self.shrink, direction, seed)
