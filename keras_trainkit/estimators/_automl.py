"""AutoML for tables: trials around the recipe, then a model of the best few.

In the order in which they are used: `_search_space` says what may be tried,
`TrialTuner` trains, `_time_limit` ends, `_trial_file` keeps, `_greedy_ensemble`
chooses, `_leaderboard` tells.
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
from optuna.trial import TrialState

from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._types import Model
from keras_trainkit.estimators._greedy_ensemble import MOST, ROUNDS, greedy_ensemble
from keras_trainkit.estimators._leaderboard import Row, ensemble_row, trial_row
from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._random_state import MOST_SEED
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._scoring import Scoring
from keras_trainkit.estimators._search_folder import PURPOSE, begin
from keras_trainkit.estimators._search_space import search_space, searched, values_of
from keras_trainkit.estimators._time_limit import Clock, TimeLimit, now, too_short
from keras_trainkit.estimators._training import (
    Goal,
    Trained,
    compile_network,
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
from keras_trainkit.layers import MemberMean
from keras_trainkit.models import ensemble
from keras_trainkit.tuners import BayesianOptimization
from keras_trainkit.tuners._search_loop import Progress, TooManyFailures

STUDY = "study"  # folder of the tuner in that of the search
CANDIDATES = 25  # trials among which the ensemble is chosen


@dataclasses.dataclass(frozen=True)
class Job:
    """What every trial trains on, and how it is judged.

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


@dataclasses.dataclass(frozen=True)
class Found:
    """Outcome of a search.

    Args:
        trained: The model, the histories of its networks, and its outputs.
        recipe: Dict of name to `choice`, with what the search has added.
    """

    trained: Trained
    recipe: dict[str, dict[str, Any]]


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
        """How often each trial counts in the ensemble: `(trials,)`, ints.

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
        """What the predictions of a trial took, NaN where its file is gone."""
        return read_predict_seconds(self._folder_of(index))

    def _make_progress(self, verbose: Any) -> Progress:
        objective = self.oracle.objective
        return Progress(objective, self.max_trials, verbose, self._seconds_left)

    def _seconds_left(self) -> float:
        """Seconds left of the limit, with those kept for the ensemble."""
        return max(0.0, self._clock.left + self._clock.reserve)


def search(
    job: Job,
    clock: Clock,
    trials: int | None,
    directory: pathlib.Path | None,
    description: dict[str, Any],
    verbose: Any,
) -> Found:
    """Trials until their number or the time is reached, and a model of the best.

    Args:
        directory: Folder of the search, or None for one that is removed afterwards.
        description: Plain values by which the folder is known again.
        verbose: As in `StudyTuner.search`.
    """
    with _folder(directory) as folder:
        if directory is not None:
            begin(folder, description)
        with _naming(directory):
            tuner = TrialTuner(job, clock, folder, trials)
            clock.spent = sum(r.seconds or 0 for r in tuner.oracle.records())
            ends_early = _run(tuner, verbose)
        _warn_of_failures(tuner, ends_early)
        return _chosen(job, tuner)


def _run(tuner: TrialTuner, verbose: Any) -> bool:
    """True if failures in a row ended the search, with trials before them."""
    try:
        tuner.search(verbose=verbose)
    except TooManyFailures:
        if not tuner.completed():
            raise
        return True
    return False


@contextlib.contextmanager
def _naming(directory: pathlib.Path | None) -> Iterator[None]:
    """Within it errors of the tuner are told in the words of the estimator."""
    try:
        yield
    except RecipeFailed as failed:
        raise failed.error from failed.error.__cause__
    except ValueError as error:
        if directory is None:
            raise
        received = str(error).rpartition("Received: ")[2]
        raise ValueError(
            f"{PURPOSE} must hold what the search has left there, on a disk that this "
            "process may write to; a new folder begins anew. "
            f"Received: {str(directory)!r}: {received}"
        ) from error


@contextlib.contextmanager
def _folder(directory: pathlib.Path | None) -> Iterator[pathlib.Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="keras_trainkit_") as name:
        yield pathlib.Path(name)


def predictions_of(outputs: np.ndarray, task: str) -> np.ndarray:
    """Probabilities `(rows, classes)` of logits; numbers as they are. In float64."""
    outputs = np.asarray(outputs, "float64")
    if task == "regression":
        return outputs
    if task == "binary":
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A trial that may be in the ensemble."""

    record: Any
    networks: TrialNetworks

    @property
    def name(self) -> str:
        return name_of(self.record.index)


def name_of(index: int) -> str:
    """A trial's name in the leaderboard."""
    return "recipe" if index == 0 else f"trial_{index:04d}"


