"""One study of Optuna, opened anew in every process."""

import os
import pathlib
import time

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from keras_trainkit.tuners._database import (
    RefusedDatabase,
    file_of,
    open_database,
    refusal,
    shown,
)
from keras_trainkit.tuners._owner import is_here, lives_here, myself, searched_by
from keras_trainkit.tuners._patient_storage import (
    PatientStorage,
    StorageFailed,
    locked_before_reading,
)
from keras_trainkit.tuners._quiet import quiet
from keras_trainkit.tuners._slots import OWNER, REASON, Slot, read_slots

HEARTBEAT_SECONDS = 10
_DIRECTIONS = {
    "min": optuna.study.StudyDirection.MINIMIZE,
    "max": optuna.study.StudyDirection.MAXIMIZE,
}
GRACE_SECONDS = 60

# What this process runs now, as `Store.begin` was told.
_begun: set[tuple] = set()


class Store:
    """The study of a search, by URL and name.

    It may be pickled; a process that gets it opens its own connection, and does not
    look for tables that were found before.

    Args:
        url: String or `sqlalchemy.URL`.
        name: String. Name of the study.
        direction: `"min"` or `"max"`.
        exists: Bool. The study was made before, and is refused if it is gone.
    """

    def __init__(self, url, name, direction, *, exists=False):
        self.url = url
        self.name = name
        self.direction = direction
        self.exists = exists
        self._opened: tuple | None = None
        self._has_tables = False
        self._looked_for_stale = 0.0

    def __getstate__(self):
        return {**self.__dict__, "_opened": None}

    @property
    def study(self) -> optuna.Study:
        """The study; made if there is none."""
        return self._open()[1]

    def study_of_one_trial(self, sampler) -> optuna.Study:
        """The study for the draws of one trial, with all trials that ended before.

        A study of Optuna reads the trials for its sampler once and keeps them until its
        own `tell`, which ends no trial here: see `end`.
        """
        return optuna.load_study(
            study_name=self.name,
            storage=self.storage,
            sampler=sampler,
            pruner=self.study.pruner,
        )

    @property
    def storage(self) -> PatientStorage:
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

    def add_attribute(self, name: str, value) -> bool:
        """Writes an attribute of the study; False if another process has done so."""
        return self.storage.add_study_user_attr(self._open()[2], name, value)

    def take(self, key) -> bool:
        """Moves a waiting trial to running; False if another process has it."""
        storage = self.storage
        storage.patiently(lambda: storage.record_heartbeat(key), shown(self.url))
        with locked_before_reading():
            return storage.set_trial_state_values(key, TrialState.RUNNING)

    def begin(self, key):
        """Says that this process runs the trial."""
        _begun.add((str(self.url), self.name, key))

    def leave(self, key):
        """Says that this process runs the trial no more, however it ended."""
        _begun.discard((str(self.url), self.name, key))

    def is_left(self, trial) -> bool:
        """Whether this process claimed the trial and runs it no more."""
        begun = (str(self.url), self.name, self.key(trial)) in _begun
        return trial.user_attrs.get(OWNER) == myself() and not begun

    def end(self, key, state, value=None):
        """Ends a trial of this process.

        Raises:
            UpdateFinishedTrialError: Another process ended it.
        """
        values = None if value is None else [value]
        self.storage.set_trial_state_values(key, state, values)

    def fail(self, key, reason=None):
        """Ends a trial as failed; without a reason it will be run again."""
        try:
            if reason is not None:
                self.storage.set_trial_user_attr(key, REASON, reason)
            self.storage.set_trial_state_values(key, TrialState.FAIL)
        except UpdateFinishedTrialError:
            pass  # another process ended it

    def fail_stale(self):
        """Fails the trials whose processes have been silent, on any machine.

        A process on this machine that lives may have been silent while it, the machine
        or its clock stood still; its trials are left to it.
        """
        if time.monotonic() < self._looked_for_stale + HEARTBEAT_SECONDS:
            return
        self._looked_for_stale = time.monotonic()
        stale = set(self.storage.stale(self._open()[2]))
        if not stale:
            return
        for trial in self.trials():
            silent = trial.state == TrialState.RUNNING and self.key(trial) in stale
            if silent and (self.is_left(trial) or not lives_here(trial)):
                self.fail(self.key(trial))

    def check_file(self):
        """Raises if the file was deleted or replaced, or is another one by now."""
        opened = self._open()[4]
        if opened is not None and opened != _inode(file_of(self.url)):
            raise StorageFailed(
                shown(self.url), "the file was deleted or replaced while it was in use"
            )

    def _open(self):
        if self._opened is None or self._opened[3] != os.getpid():
            if not self._has_tables:
                _check_exists(self.url, self.exists)
            storage = open_database(
                self.url, HEARTBEAT_SECONDS, GRACE_SECONDS, has_tables=self._has_tables
            )
            study, identity = self._study(storage)
            self._has_tables = True
            self._opened = (
                *(storage, study, identity, os.getpid()),
                _inode(file_of(self.url)),
            )
        return self._opened

    def _study(self, storage):
        try:
            if self.exists or self._has_tables:
                study = optuna.load_study(storage=storage, study_name=self.name)
            else:
                study = _made(storage, self.name, self.direction)
            study.get_trials(deepcopy=False)  # what is torn shows here
            return study, storage.get_study_id_from_name(self.name)
        except KeyError:
            raise _gone(self.url, f"without a study {self.name!r}") from None
        except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise refusal(self.url, error) from None


def sqlite_url(path: pathlib.Path) -> sqlalchemy.URL:
    """The URL of a file."""
    return sqlalchemy.URL.create("sqlite", database=str(path.absolute()))


def delete_study(url, name):
    """Deletes the study, if there is one and nobody is searching in it."""
    storage = open_database(url, HEARTBEAT_SECONDS, GRACE_SECONDS)
    try:
        identity = storage.get_study_id_from_name(name)
    except KeyError:
        return
    _refuse_running(storage, identity, (str(url), name))
    storage.delete_study(identity)


def refuse_running(url, name):
    """Raises if a living process runs a trial of the study in this file.

    Of a file that holds no study, or is torn, there is nothing to say.
    """
    file = file_of(url)
    if file is None or not file.exists() or not file.stat().st_size:
        return
    try:
        storage = open_database(url, HEARTBEAT_SECONDS, GRACE_SECONDS)
        identity = storage.get_study_id_from_name(name)
        _refuse_running(storage, identity, (str(url), name))
        storage.dispose()
    except (KeyError, StorageInternalError, RefusedDatabase):
        return


def _refuse_running(storage, identity, study):
    stale = storage.stale(identity)
    for trial in storage.get_all_trials(identity, deepcopy=False):
        owner = trial.user_attrs.get(OWNER)
        if trial.state != TrialState.RUNNING or owner is None:
            continue
        key = trial._trial_id
        if owner == myself():
            busy = (*study, key) in _begun
        else:
            busy = lives_here(trial) or not (is_here(owner) or key in stale)
        if busy:
            raise searched_by(owner)


def _made(storage, name, direction):
    with quiet():
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction=_DIRECTIONS[direction],
            load_if_exists=True,
        )


def _check_exists(url, exists):
    file = file_of(url)
    if not exists or file is None:
        return
    if not file.exists():
        raise _gone(url, "no such file")
    if file.stat().st_size == 0:
        raise _gone(url, "an empty file")


def _gone(url, what):
    return ValueError(
        "`directory` and `project_name` name a search that was begun before, whose "
        "study must be where it was; put it back, or begin a new search with "
        f"`overwrite=True`. Received: {shown(url)!r}, {what}."
    )


def _inode(file):
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino
