import math
import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import optuna

from keras_trainkit._checks import check_count
from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._score import best_epoch
from keras_trainkit.tuners._study_tuner import StudyTuner

_INITIAL_POINTS = 10


class Hyperband(StudyTuner):
    """Tries many configurations and stops most of them early.

    A trial is trained once, for up to `max_epochs`, and judged at the rungs of its
    bracket while it runs: only if its best value so far is among the best `1 / factor`
    of all finished trials that came as far does it continue, with its weights, its
    optimizer and its schedule untouched. Nothing is ever restarted. With
    `max_epochs=27, factor=3`:

    | bracket | trials | judged after epochs |
    | ------- | ------ | ------------------- |
    | 3       | 27     | 1, 3, 9             |
    | 2       | 12     | 3, 9                |
    | 1       | 6      | 9                   |
    | 0       | 4      | never               |

    A stopped trial has the state PRUNED, and is never the best. Values are drawn by
    TPE from the trials before, after ten at random. The defaults of the kit's
    hypermodels, which are tried first, are never stopped.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`; to be found in the logs of every epoch.
        max_epochs: Int >= 1. Epochs of a trial that is never stopped; takes the place
            of `epochs` in `search`, so that schedules span it in every trial.
        factor: Int >= 2. The reduction factor: of `factor` trials one continues.
        hyperband_iterations: Int >= 1. How often all brackets are gone through.
        max_trials: Int >= 1, or None for the trials of all brackets.

    All other arguments are those of `RandomSearch`. With `executions_per_trial` or
    `folds` the first training is judged, and the others of a trial that passed run to
    their end.

    Source: Li et al., 2018, arXiv:1603.06560; stopping without waiting for the whole
    rung is Li et al., 2020, arXiv:1810.05934; drawing by TPE is Falkner et al., 2018,
    arXiv:1807.01774. Different there: a trial is compared with those of its own
    bracket, here with all that have reached the epoch, since all are trained alike.
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        max_trials: int | None = None,
        directory: str | os.PathLike = ".",
        project_name: str = "search",
        storage: str | None = None,
        executions_per_trial: int = 1,
        folds: int = 1,
        min_improvement: float | None = None,
        patience: int | None = None,
        isolate: bool = False,
        trial_timeout: float | None = None,
        allow_repeats: bool = False,
        overwrite: bool = False,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        loss: keras.losses.Loss | str | None = None,
        metrics: list | None = None,
        max_model_size: int | None = None,
        distribution_strategy: Any = None,
        logger: Any = None,
        tuner_id: str | None = None,
    ):
        check_count("max_epochs", max_epochs, "is the length of a whole trial")
        check_count(
            "factor",
            factor,
            "is the reduction factor (of `factor` trials one continues)",
            at_least=2,
        )
        check_count(
            "hyperband_iterations",
            hyperband_iterations,
            "is how often all brackets are gone through",
        )
        self.max_epochs = int(max_epochs)
        self.factor = int(factor)
        self.hyperband_iterations = int(hyperband_iterations)
        if max_trials is None:
            sizes = (size for size, _ in _brackets(max_epochs, factor))
            max_trials = hyperband_iterations * sum(sizes)
        super().__init__(
            hypermodel,
            objective,
            max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            directory=directory,
            project_name=project_name,
            storage=storage,
            executions_per_trial=executions_per_trial,
            folds=folds,
            min_improvement=min_improvement,
            patience=patience,
            isolate=isolate,
            trial_timeout=trial_timeout,
            allow_repeats=allow_repeats,
            overwrite=overwrite,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            max_model_size=max_model_size,
            distribution_strategy=distribution_strategy,
            logger=logger,
            tuner_id=tuner_id,
        )

    def _make_sampler(
        self, seed: int, configuration: PartialConfiguration
    ) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(n_startup_trials=_INITIAL_POINTS, seed=seed)

    def fit_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments of `search`, with `max_epochs` in place of `epochs`."""
        self._check_validated(kwargs.get("validation_freq", 1))
        return {**kwargs, "epochs": self.max_epochs}

    def judge(self, index: int, epochs: int, best: float | None) -> bool:
        """False stops the trial, at a rung where it is not among the best."""
        if epochs not in _rungs_of(index, self.max_epochs, self.factor):
            return True
        others = self._bests_at(epochs, index)
        maximize = self.oracle.objective.direction == "max"
        return _is_among_best(best, others, self.factor, maximize)

    def _check_validated(self, validation_freq: Any) -> None:
        objective = self.oracle.objective
        parts = getattr(objective, "objectives", [objective])
        if not any(part.name.startswith("val_") for part in parts):
            return
        _, hardest = _brackets(self.max_epochs, self.factor)[0]
        first = min(hardest, default=self.max_epochs)
        if not any(_is_validated(n, validation_freq) for n in range(1, first + 1)):
            raise ValueError(
                "`validation_freq` says which epochs are validated, and trials are "
                f"first compared after epoch {first}, so one up to it must be. "
                f"Received: validation_freq={validation_freq!r}."
            )

    def _bests_at(self, epochs: int, index: int) -> list[float]:
        """Best value up to this epoch of every other finished trial that reached it."""
        objective = self.oracle.objective
        found = []
        for record in self.oracle.records():
            history = record.histories[0] if record.histories else {}
            if record.index == index or not history:
                continue
            cut = {name: values[:epochs] for name, values in history.items()}
            if min(map(len, cut.values())) < epochs:
                continue
            epoch = best_epoch(cut, objective)
            if epoch is not None:
                logs = {name: values[epoch] for name, values in cut.items()}
                found.append(objective.get_value(logs))
        return found


def _is_validated(epoch: int, validation_freq: Any) -> bool:
    """True if Keras validates after this epoch, the first of which is 1."""
    if isinstance(validation_freq, int):
        return epoch % validation_freq == 0
    return epoch in validation_freq


def _brackets(max_epochs: int, factor: int) -> list[tuple[int, list[int]]]:
    """For each bracket, from the hardest on, its trials and the epochs of its rungs.

    Bracket s has trials that are judged s times before `max_epochs`, first at
    `max_epochs / factor**s`. Sizes are KerasTuner's: about the same epochs in each.
    """
    most = 0
    while factor ** (most + 1) <= max_epochs:
        most += 1
    found = []
    for halvings in range(most, -1, -1):
        final = math.ceil(1 + math.log(max_epochs, factor)) / (halvings + 1)
        size = math.ceil(final * factor**halvings)
        rungs = [math.ceil(max_epochs / factor**s) for s in range(halvings, 0, -1)]
        found.append((size, rungs))
    return found


def _rungs_of(index: int, max_epochs: int, factor: int) -> list[int]:
    """The epochs at which the trial of this index is judged."""
    planned = _brackets(max_epochs, factor)
    index %= sum(size for size, _ in planned)
    for size, rungs in planned:
        if index < size:
            return rungs
        index -= size
    raise AssertionError(index)


def _is_among_best(
    value: float | None, others: list[float], factor: int, maximize: bool
) -> bool:
    """True for a trial among the best `1 / factor` of those that came so far.

    With fewer than `factor` trials at the rung only the best continues.
    """
    if value is None:
        return False
    sign = -1 if maximize else 1
    better = sum(sign * other < sign * value for other in others)
    return better < max(1, (len(others) + 1) // factor)
