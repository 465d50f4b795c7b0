"""Finished trials of a tuner: values, scores, and an axis per hyperparameter."""

import dataclasses
import math
from typing import Any

import numpy as np

from keras_trainkit.analysis._axis import Axis, axes_of


@dataclasses.dataclass(frozen=True)
class Trials:
    """The completed trials from the worst to the best, and the values of the others."""

    objective: str
    direction: str
    axes: list[Axis]
    names: list[str]
    values: list[dict[str, Any]]
    scores: np.ndarray
    others: list[dict[str, Any]]

    def axis(self, name) -> Axis | None:
        """The axis of this name."""
        return next((axis for axis in self.axes if axis.name == name), None)


def read_trials(tuner, at_least: int, purpose: str) -> Trials:
    """The trials of the kit's tuners and of KerasTuner's.

    Args:
        tuner: `keras_tuner.Tuner`.
        at_least: Int. Completed trials that are needed.
        purpose: String. What they are needed for, as the beginning of a message.
    """
    oracle = _oracle(tuner)
    trials = list(oracle.trials.values())
    done = [t for t in trials if t.status == "COMPLETED" and math.isfinite(t.score)]
    if len(done) < at_least:
        raise ValueError(
            f"{purpose} and needs at least {at_least} completed trials in `tuner`. "
            f"Received: {len(done)} completed of {len(trials)} trials."
        )
    sign = -1 if oracle.objective.direction == "max" else 1
    done.sort(key=lambda trial: sign * trial.score)  # the first of equals is best
    done.reverse()
    others = [t for t in trials if t.status in ("STOPPED", "FAILED", "INVALID")]
    rows = [trial.hyperparameters.values for trial in [*done, *others]]
    axes = axes_of(oracle.get_space().space, rows)
    if not axes:
        raise ValueError(
            f"{purpose} and needs a hyperparameter in `tuner` that is not fixed. "
            f"Received: {len(trials)} trials with {rows[0]}."
        )
    return Trials(
        oracle.objective.name,
        oracle.objective.direction,
        axes,
        [trial.trial_id for trial in done],
        rows[: len(done)],
        np.array([trial.score for trial in done]),
        rows[len(done) :],
    )


def _oracle(tuner):
    import keras_tuner

    if not isinstance(tuner, keras_tuner.engine.base_tuner.BaseTuner):
        raise ValueError(
            "`tuner` is the finished search and must be a tuner of the kit or of "
            f"KerasTuner. Received: tuner={tuner!r}."
        )
    return tuner.oracle
