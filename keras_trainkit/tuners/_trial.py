"""Running one claimed trial, from its values to its end in the study."""

import contextlib
import json
import logging
import math
import statistics
import time
import traceback
import warnings
from typing import Any

import optuna
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError, FatalError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from keras_trainkit.tuners._configuration_tree import Repeated, Tried, settle
from keras_trainkit.tuners._hyperparameters import Asking
from keras_trainkit.tuners._patient_storage import StorageFailed
from keras_trainkit.tuners._processes import (
    check_guarded,
    died_how,
    shortened,
    start,
    stop,
    wait_for_end,
)
from keras_trainkit.tuners._score import scores_of
from keras_trainkit.tuners._training import Training
from keras_trainkit.tuners._trial_queue import (
    CHOSEN,
    REASON,
    REPEATED,
    RESULT,
    trial_name,
)

_logger = logging.getLogger(__name__)


def run_claimed(tuner, claim, args, kwargs):
    """Runs the trial and writes how it ended; raises what must end the search.

    A trial that another process has taken up meanwhile, since this one was silent, is
    its own: what came of it here is left out.
    """
    store = tuner._store
    try:
        ending, chosen = _prepared(tuner, claim)
        tuner.on_trial_begin(ending.trial)
        _attempts(ending, args, kwargs)
    except (ClaimLost, UpdateFinishedTrialError):
        _logger.warning(
            "Trial %s was run again by another process while this one was silent; its "
            "result there counts.",
            trial_name(claim.index),
        )
        return
    except BaseException as error:
        # An interrupt, or a storage that failed: nobody's fault, to be run again. A
        # trial that has its reason by now stays as it is. A process of its own leaves
        # its end to the one that started it.
        if isinstance(error, Exception) or not tuner.isolate:
            with contextlib.suppress(Exception):
                store.fail(claim.key)
        raise
    tuner.on_trial_end(ending.trial)
    if not ending.is_dropped:
        _warn_of_unused(chosen, ending.trial)


class ClaimLost(Exception):
    """Another process ended the trial that this one runs."""


def _prepared(tuner, claim):
    store = tuner._store
    attrs = store.storage.get_trial(claim.key).user_attrs
    chosen = attrs.get(CHOSEN, {}).get("values", {})
    sampler = store.study.sampler = tuner._sampler
    records = store.records()
    first = _begins_with_defaults(tuner.hypermodel, records, claim.index)
    others = [record for record in records if record.index != claim.index]
    asked: dict[str, Any] = {
        "tried": None if tuner.allow_repeats else Tried(others),
        "steps": [],
    }
    sampler.begin(claim.index, one_by_one=bool(chosen) or first, **asked)
    drawn = optuna.trial.Trial(store.study_of_one_trial(sampler), claim.key)
    asking = Asking(
        *(drawn, chosen, sampler.force, tuner._as_parameter),
        suggest=sampler.suggest if first else None,
        **asked,
    )
    trial = Trial(tuner._asking_hyperparameters(asking), trial_name(claim.index))
    ending = _Ending(tuner, claim, trial, asking, drawn, is_judged=not first)
    return ending, chosen


def _begins_with_defaults(hypermodel, records, index):
    """Whether this trial is the recipe that a hypermodel's defaults are.

    It is the first that is not chosen by hand, and nothing stops it, so that no search
    ends below it.
    """
    if not getattr(hypermodel, "begins_with_defaults", False):
        return False
    drawn = (record.index for record in records if not record.chosen)
    return index == next(drawn, None)


def _attempts(ending, args, kwargs):
    tuner = ending.tuner
    last = tuner.oracle.max_retries_per_trial
    for attempt in range(1 + last):
        ending.begin(attempt)
        try:
            tuner._ask_ahead(ending.trial.hyperparameters)
            results = _results(tuner, ending.trial, args, kwargs)
            ending.settle()
            scores = scores_of(results, tuner.oracle.objective)
        except Repeated:
            ending.drop()
            return
        except optuna.TrialPruned:
            ending.stop()
            return
        except StorageFailed:  # no fault of the training
            raise
        except Exception as error:
            if ending.is_lost():
                raise ClaimLost from error
            ends_search = isinstance(error, FatalError)
            if ends_search or isinstance(error, FailedTrialError) or attempt == last:
                ending.fail(error)
                if ends_search:
                    raise
                return
        else:
            ending.complete(scores)
            return


def _results(tuner, trial, args, kwargs):
    results = tuner.run_trial(trial, *args, **kwargs)
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


def _warn_of_unused(chosen, trial):
    unused = sorted(set(chosen) - {hp.name for hp in trial.hyperparameters.space})
    if unused:
        warnings.warn(
            f"Values chosen by hand for {', '.join(unused)} had no effect: the "
            "hypermodel has no such hyperparameter.",
            stacklevel=2,
        )


