"""One study of Optuna, opened anew in every process."""

import contextlib
import os
import pathlib
import time
import warnings

import optuna
from optuna.trial import TrialState

from keras_trainkit.tuners._database import locked_before_reading, open_database
from keras_trainkit.tuners._quiet import quiet
from keras_trainkit.tuners._slots import REASON, Slot, read_slots

HEARTBEAT_SECONDS = 10
_DIRECTIONS = {
    "min": optuna.study.StudyDirection.MINIMIZE,
    "max": optuna.study.StudyDirection.MAXIMIZE,
}
GRACE_SECONDS = 60


class Store:
    """The study of a search, by URL and name.

    It may be pickled; a process that gets it opens its own connection, and does not
    look for tables that were found before.

    Args:
        url: String. Database URL for SQLAlchemy.
        name: String. Name of the study.
        direction: `"min"` or `"max"`.
    """

    def __init__(self, url, name, direction):
        self.url = url
        self.name = name
        self.direction = direction
        self._opened: tuple | None = None
        self._has_tables = False
        self._looked_for_stale = 0.0

    def __getstate__(self):
        return {**self.__dict__, "_opened": None}

    @property
    def study(self) -> optuna.Study:
        """The study; made if there is none."""
        return self._open()[1]

    @property
    def storage(self) -> optuna.storages.RDBStorage:
        """What the study is kept in."""
        return self._open()[0]

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials, read now."""
        return self.study.get_trials(deepcopy=False)

    def slots(self) -> list[Slot]:
        """The places of the search, read now."""
        return read_slots(self.trials())

    def key(self, trial) -> int:
        """Optuna's key of the trial."""
        return trial._trial_id

    def add(self, **fields) -> int:
        """Adds a trial and returns its key."""
        template = optuna.trial.create_trial(**fields)
        return self.storage.create_new_trial(self._open()[2], template)

    def take(self, key) -> bool:
        """Moves a waiting trial to running; False if another process has it."""
        self.storage.record_heartbeat(key)
        with locked_before_reading():
            return self.storage.set_trial_state_values(key, TrialState.RUNNING)

    def fail(self, key, reason=None):
        """Ends a trial as failed; without a reason it will be run again."""
        try:
            if reason is not None:
                self.storage.set_trial_user_attr(key, REASON, reason)
            self.storage.set_trial_state_values(key, TrialState.FAIL)
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # another process ended it

    def fail_stale(self):
        """Fails the trials whose processes have been silent, on any machine."""
        if time.monotonic() < self._looked_for_stale + HEARTBEAT_SECONDS:
            return
        self._looked_for_stale = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)

    def _open(self):
        if self._opened is None or self._opened[3] != os.getpid():
            storage = open_database(
                self.url, HEARTBEAT_SECONDS, GRACE_SECONDS, has_tables=self._has_tables
            )
            self._has_tables = True
            study = _study(storage, self.name, self.direction)
            identity = storage.get_study_id_from_name(self.name)
            self._opened = (storage, study, identity, os.getpid())
        return self._opened


def sqlite_url(path: pathlib.Path) -> str:
    """The URL of a file."""
    return f"sqlite:///{path.absolute()}"


def delete_study(url, name):
    """Deletes the study, if there is one."""
    storage = open_database(url, HEARTBEAT_SECONDS, GRACE_SECONDS)
    with contextlib.suppress(KeyError):
        storage.delete_study(storage.get_study_id_from_name(name))


def _study(storage, name, direction):
    with quiet():
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction=_DIRECTIONS[direction],
            load_if_exists=True,
        )
