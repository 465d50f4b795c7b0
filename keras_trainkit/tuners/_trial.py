"""One claimed trial, from its values to its end in the study, here or in a child."""

import contextlib
import logging
from typing import Any

import optuna
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError, FatalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from keras_trainkit._warnings import warn_user
from keras_trainkit.tuners._configuration_tree import (
    PartialConfiguration,
    Repeated,
    tree_of,
)
from keras_trainkit.tuners._hyperparameters import (
    SuggestedHyperParameters,
    SuggestedValues,
)
from keras_trainkit.tuners._patient_storage import StorageFailed
from keras_trainkit.tuners._processes import (
    check_guarded,
    death_message,
    start,
    stop,
    wait_for_end,
)
from keras_trainkit.tuners._score import scores_of
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._trial_queue import Claim
from keras_trainkit.tuners._trial_record import TrialRecord, read_trials, trial_name
from keras_trainkit.tuners._trial_writer import TrialWriter

_logger = logging.getLogger(__name__)


class ClaimLost(Exception):
    """Another process ended the trial that this one runs."""


def run_claimed(search: Search, claim: Claim) -> None:
    """Runs the trial and writes how it ended; raises errors that end the search.

    A trial that another process has taken up meanwhile, since this one was silent, is
    that process's own: the result here is left out.
    """
    tuner, study = search.tuner, search.study
    try:
        writer = _begin(search, claim)
        tuner.on_trial_begin(writer.trial)
        _run_attempts(search, writer)
    except (ClaimLost, UpdateFinishedTrialError):
        _logger.warning(
            "Trial %s was run again by another process while this one was silent; its "
            "result there counts.",
            trial_name(claim.index),
        )
        return
    except BaseException as error:
        # An interrupt, or a storage that failed: no fault of the trial, which is to be
        # run again. A trial that has its reason by now stays as it is. An isolated
        # process leaves its end to the one that started it.
        if isinstance(error, Exception) or not tuner.isolate:
            with contextlib.suppress(Exception):
                study.fail(claim.key)
        raise
    tuner.on_trial_end(writer.trial)
    if not writer.is_dropped:
        _warn_of_unused(writer.chosen, writer.trial)


def run_isolated(search: Search, claim: Claim) -> None:
    """Runs the trial in a child, which gives all its memory back when it ends.

    A child that ends without a result, by whatever way, is a failed trial.
    """
    study = search.study
    attempts = 1 + search.tuner.oracle.max_retries_per_trial
    try:
        for attempt in range(attempts):
            reason = _run_in_child(search, claim)
            if study.storage.get_trial(claim.key).state != TrialState.RUNNING:
                return
            if attempt == attempts - 1:
                study.fail(claim.key, reason)
    except BaseException:
        # The search ends, and the trial is to be run again if it has no reason.
        with contextlib.suppress(Exception):
            study.fail(claim.key)
        raise


def _run_in_child(search: Search, claim: Claim) -> str:
    """Returns why the trial failed, if the child left it without an end."""
    timeout = search.tuner.trial_timeout
    process, receiver = start(run_claimed, search, claim)
    try:
        if not wait_for_end(process, receiver, timeout):
            return f"It took longer than trial_timeout={timeout} seconds."
        check_guarded(process)
        return death_message(process)
    finally:
        stop(process, receiver)


def _begin(search: Search, claim: Claim) -> TrialWriter:
    """Prepares the draws of the trial, all but those that `run_trial` asks for."""
    tuner, study, sampler = search.tuner, search.study, search.sampler
    trials = study.trials()
    records = read_trials(trials)
    own = TrialRecord(claim.index, [study.storage.get_trial(claim.key)])
    chosen = own.chosen.get("values", {})
    takes_defaults = _takes_defaults(tuner.hypermodel, records, claim.index)
    tree = None if tuner.allow_repeats else tree_of(trials, claim.index)
    configuration = PartialConfiguration(claim.index, tree)
    study.optuna_study.sampler = sampler
    sampler.begin(configuration, one_by_one=bool(chosen) or takes_defaults)
    drawn = optuna.trial.Trial(study.study_of_one_trial(sampler), claim.key)
    suggested = SuggestedValues(
        drawn,
        configuration,
        search.as_parameter,
        chosen=chosen,
        force=sampler.force,
        prefer=sampler.prefer if takes_defaults else None,
    )
    return TrialWriter(
        search, claim, drawn, suggested, chosen, is_judged=not takes_defaults
    )


def _takes_defaults(hypermodel: Any, records: list[TrialRecord], index: int) -> bool:
    """True if this trial is the recipe that a hypermodel's defaults are.

    It is the first that is not chosen by hand, and nothing stops it, so that no search
    ends with less.
    """
    if not getattr(hypermodel, "begins_with_defaults", False):
        return False
    return index == next((r.index for r in records if not r.chosen), None)


def _run_attempts(search: Search, writer: TrialWriter) -> None:
    tuner = search.tuner
    last = tuner.oracle.max_retries_per_trial
    for attempt in range(1 + last):
        writer.begin(attempt)
        try:
            _draw_ahead(tuner.hypermodel, writer.trial.hyperparameters)
            results = _results(search, writer.trial)
            writer.settle()
            scores = scores_of(results, tuner.oracle.objective)
        except Repeated:
            writer.drop()
            return
        except optuna.TrialPruned:
            writer.stop()
            return
        except StorageFailed:  # no fault of the training
            raise
        except Exception as error:
            if writer.is_lost():
                raise ClaimLost from error
            ends_search = isinstance(error, FatalError)
            if ends_search or isinstance(error, FailedTrialError) or attempt == last:
                writer.fail(error)
                if ends_search:
                    raise
                return
        else:
            writer.complete(scores)
            return


def _draw_ahead(hypermodel: Any, hyperparameters: SuggestedHyperParameters) -> None:
    """Draws what is known before the model is built, as KerasTuner does."""
    hyperparameters.draw_given()
    if hypermodel is not None:
        hypermodel.declare_hyperparameters(hyperparameters)


def _results(search: Search, trial: Trial) -> Any:
    tuner = search.tuner
    results = tuner.run_trial(trial, *search.args, **search.kwargs)
    reported = tuner.oracle.take_reported(trial.trial_id)
    if reported is None:
        return results
    warn_user(
        "`oracle.update_trial` in `run_trial` is KerasTuner's old way to give a "
        "result. Please remove the call and return the metrics.",
        DeprecationWarning,
    )
    return reported if results is None else results


def _warn_of_unused(chosen: dict[str, Any], trial: Trial) -> None:
    unused = sorted(set(chosen) - {hp.name for hp in trial.hyperparameters.space})
    if unused:
        warn_user(
            f"Values chosen by hand for {', '.join(unused)} had no effect: the "
            "hypermodel has no such hyperparameter.",
        )
