"""AutoML for tables: trials around the recipe, then a model of the best few.

In the order in which they are used: `_search_space` says what may be tried,
`_trial_tuner` trains, `_time_limit` ends, `_trial_file` keeps, `_greedy_ensemble`
chooses, `_leaderboard` tells.
"""

import contextlib
import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from optuna.trial import TrialState

from keras_trainkit._types import Model
from keras_trainkit._warnings import warn_user
from keras_trainkit.estimators._leaderboard import Row, ensemble_row, trial_row
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._scoring import predictions_of
from keras_trainkit.estimators._search_folder import PURPOSE, begin
from keras_trainkit.estimators._search_space import searched
from keras_trainkit.estimators._time_limit import Clock, now
from keras_trainkit.estimators._training import Trained, compile_network
from keras_trainkit.estimators._trial_file import TrialNetworks
from keras_trainkit.estimators._trial_tuner import (
    CANDIDATES,
    Job,
    RecipeFailed,
    TrialTuner,
)
from keras_trainkit.layers import MemberMean
from keras_trainkit.models import ensemble
from keras_trainkit.tuners._search_loop import TooManyFailures


@dataclasses.dataclass(frozen=True)
class Found:
    """Outcome of a search.

    Args:
        trained: The model, the histories of its networks, and its outputs.
        recipe: Dict of name to `choice`, with what the search has added.
    """

    trained: Trained
    recipe: dict[str, dict[str, Any]]


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
        _warn_of_few(tuner, searched(job.recipe), trials)
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
    networks, shares = _networks_of(job, chosen, weights)
    model = _model_of(job, chosen, networks, shares)
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
        networks=networks,
        shares=shares,
    )
    return Found(trained, _recipe_of(job, chosen, weights, [*rows, last]))


def _candidates(tuner: TrialTuner) -> list[_Candidate]:
    found = []
    for record in tuner.completed():
        networks = tuner.read(record.index)
        if networks is None:
            warn_user(
                f"Left out of the ensemble: {name_of(record.index)}, whose file is "
                "missing in `directory` or broken.",
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
        warn_user(
            f"{begin}{len(failed)} of {len(records)} trials failed and are left out, "
            f"the last with {failed[-1].reason}",
        )


def _warn_of_few(tuner: TrialTuner, names: list[str], trials: int | None) -> None:
    """Warns where fewer trials were made because no others are left to make."""
    done = sum(record.is_finished for record in tuner.oracle.records())
    if not tuner.is_exhausted() or (trials is not None and done >= trials):
        return
    of = "" if trials is None else f" of {trials}"
    why = f"of {', '.join(names)} all values were tried, and" if names else "here"
    none = "" if names else ", which is all"
    warn_user(
        f"The search ended after {done}{of} trials, for there are no others: {why} "
        f"what the estimator was given is not searched{none}.",
    )


def _warn_if_cut(candidates: Sequence[_Candidate]) -> None:
    for candidate in candidates:
        if candidate.record.index == 0 and candidate.networks.is_cut:
            warn_user(
                "`time_limit` ended the training of the recipe; its best epoch so far "
                "counts. A longer limit, or fewer `epochs`, would let it end, in a new "
                "`directory`: this trial is not trained again.",
            )


def _networks_of(
    job: Job, chosen: Sequence[_Candidate], weights: Sequence[float]
) -> tuple[list[Model], list[float]]:
    """The networks of the trials, and the share of each in the ensemble."""
    networks, shares = [], []
    for candidate, weight in zip(chosen, weights, strict=True):
        values = job.values(candidate.record.values)
        keras.utils.set_random_seed(job.seed_of(candidate.record.index))
        found = candidate.networks.models(functools.partial(job.build, values))
        networks += found
        shares += [weight / len(found)] * len(found)
    return networks, shares


def _model_of(
    job: Job,
    chosen: Sequence[_Candidate],
    networks: Sequence[Model],
    shares: Sequence[float],
) -> Model:
    """The networks as one model, compiled as the recipe is."""
    model = networks[0]
    if len(networks) > 1:
        model = ensemble(networks, weights=shares if len(chosen) > 1 else None)
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
