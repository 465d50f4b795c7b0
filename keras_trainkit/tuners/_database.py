"""A connection to the database that a study is in."""

import contextlib
import os
import random
import re
import sqlite3
import threading
import time
import warnings
import weakref

import optuna
import sqlalchemy

_locking = threading.local()


def open_database(
    url, heartbeat, grace, *, has_tables=False
) -> optuna.storages.RDBStorage:
    """Optuna's storage at a URL, its tables made if there are none.

    Args:
        url: String. URL for SQLAlchemy.
        heartbeat: Int. Seconds between two signs of life of a running trial.
        grace: Int. Seconds of silence after which a trial counts as dead.
        has_tables: Bool. Do not look for the tables, which takes a while.

    Raises:
        ValueError: Nothing can be opened there.
        ImportError: The driver is missing; names the extra to install.
    """
    options = {
        "heartbeat_interval": heartbeat,
        "grace_period": grace,
        "skip_table_creation": has_tables,
        "skip_compatibility_check": has_tables,
    }
    try:
        on_file = sqlalchemy.make_url(url).get_backend_name() == "sqlite"
        storage = _open(url, on_file, options)
    except ImportError as error:
        raise ImportError(
            f"`storage` needs the driver that its URL names ({error.__cause__}). For "
            "PostgreSQL: pip install keras-trainkit[postgres], and a URL "
            "postgresql+psycopg://user@host/database. "
            f"Received: storage={shown(url)!r}."
        ) from error
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise ValueError(
            "`storage` names the database that machines share and must be a URL such "
            "as postgresql+psycopg://user@host/database. "
            f"Received: storage={shown(url)!r}."
        ) from error
    except sqlalchemy.exc.DBAPIError as error:
        raise ValueError(
            "`storage` names the database that machines share and must be one that "
            "this machine reaches and may write to. "
            f"Received: storage={shown(url)!r}: {str(error.orig).strip()}"
        ) from error
    if on_file:
        sqlalchemy.event.listen(storage.engine, "begin", _lock_before_reading)
    weakref.finalize(storage, _close, storage.engine, os.getpid())
    return storage


def shown(url) -> str:
    """The URL without its password."""
    try:
        return str(sqlalchemy.make_url(url))
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return re.sub("//.*@", "//***@", str(url))


@contextlib.contextmanager
def locked_before_reading():
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


def _lock_before_reading(connection):
    if getattr(_locking, "first", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class _Connection(sqlite3.Connection):
    """A file whose log is written ahead, which survives a killed process.

    What a loss of power may take are the last commits, never the file; a commit costs
    a tenth of a millisecond in place of six. Not for a file on a network.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


def _open(url, on_file, options, attempts=8):
    """Tries again when another process makes the same tables at the same moment."""
    engine: dict[str, object] = {"pool_pre_ping": True}  # servers hang up in the end
    if on_file:
        engine = {"connect_args": {"timeout": 60, "factory": _Connection}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(url, engine_kwargs=engine, **options)
    except sqlalchemy.exc.DBAPIError as error:
        if error.statement is None or attempts == 1:
            raise  # without a statement it is the connection that failed
    time.sleep(random.uniform(0.05, 0.2))
    return _open(url, on_file, options, attempts - 1)


def _close(engine, owner):
    """Hangs up, unless this is a fork: the connections are its parent's."""
    engine.dispose(close=os.getpid() == owner)
