"""Connection to the study of a search, opened anew in every process; heartbeats."""

import contextlib
import dataclasses
import os
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError

from keras_trainkit.tuners._database import (
    Url,
    file_of,
    masked_url,
    open_database,
    refused_database,
)
from keras_trainkit.tuners._patient_storage import PatientStorage, StorageFailed

HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60

_DIRECTIONS = {
    "min": optuna.study.StudyDirection.MINIMIZE,
    "max": optuna.study.StudyDirection.MAXIMIZE,
}


class StudyConnection:
    """Optuna's study and its storage, by URL and name.

    It may be pickled; a process that gets it opens its own connection, and does not
    look for tables that were found before.

    Args:
        url: String or `sqlalchemy.URL`.
        name: String. Name of the study.
        direction: `"min"` or `"max"`.
        exists: Bool. The study was made before, and is refused if it is gone.
    """

    def __init__(self, url: Url, name: str, direction: str, *, exists: bool):
        self.url = url
        self.name = name
        self.direction = direction
        self.exists = exists
        self._opened: _Opened | None = None
        self._has_tables = False
        self._looked_for_stale = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    @property
    def study(self) -> optuna.Study:
        """Optuna's study; made if there is none."""
        return self._open().study

    @property
    def storage(self) -> PatientStorage:
        """Optuna's storage of the study."""
        return self._open().storage

    @property
    def key(self) -> int:
        """Optuna's key of the study in its storage."""
        return self._open().key

    def check_file(self) -> None:
        """Raises if the file was deleted or replaced while it was open."""
        inode = self._open().inode
        if inode is not None and inode != _inode(file_of(self.url)):
            raise StorageFailed(
                masked_url(self.url),
                "the file was deleted or replaced while it was in use",
            )

    def stale(self) -> set[int]:
        """Keys of trials without a heartbeat for too long, if it is time to look."""
        if time.monotonic() < self._looked_for_stale + HEARTBEAT_SECONDS:
            return set()
        self._looked_for_stale = time.monotonic()
        return set(self.storage.stale(self.key))

    def _open(self) -> "_Opened":
        if self._opened is None or self._opened.pid != os.getpid():
            if not self._has_tables:
                _check_exists(self.url, self.exists)
            storage = open_database(
                self.url, HEARTBEAT_SECONDS, GRACE_SECONDS, has_tables=self._has_tables
            )
            study, key = self._load(storage)
            self._has_tables = True
            inode = _inode(file_of(self.url))
            self._opened = _Opened(storage, study, key, os.getpid(), inode)
        return self._opened

    def _load(self, storage: PatientStorage) -> tuple[optuna.Study, int]:
        try:
            if self.exists or self._has_tables:
                study = optuna.load_study(storage=storage, study_name=self.name)
            else:
                study = _create(storage, self.name, self.direction)
            study.get_trials(deepcopy=False)  # raises if the file is torn
            return study, storage.get_study_id_from_name(self.name)
        except KeyError:
            raise _gone(self.url, f"without a study {self.name!r}") from None
        except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise refused_database(self.url, error) from None


@dataclasses.dataclass(frozen=True)
class _Opened:
    """The connection of one process."""

    storage: PatientStorage
    study: optuna.Study
    key: int
    pid: int
    inode: tuple[int, ...] | None


def _create(storage: PatientStorage, name: str, direction: str) -> optuna.Study:
    with quiet_optuna():
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction=_DIRECTIONS[direction],
            load_if_exists=True,
        )


def _check_exists(url: Url, exists: bool) -> None:
    file = file_of(url)
    if not exists or file is None:
        return
    if not file.exists():
        raise _gone(url, "no such file")
    if file.stat().st_size == 0:
        raise _gone(url, "an empty file")


def _gone(url: Url, found: str) -> ValueError:
    return ValueError(
        "`directory` and `project_name` name a search that was begun before, whose "
        "study must be where it was; put it back, or begin a new search with "
        f"`overwrite=True`. Received: {masked_url(url)!r}, {found}."
    )


def _inode(file: pathlib.Path | None) -> tuple[int, ...] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def heartbeat(storage: PatientStorage, key: int) -> Iterator[None]:
    """Records a heartbeat every few seconds while a trial runs."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(storage, key, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(storage: PatientStorage, key: int, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT_SECONDS):
        # A database that does not answer may do so the next time.
        with contextlib.suppress(StorageInternalError, sqlalchemy.exc.SQLAlchemyError):
            storage.record_heartbeat(key)


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Within it Optuna logs warnings only, not every study that is made."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
