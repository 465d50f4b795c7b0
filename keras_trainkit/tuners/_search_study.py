"""The study of a search, which every process opens for itself."""

import contextlib
import json
import os
import pathlib
import threading
import time

import keras_tuner
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
from keras_trainkit.tuners._patient_storage import (
    PatientStorage,
    StorageFailed,
    locked_before_reading,
)
from keras_trainkit.tuners._process_identity import (
    OWNER,
    is_here,
    lives_here,
    myself,
    searched_by,
)
from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._trial_queue import REASON, TrialRecord, read_trials

HEARTBEAT_SECONDS = 10
_DIRECTIONS = {
    "min": optuna.study.StudyDirection.MINIMIZE,
    "max": optuna.study.StudyDirection.MAXIMIZE,
}
GRACE_SECONDS = 60

# Attributes of the study.
_SEARCH = "keras_trainkit"
_DATA = "data"
_VALUES = "values"
_SPACE = "space"
_NEW = "space:"
_CHOSEN = "chosen:"

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

    def records(self) -> list[TrialRecord]:
        """The records of the search, read now."""
        return read_trials(self.trials())

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


class Record:
    """Attributes of the study. Each is written once, or under a name of its own.

    Args:
        store: `Store`.
    """

    def __init__(self, store):
        self._store = store

    def agree(self, description: dict, kind=_SEARCH):
        """Writes what the search is, or refuses a study that is of another one.

        What a study of an earlier release does not say is no reason to refuse it.

        Args:
            description: Dict of plain values.
            kind: String. What is described, the name it is kept under.
        """
        written = self._once(kind, description)
        for name, value in description.items():
            if name in written and written[name] != value:
                raise ValueError(
                    f"The study {self._store.name!r} goes on only as the search that "
                    f"it was begun as, with {name}={written.get(name)!r}; use another "
                    f"`project_name` or `overwrite=True` for a new one. "
                    f"Received: {name}={value!r}."
                )

    def agree_on_data(self, shapes: dict, values: dict):
        """Likewise of the data, from `described`."""
        written = self._attrs().get(_DATA, {})
        told = shapes if written else {**shapes, _VALUES: values}
        self.agree(_plain(told), _DATA)
        before = written.get(_VALUES, values)  # earlier releases wrote none
        changed = [name for name in values if before.get(name) != values[name]]
        if changed:
            raise ValueError(
                f"The study {self._store.name!r} goes on only with the data that it "
                "was begun with, bit for bit; use another `project_name` or "
                "`overwrite=True` for a new search. Received: other values of "
                f"{', '.join(changed)}."
            )

    def begin(self, description: dict) -> int:
        """Writes what a new search is; returns the seed of the first to do so."""
        return self._once(_SEARCH, description)["seed"]

    def seed(self):
        """The seed written at the first start; None in a new study."""
        return self._attrs().get(_SEARCH, {}).get("seed")

    def space(self) -> keras_tuner.HyperParameters | None:
        """The search space, with what was found in trials; None in a new study."""
        attrs = self._attrs()
        if _SPACE not in attrs:
            return None
        found = [attrs[name] for name in sorted(attrs) if name.startswith(_NEW)]
        space = keras_tuner.HyperParameters.from_config(
            {"space": [*attrs[_SPACE], *found], "values": {}}
        )
        for hp in space.space:
            if space.is_active(hp):
                space.values.setdefault(hp.name, hp.default)
        return space

    def agree_on_space(self, space: keras_tuner.HyperParameters):
        """Writes the space that building shows, or refuses another one."""
        wanted = _plain(space.get_config()["space"])
        written = self._once(_SPACE, wanted)
        if {_key(hp) for hp in written} != {_key(hp) for hp in wanted}:
            changed = {_key(hp) for hp in written} ^ {_key(hp) for hp in wanted}
            names = sorted({json.loads(key)["config"]["name"] for key in changed})
            raise ValueError(
                f"The study {self._store.name!r} goes on only over the space that it "
                "was begun with; use another `project_name` or `overwrite=True` for a "
                f"new search. Received: other definitions of {', '.join(names)}."
            )

    def add_to_space(self, configs: list[dict]):
        """Writes definitions that only trials have shown."""
        for config in _plain(configs):
            self._write(f"{_NEW}{derive(config):010d}", config)

    def choose(self, values: dict):
        """Queues values chosen by hand; the same values once only."""
        key = f"{_CHOSEN}{derive(sorted(values.items(), key=str)):010d}"
        attrs = self._attrs()
        if key not in attrs:
            order = sum(name.startswith(_CHOSEN) for name in attrs)
            self._write(key, {"key": key, "order": order, "values": values})

    def chosen(self) -> list[dict]:
        """What was queued by hand, in its order."""
        attrs = self._attrs()
        found = [value for name, value in attrs.items() if name.startswith(_CHOSEN)]
        return sorted(found, key=lambda entry: (entry["order"], entry["key"]))

    def _attrs(self):
        return self._store.study.user_attrs

    def _once(self, name, value):
        """What is written there: by whoever came first, maybe by this call."""
        attrs = self._attrs()
        if name not in attrs:
            self._store.add_attribute(name, value)
            attrs = self._attrs()
        return attrs[name]

    def _write(self, name, value):
        self._store.study.set_user_attr(name, value)


def _plain(config):
    return json.loads(json.dumps(config))


def _key(config):
    """The definition but for its default, which no search depends on."""
    told = {name: part for name, part in config["config"].items() if name != "default"}
    return json.dumps({**config, "config": told}, sort_keys=True)


@contextlib.contextmanager
def beating(store, key):
    """Records a heartbeat every few seconds until the block ends."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(store, key, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(store, key, done):
    while not done.wait(HEARTBEAT_SECONDS):
        # A database that does not answer may do so the next time.
        with contextlib.suppress(optuna.exceptions.StorageInternalError):
            store.storage.record_heartbeat(key)


@contextlib.contextmanager
def quiet():
    """Within it Optuna logs warnings only."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
