import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import check_path, new_figure, save
from keras_trainkit.analysis._trials import Axis, Trials, finished_trials

if TYPE_CHECKING:
    import keras_tuner
    import optuna
    from matplotlib.figure import Figure

_FEWEST = 10
_UNUSED = "unused"
_SHUFFLES = 8
_MOST_SHUFFLED = 200  # the share by chance hardly moves with more
_FEW_TREES = 16


def plot_importances(
    tuner: "keras_tuner.Tuner", path: str | pathlib.Path
) -> dict[str, float]:
    """Draws how much of the difference between trials each hyperparameter explains.

    The shares come from Optuna's fANOVA: a forest of trees is fitted to the completed
    trials, and the importance of a hyperparameter is the variance of the forest's mean
    over all the others. It is fitted to the ranks of the scores, so that a trial that
    diverged is the last one and no more, and to a logarithmic range by its logarithm.
    Few trials tell little. The dotted line is the largest share that comes about by
    chance, the mean over scores that were shuffled; bars that do not reach it are pale.

    A hyperparameter that only some trials use counts in the others as the middle of
    its range, or as a choice of its own; its bar says in how many trials it was used.
    Its share is small where few trials used it, however much it matters there.

    Args:
        tuner: Tuner of the kit or of KerasTuner, after its search or within it.
        path: File to write; `.png`, `.pdf` or `.svg`.

    Returns:
        Dict from the names of the hyperparameters that are not fixed, and that some
        completed trial used, to shares that sum to 1, the largest first. The same
        trials give the same shares.

    Raises:
        ValueError: For another suffix, for what is no tuner, for fewer than 10
            completed trials, for equal scores, or where all hyperparameters are fixed.

    Example:

    ```python
    shares = analysis.plot_importances(tuner, "importances.png")
    ```

    Source: Hutter et al., 2014, proceedings.mlr.press/v32/hutter14.html. Ranks and
    shuffled scores are not there; with plain scores what made a few trials diverge
    hides all else.
    """
    check_path(path)
    trials = finished_trials(tuner, _FEWEST, "The importances are learned from trials")
    used = {name for row in trials.values for name in row}
    axes = [axis for axis in trials.axes if axis.name in used]
    trials = dataclasses.replace(trials, axes=axes)
    if trials.scores[0] == trials.scores[-1]:
        raise ValueError(
            "The importances explain why scores differ and need trials in `tuner` that "
            f"do not all score the same. Received: {len(trials.scores)} scores of "
            f"{trials.scores[0]}."
        )
    ranks = _ranks(trials.scores)
    found = _importances(trials, ranks)
    save(_draw(trials, found, _by_chance(trials, ranks)), path)
    return found


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks from 0 on; equal scores share their mean rank."""
    below = (scores[:, None] > scores).sum(axis=1)
    equal = (scores[:, None] == scores).sum(axis=1)
    return below + (equal - 1) / 2


def _importances(
    trials: Trials, ranks: np.ndarray, trees: int = 64
) -> dict[str, float]:
    import optuna

    study = _new_study()
    ranges = {axis.name: _distribution(axis, trials) for axis in trials.axes}
    for row, rank in zip(trials.values, ranks, strict=False):
        values = {axis.name: _value(axis, row) for axis in trials.axes}
        trial = optuna.trial.create_trial(
            params=values, distributions=ranges, value=float(rank)
        )
        study.add_trial(trial)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}


def _new_study() -> "optuna.Study":
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(storage=optuna.storages.InMemoryStorage())
    finally:
        optuna.logging.set_verbosity(level)


def _by_chance(trials: Trials, ranks: np.ndarray) -> float:
    """The largest share that comes about by chance, the mean over shuffled ranks."""
    rng = np.random.default_rng(0)
    largest = []
    for _ in range(_SHUFFLES):
        order = rng.permutation(len(ranks))[:_MOST_SHUFFLED]
        rows = [trials.values[index] for index in order]
        some = dataclasses.replace(trials, values=rows)
        shuffled = rng.permutation(ranks)[:_MOST_SHUFFLED]
        largest.append(max(_importances(some, shuffled, _FEW_TREES).values()))
    return float(np.mean(largest))


def _distribution(
    axis: Axis, trials: Trials
) -> "optuna.distributions.BaseDistribution":
    import optuna

    if not axis.choices:
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    everywhere = all(axis.name in row for row in trials.values)
    indices = [str(index) for index in range(len(axis.choices))]
    choices = indices if everywhere else [*indices, _UNUSED]
    return optuna.distributions.CategoricalDistribution(choices)


def _value(axis: Axis, row: dict[str, Any]) -> str | float:
    if axis.choices:
        return str(axis.at(row[axis.name])) if axis.name in row else _UNUSED
    return min(max(axis.share(row[axis.name]), 0.0), 1.0) if axis.name in row else 0.5


def _draw(trials: Trials, found: dict[str, float], chance: float) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = new_figure()
    figure.set_size_inches(7.0, 1.8 + 0.3 * len(found))
    heights = np.arange(len(found))[::-1]
    percents = 100 * np.array(list(found.values()))
    colours = ["C0" if share >= chance else "#a8c8e4" for share in found.values()]
    axes.barh(heights, percents, color=colours, height=0.7)
    axes.set_yticks(heights, [_named(name, trials) for name in found])
    label = f"largest by chance: {chance:.0%}"
    axes.axvline(100 * chance, color="0.4", linestyle=":", label=label)
    axes.grid(axis="y", visible=False)
    axes.tick_params(left=False)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.set(
        xlim=(0, 1.05 * max(percents.max(), 100 * chance)),
        ylim=(-0.6, len(found) - 0.4),
        xlabel=f"% of the ranking by {trials.objective} explained",
        title=f"Importance in {len(trials.scores)} completed trials",
    )
    figure.legend(loc="outside lower center", frameon=False)
    return figure


def _named(name: str, trials: Trials) -> str:
    used = sum(name in row for row in trials.values)
    return name if used == len(trials.values) else f"{name} (used in {used})"
