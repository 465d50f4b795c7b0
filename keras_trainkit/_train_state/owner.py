"""One process at a time in a folder.

A process says first that it is there, by a file, and looks then for others: of two
that begin in the same moment none goes on, or one, never both. Files of dead processes
are deleted.
"""

import contextlib
import json
import os
import pathlib
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from keras_trainkit._disk import check_regular
from keras_trainkit._process import is_dead, is_on_this_host, this_process

STALE_SECONDS = 600  # of silence, after which a process of another host is dead
_REFRESH_SECONDS = 10
_PREFIX = "owner."


class Owner:
    """This process as the only one that works in a folder.

    The newest `Owner` of a process takes the place of those before, of a `fit` that
    has failed. Each has a file of its own name, which no other deletes by mistake.

    Args:
        folder: Folder that is there.
        argument: Name of the argument that gave it.

    Raises:
        ValueError: Another process works in it, and lives; or it cannot be written to.
    """

    def __init__(self, folder: pathlib.Path, argument: str = "directory"):
        self._argument = argument
        self._pid = os.getpid()
        self._folder = folder
        self.file = folder / f"{_PREFIX}{self._pid}.{uuid.uuid4().hex[:12]}.json"
        self._refreshed = time.monotonic()
        try:
            self._announce()
            self._refuse_others(spare_own=False)
        except OSError as error:
            self.release()
            raise not_writable(folder, error, argument) from error

    def refresh(self, *, now: bool = False) -> None:
        """Says, once in a while, that the process still lives.

        Args:
            now: Bool, True to say so at once.

        Raises:
            ValueError: The file is gone, and another owner has come.
        """
        time_now = time.monotonic()
        if not now and time_now - self._refreshed <= _REFRESH_SECONDS:
            return
        self._refreshed = time_now
        with contextlib.suppress(OSError):  # of a disk that is away for a while
            try:
                os.utime(self.file)
            except FileNotFoundError:
                self._announce()
                self._refuse_others(spare_own=True)

    @contextlib.contextmanager
    def refreshed(self) -> Iterator[None]:
        """Within it a thread says, once in a while, that the process still lives.

        Raises:
            ValueError: At the end; another owner has come meanwhile.
        """
        ended, errors = threading.Event(), []

        def refresh() -> None:
            while not ended.wait(_REFRESH_SECONDS):
                try:
                    self.refresh(now=True)
                except ValueError as error:
                    errors.append(error)
                    return

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if errors:
            raise errors[0]

    def release(self) -> None:
        """Lets others in."""
        if os.getpid() != self._pid:  # a fork of the owner, that ends
            return
        with contextlib.suppress(OSError):
            self.file.unlink(missing_ok=True)

    def _announce(self) -> None:
        temporary = self._folder / f".{self.file.name}.new"
        try:
            temporary.write_text(json.dumps(this_process()))
            os.replace(temporary, self.file)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _refuse_others(self, *, spare_own: bool) -> None:
        """Deletes what dead ones have left, and goes if one lives.

        Args:
            spare_own: Bool, False to take the place of earlier ones of this process.
        """
        for path in self._folder.glob(f"{_PREFIX}*.json"):
            owner = _read(path)
            if path == self.file or owner is None:
                continue
            replaced = owner == this_process() and not spare_own
            if not replaced and not _is_gone(owner, path, self.file):
                self.release()
                refusal = _refusal(self._argument, self._folder, owner, path)
                raise ValueError(refusal)
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f".{_PREFIX}*.new"):
                if _is_silent(path, self.file):  # of a process killed while it wrote
                    path.unlink(missing_ok=True)


def not_writable(
    folder: pathlib.Path, error: OSError, argument: str = "directory"
) -> ValueError:
    """The error for a folder in which nothing can be kept."""
    return ValueError(
        f"`{argument}` is the folder of the state and must be one that this process "
        f"may write to, on a disk with room left. Received: {str(folder)!r}: {error}"
    )


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    """Identity in a file; None if it is gone, as it is when a process ends."""
    try:
        check_regular(path)
        owner = json.loads(path.read_bytes())
        is_whole = isinstance(owner["place"], str) and type(owner["pid"]) is int
        is_whole = is_whole and type(owner["started"]) in (int, type(None))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        is_whole = False
    # Its name says whose file it is; what cannot be read counts as another host's.
    unknown = {"place": "", "pid": path.name.split(".")[1], "started": None}
    return owner if is_whole else unknown


def _is_gone(owner: dict[str, Any], path: pathlib.Path, ours: pathlib.Path) -> bool:
    if is_on_this_host(owner):
        return is_dead(owner)
    return _is_silent(path, ours)


def _is_silent(path: pathlib.Path, ours: pathlib.Path) -> bool:
    """By the clock of the disk, which all hosts share."""
    try:
        silent = ours.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return not path.exists()
    return silent > STALE_SECONDS


def _refusal(
    argument: str, folder: pathlib.Path, owner: dict[str, Any], path: pathlib.Path
) -> str:
    where = ""
    if not is_on_this_host(owner):
        host = owner["place"].partition(" ")[0] or "unknown"
        where = (
            f" on host {host} (if that process is known to be dead, delete "
            f"{path.name}, or wait {STALE_SECONDS // 60} minutes)"
        )
    return (
        f"`{argument}` holds the state of one training, and one process at a time must "
        f"write to it. Received: {str(folder)!r}, owned by the process "
        f"{owner['pid']}{where}."
    )
