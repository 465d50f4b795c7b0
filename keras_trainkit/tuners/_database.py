"""A connection to the database of a study, and its URL without passwords."""

import contextlib
import os
import pathlib
import random
import re
import sqlite3
import time
import urllib.parse
import warnings
import weakref
from typing import Any, TypeAlias

import optuna
import sqlalchemy

from keras_trainkit.tuners._patient_storage import (
    PatientStorage,
    StorageFailed,
    database_error,
    is_transient,
    lock_before_reading,
    reason_of,
)

Url: TypeAlias = str | sqlalchemy.URL

LOCK_SECONDS = 60
_START_SECONDS = 60
_SECRET = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
_InternalError = optuna.exceptions.StorageInternalError


class RefusedDatabase(ValueError):
    """A database that cannot be opened, or whose content cannot be read."""


def open_database(
    url: Url, heartbeat: int, grace: int, *, has_tables: bool = False
) -> PatientStorage:
    """Optuna's storage at a URL, its tables made if there are none.

    Args:
        url: String or `sqlalchemy.URL`.
        heartbeat: Seconds between two heartbeats of a running trial.
        grace: Seconds without a heartbeat after which a trial counts as dead.
        has_tables: Do not look for the tables, which takes a while. They were found
            before, so a database that is away is waited for.

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
    location = masked_url(url)
    try:
        parsed = sqlalchemy.make_url(url)
        backend = _open(parsed, location, options)
    except ImportError as error:
        raise ImportError(
            f"`storage` needs the driver that its URL names ({error.__cause__}). For "
            "PostgreSQL: pip install keras-trainkit[postgres], and a URL "
            f"postgresql+psycopg://user@host/database. Received: storage={location!r}."
        ) from error
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise ValueError(
            "`storage` names the database that machines share and must be a URL such "
            "as postgresql+psycopg://user@host/database. "
            f"Received: storage={location!r}: {masked_text(error, url)}"
        ) from None  # it may hold the password
    except (sqlalchemy.exc.SQLAlchemyError, StorageFailed) as error:
        raise refused_database(url, error) from None
    weakref.finalize(backend, _close, backend.engine, os.getpid())
    if parsed.get_backend_name() == "sqlite":
        if not has_tables:
            _check_whole(backend.engine, url)
        sqlalchemy.event.listen(backend.engine, "begin", lock_before_reading)
    return PatientStorage(backend, location)


def refused_database(url: Url, error: BaseException) -> RefusedDatabase:
    """The error for a database that cannot be opened."""
    reason = masked_text(reason_of(error), url)
    if file_of(url) is None:
        return RefusedDatabase(
            "`storage` names the database that machines share and must be one that "
            "this machine reaches and may write to. "
            f"Received: storage={masked_url(url)!r}: {reason}"
        )
    return RefusedDatabase(
        "`directory` or `storage` names the file that keeps the search, which must be "
        "a whole SQLite database that this process may write to, on a disk with room "
        f"left. Received: {masked_url(url)!r}: {reason}"
    )


def sqlite_url(path: pathlib.Path) -> sqlalchemy.URL:
    """The URL of a file."""
    return sqlalchemy.URL.create("sqlite", database=str(path.absolute()))


def file_of(url: Url) -> pathlib.Path | None:
    """The file that a URL of SQLite names; None for other databases."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.query:
        return None
    if not parsed.database or parsed.database == ":memory:":
        return None
    return pathlib.Path(parsed.database)


def is_same_database(url: Url, other: Url) -> bool:
    """True if both URLs name one database, whoever connects to it and with what."""
    (place, port), (other_place, other_port) = _place(url), _place(other)
    is_one_port = None in (port, other_port) or port == other_port
    return place == other_place and is_one_port


