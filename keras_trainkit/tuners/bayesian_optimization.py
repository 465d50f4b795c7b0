import importlib.util
from typing import Unpack

import optuna

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit.tuners._arguments import refuse_given
from keras_trainkit.tuners._options import Options
from keras_trainkit.tuners._study_tuner import StudyTuner

_MOST_INITIAL_POINTS = 10
_NOT_OURS = (
    "sets KerasTuner's own Gaussian process, which is not the one here: leave it out "
    "and choose `surrogate`"
)


class BayesianOptimization(StudyTuner):
    """Tries configurations that a model of the earlier scores finds promising.

    | `surrogate` | model                               | where it looks next          |
    | ----------- | ----------------------------------- | ---------------------------- |
    | `"tpe"`     | densities of good and other values  | where their ratio is highest |
    | `"gp"`      | Gaussian process over all of them   | expected improvement         |

    Ranges are normalised, by their logarithm where they say so, and every dimension of
    the Gaussian process has its own length scale. Entries that only some trials have
    are drawn by themselves: by TPE as the others, beside `"gp"` at random.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: See `RandomSearch`.
        surrogate: `"tpe"` or `"gp"`. The latter needs torch.
        num_initial_points: Int >= 1, trials at random before the model is asked. None:
            a third of `max_trials`, 10 at most.
        alpha: Not taken: the noise is estimated.
        beta: Not taken: there is no trade-off to set.
        **options: As for `RandomSearch`, by name.

    Raises:
        ImportError: For `"gp"` without torch; names the extra to install.

    Source: Bergstra et al., 2011 (TPE), Snoek et al., 2012, arXiv:1206.2944 (Gaussian
    process), both Optuna's. KerasTuner's takes 3 trials per dimension at random and
    one length scale for all dimensions.
    """

    def __init__(
        self,
        hypermodel=None,
        objective="val_loss",
        max_trials=10,
        *,
        surrogate="tpe",
        num_initial_points=None,
        alpha=None,
        beta=None,
        **options: Unpack[Options],
    ):
        check_choice(
            "surrogate", surrogate, "is the model of the scores", ("tpe", "gp")
        )
        refuse_given("alpha", alpha, _NOT_OURS)
        refuse_given("beta", beta, _NOT_OURS)
        if num_initial_points is not None:
            purpose = "is the number of trials at random"
            check_count("num_initial_points", num_initial_points, purpose)
        if surrogate == "gp":
            _check_torch()
        self.surrogate = surrogate
        self.num_initial_points = num_initial_points
        super().__init__(hypermodel, objective, max_trials, **options)

    def _make_sampler(self, seed):
        first = self.num_initial_points
        if first is None:
            trials = self.max_trials or 3 * _MOST_INITIAL_POINTS
            first = max(1, min(_MOST_INITIAL_POINTS, trials // 3))
        if self.surrogate == "tpe":
            return optuna.samplers.TPESampler(n_startup_trials=first, seed=seed)
        return optuna.samplers.GPSampler(
            n_startup_trials=first, seed=seed, warn_independent_sampling=False
        )


def _check_torch():
    if importlib.util.find_spec("torch") is None:
        raise ImportError(
            "`surrogate='gp'` needs torch: pip install keras-trainkit[gp]. "
            "The default, 'tpe', needs nothing."
        )
