import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from keras_trainkit._checks import check_count, check_number
from keras_trainkit.tuners._configuration_tree import PartialConfiguration
from keras_trainkit.tuners._sampler import IndependentSampler
from keras_trainkit.tuners._study_tuner import StudyTuner
from keras_trainkit.tuners._trial_record import TrialRecord

_EDGE = 0.1


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

    All other arguments are those of `RandomSearch`.

    With workers, a round may begin before the last trials of the one before are done.

    Source: Goodfellow et al., 2016, Deep Learning, section 11.4, there by hand.
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | list | None = "val_loss",
        max_trials: int = 30,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        rounds: int = 3,
        shrink: float = 0.5,
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
        check_count("rounds", rounds, "is the number of rounds")
        check_number(
            "shrink", shrink, "is the width left after a round", above=0, below=1
        )
        check_count("max_trials", max_trials, "is the number of trials of all rounds")
        self.rounds = rounds
        self.shrink = shrink
        self._starts = [-(-r * max_trials // rounds) for r in range(rounds)]
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
        return _CoarseSampler(
            self.oracle.records,
            configuration.index,
            self._starts,
            self.shrink,
            self.oracle.objective.direction,
            seed,
        )


class _CoarseSampler(IndependentSampler):
    """Draws in the window that the trials of earlier rounds leave.

    Args:
        records: Function that returns the records of the search.
        index: Int. Index of the trial.
        starts: First index of each round.
        shrink: Width left after a round.
        direction: `"min"` or `"max"`.
        seed: Int.
    """

    def __init__(
        self,
        records: Callable[[], list[TrialRecord]],
        index: int,
        starts: list[int],
        shrink: float,
        direction: str,
        seed: int,
    ):
        self._records = records
        self._index = index
        self._starts = starts
        self._shrink = shrink
        self._sign = -1 if direction == "max" else 1
        self._rng = np.random.default_rng(seed)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: Any,
    ) -> Any:
        """A value from the window."""
        scored = self._scored(param_name)
        begun = [start for start in self._starts[1:] if start <= self._index]
        if _is_choice(param_distribution):
            seen = [(v, s) for index, v, s in scored if begun and index < begun[-1]]
            share = self._shrink ** len(begun) if seen else 1.0
            kept = _kept_choices(seen, param_distribution, share)
            return kept[self._rng.integers(len(kept))]
        window = _Window()
        for start in begun:
            earlier = [(s, v) for index, v, s in scored if index < start]
            if earlier:
                _, best = min(earlier, key=lambda pair: pair[0])
                share = _to_share(best, param_distribution)
                window = window.around(share, self._shrink)
        return window.draw(self._rng, param_distribution)

    def _scored(self, name: str) -> list[tuple[int, Any, float]]:
        """Index, value and score (lower is better) of every completed trial."""
        return [
            (record.index, record.trial.params[name], self._sign * record.score)
            for record in self._records()
            if record.score is not None and name in record.trial.params
        ]


@dataclasses.dataclass(frozen=True)
class _Window:
    """A part of [0, 1]."""

    low: float = 0.0
    high: float = 1.0

    @property
    def width(self) -> float:
        """Its share of the range."""
        return self.high - self.low

    def around(self, best: float, shrink: float) -> "_Window":
        """The next window: narrower around the best, or wider if that is on an edge.

        The ends of the whole range are no edges: there is nothing behind them.
        """
        near = _EDGE * self.width
        at_low = best - self.low < near and self.low > 0
        at_high = self.high - best < near and self.high < 1
        on_edge = at_low or at_high
        width = min(1.0, self.width / shrink if on_edge else self.width * shrink)
        low = min(max(0.0, best - width / 2), 1 - width)
        return _Window(low, low + width)

    def draw(self, rng: np.random.Generator, distribution: Any) -> float:
        """A number from the window, with half a step around the numbers at its ends.

        So they are as likely as those between them.
        """
        half = (distribution.step or 0) / 2
        low, high = (_at(share, distribution) for share in (self.low, self.high))
        if distribution.log:
            return _on_grid(
                math.exp(rng.uniform(math.log(low - half), math.log(high + half))),
                distribution,
            )
        return _on_grid(rng.uniform(low - half, high + half), distribution)


def _to_share(value: float, distribution: Any) -> float:
    """Position of a number in its range."""
    low, high = _ends(distribution)
    if high == low:
        return 0.5
    value = math.log(value) if distribution.log else value
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _from_share(share: float, distribution: Any) -> float:
    """The number at a share of the range, on the grid of its step."""
    return _on_grid(_at(share, distribution), distribution)


def _at(share: float, distribution: Any) -> float:
    low, high = _ends(distribution)
    value = low + share * (high - low)
    return math.exp(value) if distribution.log else value


def _on_grid(value: float, distribution: Any) -> float:
    """The nearest number that the distribution holds."""
    if distribution.step is not None:
        steps = round((value - distribution.low) / distribution.step)
        value = distribution.low + steps * distribution.step
    return min(distribution.high, max(distribution.low, value))


def _kept_choices(
    scored: list[tuple[Any, float]], distribution: Any, share: float
) -> list[Any]:
    """The best `share` of the values, by the best score of each; at least one.

    Args:
        scored: Pairs of value and score, lower is better.
        distribution: `CategoricalDistribution`.
        share: Float in (0, 1].
    """
    best: dict[Any, float] = {}
    for value, score in scored:
        best[value] = min(score, best.get(value, math.inf))
    count = max(1, math.ceil(share * len(distribution.choices)))
    ranked = sorted(distribution.choices, key=lambda choice: best.get(choice, math.inf))
    return ranked[:count]


def _is_choice(distribution: Any) -> bool:
    """True if values are listed and have no order."""
    return isinstance(distribution, CategoricalDistribution)


def _ends(distribution: Any) -> tuple[float, float]:
    low, high = distribution.low, distribution.high
    return (math.log(low), math.log(high)) if distribution.log else (low, high)