def masked_url(url: Url) -> str:
    """The URL without its passwords; the path of a file."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        text = re.sub("//.*@", "//***@", str(url))
        return re.sub(
            rf"([?&]\w*({_SECRET.pattern})\w*=)[^&]*", r"\1***", text, flags=re.I
        )
    query = {
        name: "***" if _is_secret(name, value) else value
        for name, value in parsed.query.items()
    }
    masked = parsed.set(query=query).render_as_string()
    return masked.replace("%2A%2A%2A", "***")


def masked_text(text: object, url: Url) -> str:
    """A message of the database, without the passwords of the URL."""
    masked = str(text).strip()
    for secret in sorted(_secrets(url), key=len, reverse=True):
        masked = masked.replace(secret, "***")
    return masked


def _place(url: Url) -> tuple[object, int | None]:
    """A database as far as a URL names it, and its port, None for the usual one."""
    file = file_of(url)
    if file is not None:
        return file.resolve(), None
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return str(url), None
    if parsed.get_backend_name() == "sqlite":
        return str(url), None
    return (parsed.get_backend_name(), parsed.host, parsed.database), parsed.port


def _is_secret(name: str, value: str | tuple[str, ...]) -> bool:
    text = value if isinstance(value, str) else " ".join(value)
    return bool(_SECRET.search(name) or _SECRET.search(text))


def _secrets(url: Url) -> set[str]:
    """Every form in which a driver could show a password."""
    if isinstance(url, sqlalchemy.URL):
        url = url.render_as_string(hide_password=False)
    text = str(url)
    found = re.findall(r"//[^/?]*?:([^/?]*)@", text)
    for part in text.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        if _is_secret(name, value):
            found.append(value)
            inner = urllib.parse.unquote_plus(value)
            found += re.findall(r"(?:pwd|password)=([^;]*)", inner, re.IGNORECASE)
    decoded = [urllib.parse.unquote_plus(secret) for secret in found]
    quoted = [urllib.parse.quote_plus(secret) for secret in decoded]
    return {secret for secret in [*found, *decoded, *quoted] if secret}


class _Connection(sqlite3.Connection):
    """A file whose log is written ahead, which survives a killed process.

    A loss of power may take the last commits, never the file; a commit costs a tenth
    of a millisecond instead of six. Not for a file on a network.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        try:
            self.execute("PRAGMA journal_mode=WAL")
            self.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            self.close()
            raise


def _open(
    url: sqlalchemy.URL, location: str, options: dict[str, Any]
) -> optuna.storages.RDBStorage:
    """Tries again while other processes make the same tables, or the file is locked.

    Whenever one of many loses such a race another has made a table, so it ends.
    """
    if options["skip_table_creation"]:
        return PatientStorage.patiently(lambda: _backend(url, options), location)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return _backend(url, options)
        except (sqlalchemy.exc.SQLAlchemyError, _InternalError) as error:
            if time.monotonic() > deadline or not _is_race(database_error(error)):
                raise
        time.sleep(random.uniform(0.02, 0.2))


def _is_race(error: BaseException) -> bool:
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    if isinstance(error, sqlalchemy.exc.IntegrityError):
        return True
    if isinstance(error.orig, sqlite3.Error) and is_transient(error):
        return True
    return "already exists" in str(error.orig) or "deadlock" in str(error.orig)


def _backend(
    url: sqlalchemy.URL, options: dict[str, Any]
) -> optuna.storages.RDBStorage:
    engine: dict[str, Any] = {"pool_pre_ping": True}  # servers hang up in the end
    text = url.render_as_string(hide_password=False)
    if url.get_backend_name() == "sqlite":
        engine = {"connect_args": {"timeout": LOCK_SECONDS, "factory": _Connection}}
    file = file_of(url)
    creator = _Creator(file) if file is not None else None
    if creator is not None:
        # Not by the URL, where SQLAlchemy 2.0 takes a "?" for the end of a path.
        engine["creator"] = creator
        text = "sqlite:///study.db"
    # Optuna formats its URL.
    text = text.replace("{", "{{").replace("}", "}}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        with creator or contextlib.nullcontext():
            return optuna.storages.RDBStorage(text, engine_kwargs=engine, **options)


def _check_whole(engine: sqlalchemy.Engine, url: Url) -> None:
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise refused_database(url, error) from None
    if found != "ok":
        raise refused_database(url, StorageFailed("", f"its content is torn: {found}"))


class _Creator:
    """Connects to a file; the connection may then be used from another thread.

    As a context it closes what was opened within, if that ends in an error.
    """

    def __init__(self, file: pathlib.Path):
        self._file = file
        self._opened: list[sqlite3.Connection] | None = None

    def __enter__(self) -> None:
        self._opened = []

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            for connection in self._opened or ():
                connection.close()
        self._opened = None

    def __call__(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file,
            timeout=LOCK_SECONDS,
            factory=_Connection,
            check_same_thread=False,
        )
        if self._opened is not None:
            self._opened.append(connection)
        return connection


def _close(engine: sqlalchemy.Engine, owner: int) -> None:
    """Hangs up, unless this is a fork: the connections are its parent's."""
    engine.dispose(close=os.getpid() == owner)
