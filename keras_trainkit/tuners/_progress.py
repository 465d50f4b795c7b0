"""The line by which a search shows how far it is."""

import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import keras_tuner

from keras_trainkit.tuners._trial_record import TrialRecord, finished, ranked


class Progress:
    """One line on trials done, the best so far, and the time left.

    On a terminal the line is written over; elsewhere there is one per trial.

    Args:
        objective: KerasTuner's objective.
        max_trials: Int or None.
        verbose: 0 for silence.
        seconds_left: Function of nothing: seconds until the search ends before
            `max_trials`, infinite if it does not. Or None.
    """

    def __init__(
        self,
        objective: keras_tuner.Objective,
        max_trials: int | None,
        verbose: Any,
        seconds_left: Callable[[], float] | None = None,
    ):
        self._objective = objective
        self._max_trials = max_trials
        self._silent = verbose == 0
        self._until_end = seconds_left
        self._began = self._latest = time.monotonic()
        self._done_before: int | None = None
        self._done = 0
        self._shown: str | None = None

    def show(self, records: list[TrialRecord]) -> None:
        """Writes the line if it has changed."""
        done = len(finished(records))
        if self._done_before is None:
            self._done_before = done
        if done != self._done:
            self._done, self._latest = done, time.monotonic()
        text = self._text(records, done)
        if self._silent or not done or self._shown == text:
            return
        start, end, width = ("", "\n", 0)
        if sys.stdout.isatty():  # over the line before, which may be longer
            start, end, width = "\r", "", len(self._shown or "")
        self._shown = text
        print(f"{start}{text:<{width}}", end=end, flush=True)

    def show_earlier(self, records: list[TrialRecord], folder: pathlib.Path) -> None:
        """Writes how many trials are older than this start."""
        done = len(finished(records))
        if done and not self._silent:
            print(f"Search: {done} of the trials were there already, in {folder}")

    def close(self) -> None:
        """Ends the line."""
        if self._shown is not None and sys.stdout.isatty():
            print()

    def _text(self, records: list[TrialRecord], done: int) -> str:
        total = "" if self._max_trials is None else f"/{self._max_trials}"
        text = f"Search: {done}{total} trials"
        best = ranked(records, self._objective.direction)
        if best:
            text += (
                f" | best {self._objective.name} {best[0].score:.5g} "
                f"(trial {best[0].name})"
            )
        left = self._seconds_left(done)
        return text if left == math.inf else f"{text} | {_clock(left)} left"

    def _seconds_left(self, done: int) -> float:
        until_end = math.inf if self._until_end is None else self._until_end()
        here = done - (self._done_before or 0)
        if self._max_trials is None or not here or done >= self._max_trials:
            return until_end
        spent = self._latest - self._began
        return min(until_end, spent / here * (self._max_trials - done))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
