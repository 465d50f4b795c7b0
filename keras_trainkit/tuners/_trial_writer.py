"""Result and final state of one trial, written to the study."""

import contextlib
import copy
import functools
import json
import math
import statistics
import time
import traceback
from collections.abc import Callable
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._configuration_tree import settle
from keras_trainkit.tuners._cross_validation import wilcoxon_test
from keras_trainkit.tuners._hyperparameters import (
    SuggestedHyperParameters,
    SuggestedValues,
)
from keras_trainkit.tuners._processes import shorten
from keras_trainkit.tuners._score import Score, mean_metrics
from keras_trainkit.tuners._search import Search
from keras_trainkit.tuners._search_study import REASON, REPEATED, RESULT
from keras_trainkit.tuners._training import RunningTrial, Training
from keras_trainkit.tuners._trial_queue import Claim
from keras_trainkit.tuners._trial_record import trial_name
from keras_trainkit.tuners._trial_weights import weights_path

_MAX_REASON = 2000
_MAX_TRACEBACK = 20_000


class TrialWriter:
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
