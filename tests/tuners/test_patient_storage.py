"""A database that is away, locked or torn while a search goes on."""

import os
import pathlib
import resource
import sqlite3
import threading
import time

import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from searching import hill, in_child, searcher, table

from keras_trainkit import tuners
from keras_trainkit.tuners import _patient_storage, _search_study
from keras_trainkit.tuners._database import sqlite_url
from keras_trainkit.tuners._patient_storage import StorageFailed

pytestmark = pytest.mark.backend_free

METHODS = ("set_trial_user_attr", "set_trial_state_values", "_get_trials")


@pytest.fixture
def store(tmp_path):
    """An empty study in a file."""
    return _search_study.SearchStudy(sqlite_url(tmp_path / "study.db"), "s", "min")


def away(*args, **kwargs):
    """What Optuna raises when a server does not answer."""
    found = sqlalchemy.exc.OperationalError("SELECT 1", {}, OSError("no route to host"))
    raise StorageInternalError("invalid data in the commit") from found


@pytest.mark.first_quick
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("before", [True, False])
def test_a_call_whose_answer_is_lost_is_repeated(name, before, tmp_path, monkeypatch):
    """The connection breaks before the write or after it, once for each name."""
    calls = []

    def objective(hp):
        calls.append(hill(hp))
        return calls[-1]

    tuner = searcher(tuners.RandomSearch, objective)(
        max_trials=3, seed=3, directory=tmp_path, max_retries_per_trial=2
    )
    real = getattr(tuner._search_study.storage._backend, name)
    broken = []

    def breaking(*args, **kwargs):
        result = None if before and not broken else real(*args, **kwargs)
        if len(broken) < 4 and (broken.append(name) or len(broken) % 2):
            away()
        return result if result is not None else real(*args, **kwargs)

    monkeypatch.setattr(tuner._search_study.storage._backend, name, breaking)
    tuner.search(verbose=0)
    assert broken and len(calls) == 3
    assert sorted(row[3] for row in table(tuner)) == sorted(calls)


