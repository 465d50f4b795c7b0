"""One line that says how far a search is."""

import sys
import time

from keras_trainkit.tuners._slots import finished
from keras_trainkit.tuners._views import ranked, trial_name


class Progress:
    """Trials done, the best so far, the time left.

    On a terminal the line is written over; elsewhere there is one per trial.

    Args:
        objective: KerasTuner's objective.
        max_trials: Int or None.
        verbose: 0 for silence.
    """

    def __init__(self, objective, max_trials, verbose):
        self._objective = objective
        self._max_trials = max_trials
        self._silent = verbose == 0
        self._began = self._latest = time.monotonic()
        self._done_before: int | None = None
        self._done = 0
        self._shown: str | None = None

    def show(self, slots):
        """Writes the line if it has changed."""
        done = len(finished(slots))
        if self._done_before is None:
            self._done_before = done
        if done != self._done:
            self._done, self._latest = done, time.monotonic()
        text = self._text(slots, done)
        if self._silent or not done or self._shown == text:
            return
        self._shown = text
        start, end = ("\r", "") if sys.stdout.isatty() else ("", "\n")
        print(f"{start}{text}", end=end, flush=True)

    def say_what_was_there(self, slots, folder):
        """Writes how many trials are older than this start."""
        done = len(finished(slots))
        if done and not self._silent:
            print(f"Search: {done} of the trials were there already, in {folder}")

    def close(self):
        """Ends the line."""
        if self._shown is not None and sys.stdout.isatty():
            print()

    def _text(self, slots, done):
        total = "" if self._max_trials is None else f"/{self._max_trials}"
        text = f"Search: {done}{total} trials"
        best = ranked(slots, self._objective.direction)
        if best:
            text += (
                f" | best {self._objective.name} {best[0].trial.value:.5g} "
                f"(trial {trial_name(best[0].place)})"
            )
        left = self._seconds_left(done)
        return text if left is None else f"{text} | {_clock(left)} left"

    def _seconds_left(self, done):
        here = done - self._done_before
        if self._max_trials is None or not here or done >= self._max_trials:
            return None
        spent = self._latest - self._began
        return spent / here * (self._max_trials - done)


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
