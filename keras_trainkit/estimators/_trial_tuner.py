"""The tuner of the trials around the recipe, which is the first of them."""

import dataclasses
import functools
import math
import pathlib
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner
import numpy as np
import optuna
from optuna.trial import TrialState

from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._types import Model
from keras_trainkit.estimators._greedy_ensemble import MOST, ROUNDS, greedy_ensemble
from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._random_state import MOST_SEED
from keras_trainkit.estimators._scoring import Scoring, predictions_of
from keras_trainkit.estimators._search_folder import PURPOSE
from keras_trainkit.estimators._search_space import search_space, values_of
from keras_trainkit.estimators._time_limit import Clock, TimeLimit, now, too_short
from keras_trainkit.estimators._training import (
    Goal,
    finite_history,
    targets,
    trained_networks,
)
from keras_trainkit.estimators._trial_file import (
    TrialNetworks,
    read_predict_seconds,
    read_trial,
    write_trial,
)
from keras_trainkit.tuners import BayesianOptimization
from keras_trainkit.tuners._configuration_tree import tree_of
from keras_trainkit.tuners._progress import Progress

STUDY = "study"  # folder of the tuner in that of the search
CANDIDATES = 25  # trials among which the ensemble is chosen


@dataclasses.dataclass(frozen=True)
class Job:
    """The data that every trial trains on, and the score by which it is judged.

    Args:
        recipe: Dict of name to `choice`: the first trial, around which is searched.
        build: Function of the values of a recipe: a new model, not compiled.
        parts: As in `train`.
        goal: As in `train`.
        seed: Int. Of the first trial; each has another.
        scoring: `Scoring`, by which trials are compared.
        weights: `sample_weight` of the validation rows, in the order of the parts, or
            None.
    """

    recipe: dict[str, dict[str, Any]]
    build: Callable[[dict[str, Any]], Model]
    parts: Sequence[Part]
    goal: Goal
    seed: int
    scoring: Scoring
    weights: np.ndarray | None = None

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """Codes or numbers of the validation rows, in the order of the parts."""
        return np.concatenate([part.validation.y for part in self.parts])

    @property
    def shape(self) -> tuple[int, int]:
        """Validation rows and outputs of a network."""
        return len(self.truth), targets(self.truth[:1], self.goal).shape[1]

    def score(self, predictions: np.ndarray) -> float:
        """The score of predictions for the validation rows; higher is better."""
        return self.scoring.score(self.truth, predictions, self.weights)

    def values(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """Values of the recipe with those of a trial in their place."""
        return values_of(self.recipe, chosen)

    def seed_of(self, index: int) -> int:
        """Seed of the first network of a trial; the recipe's is that of no search."""
        if index == 0:
            return self.seed
        drawn = np.random.SeedSequence([self.seed, index]).generate_state(1)
        return int(drawn[0]) % MOST_SEED


class RecipeFailed(BaseException):
    """An error of the first trial, which ends the search.

    No `Exception`, so that the study does not count the trial as failed, and the same
    call tries it again.
    """

    def __init__(self, error: Exception):
        super().__init__(str(error))
        self.error = error


class TrialTuner(BayesianOptimization):
    """Searches the space around the recipe, which is tried first.

    Args:
        job: `Job`.
        clock: `Clock`.
        folder: Path of the search.
        trials: Int, or None without an end.
    """

    def __init__(
        self, job: Job, clock: Clock, folder: pathlib.Path, trials: int | None
    ):
        self._job = job
        self._clock = clock
        self._build_seconds: list[float] = []  # of the networks of this start
        self._score_seconds: list[float] = []  # of its trials
        self._seconds: list[float] = []  # of the trials of this start
        scoring = job.scoring
        super().__init__(
            objective=keras_tuner.Objective(scoring.name, scoring.direction),
            max_trials=trials,
            hyperparameters=search_space(job.recipe),
            seed=job.seed,
            directory=folder,
            project_name=STUDY,
        )
        recipe = self.oracle.get_space().values
        if recipe:
            self.enqueue(dict(recipe))

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        index, began = int(trial.trial_id), now()
        try:
            score = self._run_networks(index, trial.hyperparameters.values)
            self._seconds.append(now() - began)
            return score
        except Exception as error:
            if index == 0:
                raise RecipeFailed(error) from error
            raise

    def is_over(self) -> bool:
        done = self.completed()
        if not done:
            self._check_recipe()
            return False
        self._reserve(len(done) + 1)
        seconds = self._seconds or [record.seconds for record in done]
        return self._clock.left < statistics.median(seconds)

    def is_exhausted(self) -> bool:
        """True if every combination of values has been tried."""
        return not tree_of(self._search_study.trials()).has_more()

    def _check_recipe(self) -> None:
        """Raises where no trial has a score, and the recipe will have none."""
        recipe = next((r for r in self.oracle.records() if r.index == 0), None)
        if recipe is None:
            return
        if recipe.is_finished:
            raise RecipeFailed(
                ValueError(
                    f"{PURPOSE} must be one whose first trial, the recipe, can be "
                    "trained; a new folder begins anew. Received: "
                    f"{str(self._folder.parent)!r}, where it failed: {recipe.reason}"
                )
            )
        if recipe.state == TrialState.RUNNING and self._clock.left <= 0:
            raise RecipeFailed(
                ValueError(
                    "`time_limit` is the seconds that a search may take and must be "
                    "enough for the recipe, which another process is training in "
                    f"`directory`. Received: time_limit={self._clock.limit}."
                )
            )

    def completed(self) -> list[Any]:
        """Records of the trials that have a score, best first."""
        sign = -1 if self._job.scoring.direction == "max" else 1
        records = [r for r in self.oracle.records() if r.state == TrialState.COMPLETE]
        return sorted(records, key=lambda record: (sign * record.score, record.index))

    def _run_networks(self, index: int, chosen: dict[str, Any]) -> dict[str, float]:
        job = self._job
        self._reserve(len(self.completed()) + 1)
        watch = TimeLimit(self._clock, len(job.parts), must_end=index == 0)
        values, seed = job.values(chosen), job.seed_of(index)
        goal = dataclasses.replace(job.goal, watch=[watch])
        release_graphs()
        trained = []
        for network in trained_networks(values, self._built, job.parts, goal, seed):
            trained.append(network)
            if watch.is_over and (len(trained) < len(job.parts) or watch.is_short):
                raise self._cut(index, len(trained))
        histories = [history for network in trained for history in network.histories]
        finite_history(histories, values["learning_rate"])
        found = TrialNetworks.of(trained, watch.is_over)
        write_trial(self._folder_of(index), found)
        return {job.scoring.name: self._measure(found.outputs)}

    def _measure(self, outputs: np.ndarray) -> float:
        predictions, began = predictions_of(outputs, self._job.goal.task), now()
        score = self._job.score(predictions)
        self._score_seconds.append(now() - began)
        return score if self._job.scoring.direction == "max" else -score

    def _cut(self, index: int, done: int) -> Exception:
        """The end of a trial whose networks the time limit left not trained enough."""
        if index > 0:
            return optuna.TrialPruned()
        parts, clock = len(self._job.parts), self._clock
        needed = clock.elapsed * parts / done
        return too_short(clock, needed, f"in time were {done} of {parts} networks")

    def _built(self, values: dict[str, Any]) -> Model:
        began = now()
        model = self._job.build(values)
        self._build_seconds.append(now() - began)
        self._reserve(len(self.completed()) + 1)
        return model

    def choose(self, predictions: np.ndarray) -> np.ndarray:
        """Number of times that each trial counts in the ensemble: `(trials,)`, ints.

        Args:
            predictions: `(trials, rows, ...)`.
        """
        self._clock.reserve = self._seconds_to_build(len(predictions))
        return greedy_ensemble(
            predictions, self._job.score, is_over=lambda: self._clock.left <= 0
        )

    def _reserve(self, trials: int) -> None:
        """Keeps time for an ensemble of so many trials.

        A slow score gets a tenth of the limit at most; the choice ends by the clock.
        """
        seconds = statistics.median(self._score_seconds or [0.0])
        scores = seconds * ROUNDS * min(trials, CANDIDATES)
        most = (self._clock.limit or math.inf) / 10
        self._clock.reserve = self._seconds_to_build(trials) + min(scores, most)

    def _seconds_to_build(self, trials: int) -> float:
        """Seconds to build each network again, and to call it in the ensemble."""
        networks = min(trials, MOST) * len(self._job.parts)
        return 2 * statistics.median(self._build_seconds or [0.0]) * networks

    def _folder_of(self, index: int) -> pathlib.Path:
        return self._folder / f"trial_{index:04d}"

    def read(self, index: int) -> TrialNetworks | None:
        """The networks of a trial, None where their file is gone or another's."""
        return read_trial(self._folder_of(index), len(self._job.parts), self._job.shape)

    def predict_seconds(self, index: int) -> float:
        """Seconds of the predictions of a trial, NaN where its file is gone."""
        return read_predict_seconds(self._folder_of(index))

    def _make_progress(self, verbose: Any) -> Progress:
        objective = self.oracle.objective
        return Progress(objective, self.max_trials, verbose, self._seconds_left)

    def _seconds_left(self) -> float:
        """Seconds left of the limit, with those kept for the ensemble."""
        return max(0.0, self._clock.left + self._clock.reserve)
