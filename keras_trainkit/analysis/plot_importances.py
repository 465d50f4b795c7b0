import pathlib

import numpy as np

from keras_trainkit.analysis._figures import check_path, new_figure, save
from keras_trainkit.analysis._trials import read_trials

_FEWEST = 10
_UNUSED = "unused"


def plot_importances(tuner, path: str | pathlib.Path) -> dict[str, float]:
    """Draws how much of the difference between trials each hyperparameter explains.

    The shares come from Optuna's fANOVA: a forest of trees is fitted to the completed
    trials, and the importance of a hyperparameter is the variance of the forest's mean
    over all the others. It is fitted to the ranks of the scores, so that a trial that
    diverged is the last one and no more, and to a logarithmic range by its logarithm.
    Few trials tell little: a share that matters stands well above the smallest ones.

    A hyperparameter that only some trials use counts in the others as the middle of
    its range, or as a choice of its own; its bar says in how many trials it was used.
    Its share is small where few trials used it, however much it matters there.

    Args:
        tuner: Tuner of the kit or of KerasTuner, after its search or within it.
        path: File to write; `.png`, `.pdf` or `.svg`.

    Returns:
        Dict from the names of the hyperparameters that are not fixed to shares that
        sum to 1, the largest first. The same trials give the same shares.

    Raises:
        ValueError: For another suffix, for what is no tuner, for fewer than 10
            completed trials, for equal scores, or where all hyperparameters are fixed.

    Example:

    ```python
    shares = analysis.plot_importances(tuner, "importances.png")
    ```

    Source: Hutter et al., 2014, proceedings.mlr.press/v32/hutter14.html. Ranks in
    place of scores are not there; with scores one diverged trial explains most.
    """
    check_path(path)
    trials = read_trials(tuner, _FEWEST, "The importances are learned from trials")
    if trials.scores[0] == trials.scores[-1]:
        raise ValueError(
            "The importances explain why scores differ and need trials in `tuner` that "
            f"do not all score the same. Received: {len(trials.scores)} scores of "
            f"{trials.scores[0]}."
        )
    found = _importances(trials)
    save(_draw(trials, found), path)
    return found


def _importances(trials):
    import optuna
    from scipy.stats import rankdata

    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    ranges = {axis.name: _distribution(axis, trials) for axis in trials.axes}
    for row, rank in zip(trials.values, rankdata(trials.scores), strict=True):
        values = {axis.name: _value(axis, row) for axis in trials.axes}
        study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions=ranges, value=float(rank)
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}


def _distribution(axis, trials):
    import optuna

    if not axis.choices:
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    everywhere = all(axis.name in row for row in trials.values)
    places = [str(place) for place in range(len(axis.choices))]
    choices = places if everywhere else [*places, _UNUSED]
    return optuna.distributions.CategoricalDistribution(choices)


def _value(axis, row):
    if axis.choices:
        return str(axis.at(row[axis.name])) if axis.name in row else _UNUSED
    return min(max(axis.share(row[axis.name]), 0.0), 1.0) if axis.name in row else 0.5


def _draw(trials, found):
    figure, (axes,) = new_figure()
    figure.set_size_inches(7.0, max(2.4, 1.2 + 0.32 * len(found)))
    places = np.arange(len(found))[::-1]
    axes.barh(places, list(found.values()), color="C0", height=0.7)
    axes.set_yticks(places, [_named(name, trials) for name in found])
    for place, share in zip(places, found.values(), strict=True):
        axes.annotate(
            f"{share:.0%}",
            (share, place),
            xytext=(3, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=9,
        )
    axes.grid(axis="y", visible=False)
    axes.tick_params(left=False)
    axes.set(
        xlim=(0, 1.1 * max(found.values())),
        xlabel=f"share of the ranking by {trials.objective} explained",
        title=f"Importance in {len(trials.scores)} completed trials",
    )
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    return figure


def _named(name, trials):
    used = sum(name in row for row in trials.values)
    return name if used == len(trials.values) else f"{name} (used in {used})"
