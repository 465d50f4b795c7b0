"""A version folder that appears at once: absent or complete, whatever happens.

The files are written to a hidden draft folder beside the versions, which a server
that polls the directory takes for no version, forced to disk, and renamed. A draft
is locked by the process that writes it; the lock ends with the process, so a draft
without a lock is dead and the next export removes it. Standard library only.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import NoReturn

from keras_trainkit._disk import sync

HIGHEST_VERSION = 2**63 - 1
DRAFT_NAME = re.compile(r"\.export-[0-9a-f]{16}")


def publish(
    directory: pathlib.Path,
    version: int | None,
    write: Callable[[pathlib.Path], None],
) -> pathlib.Path:
    """Has `write` fill a draft and renames it to `directory/version`.

    On an error nothing is left, neither draft nor version nor a folder made for them.
    """
    if version is not None and version in _versions(directory):
        _refuse_taken(directory, version)
    made = _make_folders(directory)
    try:
        _remove_dead_drafts(directory)
        with _draft(directory) as draft:
            write(draft)
            _sync_all(draft)
            return _move_in(draft, directory, version)
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def newest_version(directory: pathlib.Path) -> pathlib.Path | None:
    """The version that a server polling `directory` serves; None if there is none."""
    versions = _versions(directory)
    return versions[max(versions)] if versions else None


def _versions(directory: pathlib.Path) -> dict[int, pathlib.Path]:
    """Version folders by their number, as a server reads it: 007 is version 7."""
    paths = list(directory.iterdir()) if directory.exists() else []
    digits = [p for p in paths if p.name.isascii() and p.name.isdecimal()]
    versions = {int(path.name): path for path in digits}
    return {n: path for n, path in versions.items() if n <= HIGHEST_VERSION}


def _refuse_taken(directory: pathlib.Path, version: int) -> NoReturn:
    raise ValueError(
        "`version` names the folder of a new export and must be one that does not "
        f"exist yet, since servers may be reading it. Received: version={version}, "
        f"which exists in {str(directory)!r}."
    )


def _make_folders(directory: pathlib.Path) -> list[pathlib.Path]:
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _remove_dead_drafts(directory: pathlib.Path) -> None:
    for path in directory.iterdir():
        if not DRAFT_NAME.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError), _open_folder(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)


@contextlib.contextmanager
def _draft(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new locked folder, gone at the end unless it was renamed."""
    with contextlib.ExitStack() as stack:
        path = directory / f".export-{secrets.token_hex(8)}"
        while not _lock_new(path, stack):
            path = directory / f".export-{secrets.token_hex(8)}"
        yield path


def _lock_new(path: pathlib.Path, stack: contextlib.ExitStack) -> bool:
    """Makes and locks a draft; False if another export removed it in between."""
    path.mkdir()  # the usual permissions: a server under another user reads it
    stack.callback(shutil.rmtree, path, ignore_errors=True)
    try:
        handle = stack.enter_context(_open_folder(path))
        fcntl.flock(handle, fcntl.LOCK_EX)
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _open_folder(path: pathlib.Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def _sync_all(folder: pathlib.Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(pathlib.Path(parent, name))
        sync(pathlib.Path(parent))


def _move_in(
    draft: pathlib.Path, directory: pathlib.Path, version: int | None
) -> pathlib.Path:
    while True:
        number = version or max(_versions(directory), default=0) + 1
        if number > HIGHEST_VERSION:
            _refuse_taken(directory, HIGHEST_VERSION)
        final = directory / str(number)
        try:
            os.rename(draft, final)
            break
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            if version is not None:
                _refuse_taken(directory, version)
    try:
        sync(directory)
    except BaseException:
        os.rename(final, draft)
        raise
    return final