class _Ending:
    """Writes what a trial was and how it ended."""

    def __init__(self, tuner, claim, trial, asking, drawn, *, is_judged):
        self.is_dropped = False
        self._is_judged = is_judged
        self._is_settled = tuner.allow_repeats
        self.tuner = tuner
        self.claim = claim
        self.trial = trial
        self._asking = asking
        self._started = time.perf_counter()
        self._drawn = drawn
        self.begin(0)

    def begin(self, attempt):
        tuner = self.tuner
        tuner._training = self._training = Training(
            tuner,
            self.trial,
            self.claim.index,
            attempt=attempt,
            judge=tuner._judge_of(self.claim) if self._is_judged else None,
            settle=self.settle,
            curve=self._show_epoch if tuner.folds == 1 else None,
            report=tuner._report_of(self._drawn),
            weights=tuner._weights_path(self.trial.trial_id),
        )

    def settle(self):
        """Raises `Repeated` where another process tries the same; once per trial."""
        if not self._is_settled:
            settle(self.tuner._store, self.claim)
            self._is_settled = True

    def drop(self):
        self.is_dropped = True
        self.tuner._store.fail(self.claim.key, REPEATED)

    def complete(self, scores):
        values = [score.value for score in scores]
        best = scores[0]
        for score in scores[1:]:
            if self.tuner.oracle.objective.better_than(score.value, best.value):
                best = score
        self._write(
            scores=values,
            spread=statistics.stdev(values) if len(values) > 1 else None,
            metrics=_mean_metrics(scores),
            best_step=best.best_step,
        )
        value = statistics.fmean(values)
        self.tuner._store.end(self.claim.key, TrialState.COMPLETE, value)

    def stop(self):
        self._write()
        stopped = self._training.stopped
        if stopped is not None and self.tuner.folds == 1:
            # What TPE ranks a stopped trial by: how far it came, and how good it was.
            self._show_epoch(*stopped)
        store = self.tuner._store
        store.end(self.claim.key, TrialState.PRUNED, self._last_reported())

    def _show_epoch(self, epochs, value):
        # A retry writes over what it does again, which `optuna.Trial.report` refuses.
        # A curve is no reason to lose a training over.
        with contextlib.suppress(optuna.exceptions.StorageInternalError):
            self.tuner._store.storage.set_trial_intermediate_value(
                self.claim.key, epochs, value
            )

    def fail(self, error):
        text = "".join(traceback.format_exception(error))
        self._write(traceback=shortened(text, 20_000))
        reason = f"{type(error).__name__}: {error}".strip()
        store = self.tuner._store
        store.storage.set_trial_user_attr(
            self.claim.key, REASON, shortened(reason, 2000)
        )
        store.end(self.claim.key, TrialState.FAIL)

    def is_lost(self):
        """Whether another process ended the trial."""
        trial = self.tuner._store.storage.get_trial(self.claim.key)
        return trial.state != TrialState.RUNNING

    def _last_reported(self):
        trial = self.tuner._store.storage.get_trial(self.claim.key)
        value = trial.intermediate_values.get(trial.last_step, math.nan)
        return None if math.isnan(value) else value

    def _write(self, **fields):
        training = self._training
        result = {
            "values": self.trial.hyperparameters.values,
            "path": self._asking.path,
            "seconds": time.perf_counter() - self._started,
            "epochs": training.epochs,
            "history": training.histories,
            "attempt": training.attempt,
            "build_config": training.build_config,
            **fields,
        }
        self.tuner._learn_space(self.trial.hyperparameters)
        self.tuner._store.storage.set_trial_user_attr(
            self.claim.key, RESULT, json.loads(json.dumps(result, default=str))
        )


def _mean_metrics(scores):
    names = set.intersection(*(set(score.metrics) for score in scores))
    return {n: statistics.fmean(s.metrics[n] for s in scores) for n in sorted(names)}


def run_isolated(tuner, claim, args, kwargs):
    """Runs the trial in a child, which gives all its memory back when it ends.

    A child that ends without a result, by whatever way, is a failed trial.
    """
    store = tuner._store
    attempts = 1 + tuner.oracle.max_retries_per_trial
    try:
        for attempt in range(attempts):
            reason = _run_in_child(tuner, claim, args, kwargs)
            if store.storage.get_trial(claim.key).state != TrialState.RUNNING:
                return
            if attempt == attempts - 1:
                store.fail(claim.key, reason)
    except BaseException:
        # The search ends, and the trial is to be run again if it has no reason.
        with contextlib.suppress(Exception):
            store.fail(claim.key)
        raise


def _run_in_child(tuner, claim, args, kwargs):
    process, receiver = start(run_claimed, tuner, claim, args, kwargs)
    try:
        if not wait_for_end(process, receiver, tuner.trial_timeout):
            return f"It took longer than trial_timeout={tuner.trial_timeout} seconds."
        check_guarded(process)
        return died_how(process)
    finally:
        stop(process, receiver)
