"""Stopping hopeless trials after few folds."""

import warnings

import optuna

# One-sided, the smallest p of three folds is 1/8: a trial that is worse than the best
# in each of its first three folds is given up.
_THRESHOLD = 0.15


def make_pruner():
    """Optuna's pruner for paired values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(p_threshold=_THRESHOLD)


def reporter(trial: optuna.Trial, folds: int):
    """Function of a fold and its value that says whether to go on."""
    trial.study.pruner = make_pruner()

    def goes_on(fold, value):
        trial.report(value, fold)
        return fold == folds - 1 or not trial.should_prune()

    return goes_on
