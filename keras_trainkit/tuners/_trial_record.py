"""Records of a search: its trials in order, each with what it drew and how it ended.

A record is one configuration to be tried, and its index counts from 0. Most records
have one trial of Optuna. Where a process died over it a record has a second, which says
so in `retry_of`. A record whose values another process had drawn at the same moment is
left out, and its index with it. All other indices follow from what a trial was created
with, so every process counts alike.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._process_identity import CANDIDATE, OWNER
from keras_trainkit.tuners._search_study import (
    CHOSEN,
    REASON,
    REPEATED,
    RESULT,
    RETRY_OF,
    SETTLED,
    SURPLUS,
)


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """One configuration of a search: what was drawn, and how it ended.

    Args:
        index: Int. Position in the queue.
        attempts: Trials of Optuna. There is more than one where processes died; the
            last counts.
    """

    index: int
    attempts: Sequence[FrozenTrial]

    @property
    def name(self) -> str:
        """KerasTuner's `trial_id`."""
        return trial_name(self.index)

    @property
    def trial(self) -> FrozenTrial:
        """The attempt that counts."""
        return self.attempts[-1]

    @property
    def state(self) -> TrialState:
        """Optuna's state: COMPLETE, PRUNED for stopped, FAIL, RUNNING or WAITING."""
        return self.trial.state

    @property
    def is_lost(self) -> bool:
        """True if a process died over it and nobody has queued it again."""
        return self.state == TrialState.FAIL and self.reason is None

    @property
    def is_finished(self) -> bool:
        """True if it completed, was stopped, or failed with a reason."""
        return self.state.is_finished() and not self.is_lost

    @property
    def is_settled(self) -> bool:
        """True if it has drawn all values that its model is built with."""
        return SETTLED in self.trial.user_attrs

    @property
    def chosen(self) -> dict[str, Any]:
        """Values chosen by hand, `{"key": ..., "order": ..., "values": ...}`, or {}."""
        return self.trial.user_attrs.get(CHOSEN, {})

    @property
    def reason(self) -> str | None:
        """Message of the error that it failed with."""
        return self.trial.user_attrs.get(REASON)

    @property
    def score(self) -> float | None:
        """The objective of a completed trial, the mean over its trainings."""
        return self.trial.value if self.state == TrialState.COMPLETE else None

    @property
    def values(self) -> dict[str, Any]:
        """The configuration, as KerasTuner names it."""
        return self._result.get("values", {})

    @property
    def path(self) -> list[tuple]:
        """Name, distribution and value of all that was drawn, in that order."""
        given = self.trial.system_attrs.get("fixed_params", {})
        values = {**given, **self.trial.params}
        known = {n: d for t in self.attempts for n, d in t.distributions.items()}
        path = self._result.get("path")
        names = list(values) if path is None else [name for name, _ in path]
        return [(n, known[n], values[n]) for n in names if n in known and n in values]

    @property
    def scores(self) -> list[float]:
        """The objective of each training of a completed trial."""
        return self._result.get("scores", [])

    @property
    def spread(self) -> float | None:
        """Standard deviation of `scores`; None for a single training."""
        return self._result.get("spread")

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics at the best epoch, the mean over the trainings."""
        return self._result.get("metrics", {})

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the best objective, from 0, in the best training."""
        return self._result.get("best_step")

    @property
    def histories(self) -> list[dict[str, list[float]]]:
        """Logs of every epoch, a dict for each training."""
        return self._result.get("history", [])

    @property
    def epochs(self) -> int | None:
        """Epochs of all trainings."""
        return self._result.get("epochs")

    @property
    def seconds(self) -> float | None:
        """Seconds that the trial took."""
        return self._result.get("seconds")

    @property
    def retry(self) -> int:
        """Number of failures, retried in the same process, before the result."""
        return self._result.get("attempt", 0)

    @property
    def build_config(self) -> dict[str, Any] | None:
        """Shapes for `build_from_config`, of a model that `fit` built."""
        return self._result.get("build_config")

    @property
    def _result(self) -> dict[str, Any]:
        return self.trial.user_attrs.get(RESULT, {})


def trial_name(index: int) -> str:
    """KerasTuner's `trial_id`."""
    return f"{index:04d}"


def read_trials(
    trials: Iterable[FrozenTrial], *, with_repeated: bool = False
) -> list[TrialRecord]:
    """The records in the order of the search; attempts that came twice are left out.

    Trials that plain Optuna made and ran are no records: not `study.ask()`, whatever is
    told of it, nor `study.add_trial()`. What `study.enqueue_trial()` queued is one.

    Args:
        trials: Trials of the study.
        with_repeated: Bool. Keeps the records whose values another one has.
    """
    trials = list(trials)
    again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    trials = [t for t in trials if t.number in again or not _is_foreign(t)]
    records: list[list[FrozenTrial]] = []  # the attempts of each
    attempts_of: dict[int, list[FrozenTrial]] = {}
    retried, chosen = set(), set()
    for trial in sorted(trials, key=lambda trial: trial.number):
        attrs = trial.user_attrs
        original, key = attrs.get(RETRY_OF), attrs.get(CHOSEN, {}).get("key")
        if attrs.get(REASON) == SURPLUS or original in retried:
            continue
        if original is not None:
            if original not in attempts_of:
                continue
            retried.add(original)
            attempts_of[original].append(trial)
            attempts_of[trial.number] = attempts_of[original]
        elif key not in chosen:
            if key is not None:
                chosen.add(key)
            attempts_of[trial.number] = [trial]
            records.append(attempts_of[trial.number])
    found = [TrialRecord(*pair) for pair in enumerate(records)]
    return [r for r in found if with_repeated or r.reason != REPEATED]


def _is_foreign(trial: FrozenTrial) -> bool:
    queued = trial.state == TrialState.WAITING or "fixed_params" in trial.system_attrs
    marks = (RETRY_OF, CHOSEN, REASON, RESULT, OWNER)
    return not queued and not any(
        name in marks or name.startswith(CANDIDATE) for name in trial.user_attrs
    )


def finished(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The records that completed, were stopped, or failed with a reason."""
    return [record for record in records if record.is_finished]


def ranked(records: Iterable[TrialRecord], direction: str) -> list[TrialRecord]:
    """The completed records, best first; equals in the order of the search."""
    sign = -1 if direction == "max" else 1
    done = [
        (sign * record.score, record.index, record)
        for record in records
        if record.score is not None and math.isfinite(record.score)
    ]
    return [record for _, _, record in sorted(done, key=lambda part: part[:2])]