def _chosen(job: Job, tuner: TrialTuner) -> Found:
    began = now()
    candidates = _candidates(tuner)
    _warn_if_cut(candidates)
    task = job.goal.task
    predictions = np.stack(
        [predictions_of(c.networks.outputs, task) for c in candidates]
    )
    counts = tuner.choose(predictions)
    order = sorted(np.flatnonzero(counts), key=lambda n: (-counts[n], n))
    chosen = [candidates[number] for number in order]
    weights = [float(counts[number] / counts.sum()) for number in order]
    model = _model_of(job, chosen, weights)
    seconds = now() - began
    began = now()
    outputs = _mean_of(model, chosen, weights)
    seconds_of_mean = now() - began
    share = dict(zip((c.name for c in chosen), weights, strict=True))
    rows = [_row(job, r, tuner, share) for r in tuner.completed()]
    score = job.score(np.tensordot(counts / counts.sum(), predictions, 1))
    last = ensemble_row(rows, score, job.scoring.name, (seconds, seconds_of_mean))
    histories = [(c.record.index, h) for c in chosen for h in c.networks.histories]
    trained = Trained(
        model,
        [history for _, history in histories],
        outputs,
        trials=[trial for trial, _ in histories],
    )
    return Found(trained, _recipe_of(job, chosen, weights, [*rows, last]))


def _candidates(tuner: TrialTuner) -> list[_Candidate]:
    found = []
    for record in tuner.completed():
        networks = tuner.read(record.index)
        if networks is None:
            warnings.warn(
                f"Left out of the ensemble: {name_of(record.index)}, whose file is "
                "missing in `directory` or broken.",
                stacklevel=7,
            )
        else:
            found.append(_Candidate(record, networks))
        if len(found) == CANDIDATES:
            break
    if not found:
        raise ValueError(
            "`directory` is the folder of the search and must hold the networks of its "
            "trials; a new folder begins anew. Received: no trial whose networks are "
            "there."
        )
    return found


def _warn_of_failures(tuner: TrialTuner, ends_early: bool) -> None:
    records = [record for record in tuner.oracle.records() if record.is_finished]
    failed = [record for record in records if record.state == TrialState.FAIL]
    if failed:
        begin = "The search ended early: " if ends_early else ""
        warnings.warn(
            f"{begin}{len(failed)} of {len(records)} trials failed and are left out, "
            f"the last with {failed[-1].reason}",
            stacklevel=6,
        )


def _warn_if_cut(candidates: Sequence[_Candidate]) -> None:
    for candidate in candidates:
        if candidate.record.index == 0 and candidate.networks.is_cut:
            warnings.warn(
                "`time_limit` ended the training of the recipe; its best epoch so far "
                "counts. A longer limit, or fewer `epochs`, would let it end, in a new "
                "`directory`: this trial is not trained again.",
                stacklevel=7,
            )


def _model_of(
    job: Job, chosen: Sequence[_Candidate], weights: Sequence[float]
) -> Model:
    """The networks of the trials as one model, compiled as the recipe is."""
    networks, of_networks = [], []
    for candidate, weight in zip(chosen, weights, strict=True):
        values = job.values(candidate.record.values)
        keras.utils.set_random_seed(job.seed_of(candidate.record.index))
        found = candidate.networks.models(functools.partial(job.build, values))
        networks += found
        of_networks += [weight / len(found)] * len(found)
    model = networks[0]
    if len(networks) > 1:
        model = ensemble(networks, weights=of_networks if len(chosen) > 1 else None)
    values = job.values(chosen[0].record.values)
    compile_network(model, values, job.parts[0].training, job.goal)
    return model


def _mean_of(
    model: Model, chosen: Sequence[_Candidate], weights: Sequence[float]
) -> np.ndarray:
    """Outputs of the ensemble for the validation rows, as its model would give them."""
    outputs = np.stack([c.networks.outputs for c in chosen], axis=1)
    if len(chosen) == 1:
        return outputs[:, 0]
    # Whatever Keras computes in: half precision has no number above 65,504.
    mean = MemberMean(model.layers[-1].kind, shares=list(weights), dtype="float32")
    return keras.ops.convert_to_numpy(mean(outputs))


def _row(
    job: Job,
    record: Any,
    tuner: TrialTuner,
    share: dict[str, float],
) -> Row:
    sign = 1 if job.scoring.direction == "max" else -1
    name = name_of(record.index)
    seconds = (record.seconds, tuner.predict_seconds(record.index))
    score = sign * record.score
    order = record.index + 1
    return trial_row(
        name, order, score, job.scoring.name, seconds, share.get(name, 0.0)
    )


def _recipe_of(
    job: Job,
    chosen: Sequence[_Candidate],
    weights: Sequence[float],
    rows: Sequence[Row],
) -> dict[str, dict[str, Any]]:
    """The numbers of the network that counts most, and of each in the ensemble."""
    first = job.values(chosen[0].record.values)
    names = searched(job.recipe)
    recipe = {
        name: choice(first[name], f"of {chosen[0].name}, which counts most in `models`")
        if name in names
        else job.recipe[name]
        for name in job.recipe
    }
    models = [
        {
            "model": candidate.name,
            "weight": weight,
            **{name: job.values(candidate.record.values)[name] for name in names},
        }
        for candidate, weight in zip(chosen, weights, strict=True)
    ]
    name = job.scoring.name
    trials = len(rows) - 1
    return {
        **recipe,
        "models": choice(models, f"by their mean's {name}, of {trials} trials"),
        "scoring": choice(name, "of the validation rows, compares trials"),
        "leaderboard": choice(list(rows), "of all trials that ended"),
    }
