"""Optuna's storage, in a database that may be away for a while."""

import contextlib
import json
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._process_identity import OWNER

PATIENCE_SECONDS = 300
_LONGEST_WAIT_SECONDS = 5
# Codes of PostgreSQL and MySQL for a disk without room.
_FULL = ("53100", 1021, 1114)
_TRANSIENT = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)

_logger = logging.getLogger(__name__)
_locking = threading.local()
_Result = TypeVar("_Result")


class StorageFailed(StorageInternalError):
    """The database or a file of the search fails, and will not recover by itself.

    Args:
        location: String. The database or file.
        reason: String.
    """

    def __init__(self, location: str, reason: str):
        super().__init__(location, reason)
        self.location = location
        self.reason = reason

    def __str__(self) -> str:
        return (
            "The search is kept in a database and in files beside it, which must be "
            "whole and writable, on a disk with room left, and not away for more than "
            f"{PATIENCE_SECONDS} seconds. Received: {self.location}: {self.reason}"
        )


def database_error(error: BaseException) -> BaseException:
    """The database's error behind the one that Optuna raises instead of it."""
    while isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def reason_of(error: BaseException) -> str:
    """Message of the database."""
    found = database_error(error)
    if isinstance(found, StorageFailed):
        return found.reason
    return str(getattr(found, "orig", None) or found).strip()


def is_transient(error: BaseException) -> bool:
    """True if the same call may succeed later: a lock, a server that is restarted."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return True  # no connection was free
    if isinstance(error, sqlalchemy.exc.PendingRollbackError):
        return True  # Optuna went on reading after a query that lost the connection
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _TRANSIENT
    codes = (
        getattr(error.orig, "sqlstate", None),
        *getattr(error.orig, "args", ())[:1],
    )
    of_connection = (
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError,
        sqlalchemy.exc.InternalError,
    )
    transient = error.connection_invalidated or isinstance(error, of_connection)
    return transient and not any(code in _FULL for code in codes)


@contextlib.contextmanager
def locked_before_reading() -> Iterator[None]:
    """Within it nobody else writes between this thread's reads and its writes.

    Optuna locks the row it looks at, which SQLite does not have, and Python's sqlite3
    begins a transaction with its first write only: two processes could both find a
    trial waiting, and both take it.
    """
    _locking.first = True
    try:
        yield
    finally:
        _locking.first = False


def lock_before_reading(connection: sqlalchemy.Connection) -> None:
    """Listener for the beginning of SQLite's transactions."""
    if getattr(_locking, "first", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _repeated(name: str) -> Callable:
    def method(self: "PatientStorage", *args: Any, **kwargs: Any) -> Any:
        function = getattr(self._cached, name)
        return self.patiently(lambda: function(*args, **kwargs), self._location)

    method.__name__ = name
    return method


_Repeating: Any = type(
    "_Repeating",
    (optuna.storages.BaseStorage,),
    {
        name: _repeated(name)
        for name in vars(optuna.storages.BaseStorage)
        if not name.startswith("_")
    },
)


class PatientStorage(_Repeating):
    """Repeats every call until the database answers, for five minutes at most.

    A training that has ended keeps its result meanwhile. A call whose answer was lost
    with the connection may have been carried out: repeating it changes nothing.

    Args:
        backend: `optuna.storages.RDBStorage`.
        location: String. The database, for messages.
    """

    def __init__(self, backend: optuna.storages.RDBStorage, location: str):
        self._backend = backend
        self._cached = optuna.storages.get_storage(backend)
        self._location = location

    @staticmethod
    def patiently(call: Callable[[], _Result], location: str) -> _Result:
        """The result of `call()`, tried again while its error is transient."""
        deadline, wait = None, 0.1
        while True:
            try:
                return call()
            except StorageFailed:
                raise
            except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
                found = database_error(error)
                if deadline is None:
                    deadline = time.monotonic() + PATIENCE_SECONDS
                    warned = False
                reason = reason_of(found)
                if not is_transient(found) or time.monotonic() > deadline:
                    raise StorageFailed(location, reason) from error
            if not warned:
                _logger.warning(
                    "The database of the search does not answer and is asked again "
                    "for %d seconds: %s: %s",
                    PATIENCE_SECONDS,
                    location,
                    reason,
                )
                warned = True
            time.sleep(random.uniform(0.5, 1) * wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Any = None
    ) -> list[FrozenTrial]:
        """See Optuna. A study that was deleted meanwhile is a failure."""
        try:
            return super().get_all_trials(study_id, deepcopy, states)
        except KeyError as error:
            reason = "the study was deleted while it was in use"
            raise StorageFailed(self._location, reason) from error

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See Optuna."""
        attempts = 0

        def write() -> bool:
            nonlocal attempts
            attempts += 1
            try:
                return self._cached.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if attempts > 1 and self._is_written(trial_id, state, values):
                    return True
                raise

        done = self.patiently(write, self._location)
        if not done and state == TrialState.RUNNING and attempts > 1:
            self._give_back(trial_id)
        return done

    def record_heartbeat(self, trial_id: int) -> None:
        """Writes a heartbeat of the trial; tried once, since the next comes soon."""
        self._backend.record_heartbeat(trial_id)

    def stale(self, study_id: int) -> list[int]:
        """Keys of the running trials whose last heartbeat is too long ago."""
        # Optuna 5 has a public function only to fail them all.
        return self.patiently(
            lambda: self._backend._get_stale_trial_ids(study_id), self._location
        )

    def add_study_user_attr(self, study_id: int, key: str, value: Any) -> bool:
        """Writes the attribute; False if it, or an attempt at it, exists already.

        `set_study_user_attr` replaces what another process wrote a moment ago.
        """
        names = ("study_id", "key", "value_json")
        table = sqlalchemy.table(
            "study_user_attributes", *map(sqlalchemy.column, names)
        )
        row = dict(zip(names, (study_id, key, json.dumps(value)), strict=True))

        def write() -> bool:
            try:
                with self._backend.engine.begin() as connection:
                    connection.execute(sqlalchemy.insert(table).values(row))
            except sqlalchemy.exc.IntegrityError:
                return False
            return True

        return self.patiently(write, self._location)

    def dispose(self) -> None:
        """Closes the connections that are not in use."""
        self._backend.engine.dispose()

    def _is_written(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None
    ) -> bool:
        trial = self._backend.get_trial(trial_id)
        wanted = None if values is None else [float(value) for value in values]
        return trial.state == state and trial.values == wanted

    def _give_back(self, trial_id: int) -> None:
        """Fails a trial that this process may have taken; it is queued again then."""
        trial = self._backend.get_trial(trial_id)
        if trial.state == TrialState.RUNNING and OWNER not in trial.user_attrs:
            with contextlib.suppress(UpdateFinishedTrialError):
                self.set_trial_state_values(trial_id, TrialState.FAIL)