def test_a_query_after_the_one_that_lost_the_connection_is_repeated(store, monkeypatch):
    store.add(state=TrialState.WAITING)
    real = store.storage._backend._get_trials
    calls = []

    def losing(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            error = sqlalchemy.exc.PendingRollbackError("Can't reconnect until ...")
            raise StorageInternalError("invalid data in the commit") from error
        return real(*args, **kwargs)

    monkeypatch.setattr(store.storage._backend, "_get_trials", losing)
    assert len(store.trials()) == 1 and len(calls) == 2


def test_a_lock_of_another_process_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(_patient_storage, "PATIENCE_SECONDS", 30)
    calls = []
    file = tmp_path / "search" / "study.db"

    def objective(hp):
        calls.append(hill(hp))
        if len(calls) == 2:
            lock = sqlite3.connect(file, check_same_thread=False)
            lock.execute("BEGIN IMMEDIATE")
            threading.Timer(1, lambda: (lock.rollback(), lock.close())).start()
        return calls[-1]

    monkeypatch.setattr("keras_trainkit.tuners._database.LOCK_SECONDS", 0.05)
    tuner = searcher(tuners.RandomSearch, objective)(
        max_trials=3, seed=3, directory=tmp_path, max_retries_per_trial=2
    )
    tuner.search(verbose=0)
    assert len(calls) == 3
    assert [row[1] for row in table(tuner)] == ["COMPLETED"] * 3


def test_patience_ends_and_names_the_database(tmp_path, monkeypatch):
    monkeypatch.setattr(_patient_storage, "PATIENCE_SECONDS", 0.2)
    calls = []

    def objective(hp):
        calls.append(hill(hp))
        monkeypatch.setattr(backend, "set_trial_user_attr", away)
        return calls[-1]

    cls = searcher(tuners.RandomSearch, objective)
    options = {"max_trials": 2, "seed": 3, "directory": tmp_path}
    tuner = cls(max_retries_per_trial=5, **options)
    backend = tuner._search_study.storage._backend
    with pytest.raises(StorageFailed, match=r"study\.db: no route to host"):
        tuner.search(verbose=0)
    assert len(calls) == 1
    # The trial was nobody's fault: it is run again, by this process or another.
    again = searcher(tuners.RandomSearch)(**options)
    again.search(verbose=0)
    assert [row[1] for row in table(again)] == ["COMPLETED"] * 2


def test_a_trial_that_was_perhaps_taken_is_queued_again(store, monkeypatch):
    key = store.add(state=TrialState.WAITING)
    real = store.storage._backend.set_trial_state_values
    lost = []

    def losing(*args, **kwargs):
        result = real(*args, **kwargs)
        if not lost:
            lost.append(result)
            away()
        return result

    monkeypatch.setattr(store.storage._backend, "set_trial_state_values", losing)
    assert not store.take(key)
    assert store.trials()[0].state == TrialState.FAIL


def test_one_of_two_writes_of_an_attribute_counts(store):
    assert store.add_attribute("seed", 3)
    assert not store.add_attribute("seed", 4)
    assert store.optuna_study.user_attrs == {"seed": 3}


def test_a_full_disk_ends_the_search_with_the_file(tmp_path):
    """A limit on the size of files in place of a disk without room."""

    def fill():
        calls = []

        def objective(hp):
            calls.append(hp.Float("x", 0, 1))
            file = tmp_path / "search" / "study.db-wal"
            size = max(file.stat().st_size, 4096)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return calls[-1]

        tuner = searcher(tuners.RandomSearch, objective)(
            max_trials=3, seed=3, directory=tmp_path, max_retries_per_trial=2
        )
        with pytest.raises(StorageFailed, match=r"study\.db: .*(full|I/O)") as caught:
            tuner.search(verbose=0)
        assert len(calls) == 1 and "commit" not in str(caught.value)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    assert in_child(fill) == 0
    after = searcher(tuners.RandomSearch)(max_trials=3, seed=3, directory=tmp_path)
    after.search(verbose=0)
    assert [row[1] for row in table(after)] == ["COMPLETED"] * 3


def test_weights_that_cannot_be_written_end_the_search(tmp_path):
    def objective(hp):
        raise StorageFailed(str(tmp_path / "trial_0000"), "[Errno 28] No space left")

    tuner = searcher(tuners.RandomSearch, objective)(
        max_trials=3, seed=3, directory=tmp_path, max_retries_per_trial=2
    )
    with pytest.raises(StorageFailed, match="trial_0000: .*No space left"):
        tuner.search(verbose=0)
    assert [row[1] for row in table(tuner)] == ["FAILED"]
    assert tuner.oracle.records()[0].is_lost


def test_a_file_that_is_deleted_under_a_search_ends_it(tmp_path):
    def objective(hp):
        pathlib.Path(tmp_path, "search", "study.db").unlink()
        return hill(hp)

    tuner = searcher(tuners.RandomSearch, objective)(max_trials=3, directory=tmp_path)
    with pytest.raises(StorageFailed, match="deleted or replaced while it was in use"):
        tuner.search(verbose=0)


def test_processes_that_wait_for_a_server_do_not_give_up(store, monkeypatch):
    """A child that opens what its parent had opened meets a server that is away."""
    assert store.trials() == []
    file = pathlib.Path(store.url.database)

    def open_while_locked():
        lock = sqlite3.connect(file, check_same_thread=False)
        lock.execute("BEGIN EXCLUSIVE")
        threading.Timer(0.5, lambda: (lock.rollback(), lock.close())).start()
        began = time.monotonic()
        store.add(state=TrialState.WAITING)
        os._exit(0 if time.monotonic() - began > 0.3 else 3)

    assert in_child(open_while_locked) == 0
    assert len(store.trials()) == 1
