"""One claimed trial, from its values to its end in the study, here or in a child."""

import contextlib
import copy
import functools
import json
import logging
import math
import statistics
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError, FatalError
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._configuration_tree import (
    PartialConfiguration,
    Repeated,
    settle,
    tree_of,
)
from keras_trainkit.tuners._cross_validation import wilcoxon_test
from keras_trainkit.tuners._hyperparameters import (
    SuggestedHyperParameters,
    SuggestedValues,
)
from keras_trainkit.tuners._patient_storage import StorageFailed
from keras_trainkit.tuners._processes import (
    check_guarded,
    death_message,
    shorten,
    start,
    stop,
    wait_for_end,
)
from keras_trainkit.tuners._score import Score, mean_metrics, scores_of
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._search_study import REASON, REPEATED, RESULT
from keras_trainkit.tuners._training import RunningTrial, Training
from keras_trainkit.tuners._trial_queue import Claim
from keras_trainkit.tuners._trial_record import TrialRecord, read_trials, trial_name
from keras_trainkit.tuners._trial_weights import weights_path

_MAX_REASON = 2000
_MAX_TRACEBACK = 20_000

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


def _begin(search: Search, claim: Claim) -> "_TrialWriter":
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
    return _TrialWriter(
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


def _run_attempts(search: Search, writer: "_TrialWriter") -> None:
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
    warnings.warn(
        "`oracle.update_trial` in `run_trial` is KerasTuner's old way to give a "
        "result. Please remove the call and return the metrics.",
        DeprecationWarning,
        stacklevel=2,
    )
    return reported if results is None else results


def _warn_of_unused(chosen: dict[str, Any], trial: Trial) -> None:
    unused = sorted(set(chosen) - {hp.name for hp in trial.hyperparameters.space})
    if unused:
        warnings.warn(
            f"Values chosen by hand for {', '.join(unused)} had no effect: the "
            "hypermodel has no such hyperparameter.",
            stacklevel=2,
        )


class _TrialWriter:
    """Writes a trial's result and final state to the study.

    Args:
        search: `Search`.
        claim: `Claim`.
        drawn: Optuna's trial.
        suggested: `SuggestedValues`, of this trial.
        chosen: Values chosen by hand.
        is_judged: Bool. The tuner may stop the trial.

    Attributes:
        trial: KerasTuner's trial.
        chosen: As given.
        is_dropped: True if another trial has the same values.
    """

    def __init__(
        self,
        search: Search,
        claim: Claim,
        drawn: optuna.Trial,
        suggested: SuggestedValues,
        chosen: dict[str, Any],
        *,
        is_judged: bool,
    ):
        oracle = search.tuner.oracle
        hyperparameters = SuggestedHyperParameters(
            suggested, oracle.given, oracle.tune_new_entries, oracle.allow_new_entries
        )
        self.trial = RunningTrial(hyperparameters, trial_name(claim.index))
        self.chosen = chosen
        self.is_dropped = False
        self._search = search
        self._study = search.study
        self._claim = claim
        self._drawn = drawn
        self._suggested = suggested
        self._is_judged = is_judged
        self._is_settled = search.tuner.allow_repeats
        self._started = time.perf_counter()
        self.begin(0)

    def begin(self, retry: int) -> None:
        """Gives the trial a new training."""
        search, tuner, index = self._search, self._search.tuner, self._claim.index
        one_fold = tuner.folds == 1
        self._shown: dict[int, float] = {}
        self.trial.training = Training(
            search,
            self.trial,
            index,
            retry=retry,
            judge=functools.partial(tuner.judge, index) if self._is_judged else None,
            report=None if one_fold else self._wilcoxon_test(),
            settle=self.settle,
            show_epoch=self._show if one_fold else None,
            weights=weights_path(search.folder, self.trial.trial_id),
        )

    def settle(self) -> None:
        """Raises `Repeated` where another process tries the same; once per trial."""
        if not self._is_settled:
            settle(self._study, self._claim)
            self._is_settled = True

    def drop(self) -> None:
        """Ends a trial whose values another one has."""
        self.is_dropped = True
        self._study.fail(self._claim.key, REPEATED)

    def complete(self, scores: list[Score]) -> None:
        """Ends a trial with the mean of its scores."""
        values = [score.value for score in scores]
        better_than = self._search.tuner.oracle.objective.better_than
        best = scores[0]
        for score in scores[1:]:
            if better_than(score.value, best.value):
                best = score
        self._write(
            scores=values,
            spread=statistics.stdev(values) if len(values) > 1 else None,
            metrics=mean_metrics(scores),
            best_step=best.best_step,
        )
        value = statistics.fmean(values)
        self._study.end(self._claim.key, TrialState.COMPLETE, value)

    def stop(self) -> None:
        """Ends a trial that was stopped early, with its last value."""
        self._write()
        stopped_at = self.trial.training.stopped_at
        if stopped_at is not None and self._search.tuner.folds == 1:
            # TPE ranks stopped trials by how far they came, then by this value.
            self._show(*stopped_at)
        self._study.end(self._claim.key, TrialState.PRUNED, self._last_shown())

    def fail(self, error: Exception) -> None:
        """Ends a trial with the error as the reason."""
        text = "".join(traceback.format_exception(error))
        self._write(traceback=shorten(text, _MAX_TRACEBACK))
        reason = f"{type(error).__name__}: {error}".strip()
        self._study.set_attribute(self._claim.key, REASON, shorten(reason, _MAX_REASON))
        self._study.end(self._claim.key, TrialState.FAIL)

    def is_lost(self) -> bool:
        """True if another process ended the trial."""
        trial = self._study.storage.get_trial(self._claim.key)
        return trial.state != TrialState.RUNNING

    def _wilcoxon_test(self) -> Callable[[int, float], bool]:
        folds, study = self._search.tuner.folds, self._drawn.study
        return wilcoxon_test(study, folds, self._show, self._trial_of_this_attempt)

    def _trial_of_this_attempt(self) -> FrozenTrial:
        trial = copy.copy(self._study.storage.get_trial(self._claim.key))
        trial.intermediate_values = dict(self._shown)
        return trial

    def _show(self, step: int, value: float) -> None:
        """Writes the objective after an epoch or a fold."""
        self._shown[step] = value
        # A retry writes over what it does again, which `optuna.Trial.report` refuses.
        # A curve is no reason to lose a training over.
        with contextlib.suppress(StorageInternalError):
            self._study.storage.set_trial_intermediate_value(
                self._claim.key, step, value
            )

    def _last_shown(self) -> float | None:
        if not self._shown:
            return None
        value = self._shown[max(self._shown)]
        return None if math.isnan(value) else value

    def _write(self, **fields: Any) -> None:
        training = self.trial.training
        result = {
            "values": self.trial.hyperparameters.values,
            "path": self._suggested.path,
            "seconds": time.perf_counter() - self._started,
            "epochs": training.epochs,
            "history": training.histories,
            "attempt": training.retry,
            "build_config": training.build_config,
            **fields,
        }
        self._search.tuner.oracle.learn_space(self.trial.hyperparameters)
        self._study.set_attribute(
            self._claim.key, RESULT, json.loads(json.dumps(result, default=str))
        )
