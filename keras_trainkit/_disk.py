"""Files that are whole on disk, whatever happens while they are written."""

import contextlib
import errno
import hashlib
import os
import pathlib
import shutil
import stat
import time
import uuid
import zipfile
from collections.abc import Iterator

_OLD_SECONDS = 3600


def sync(path: pathlib.Path) -> None:
    """Waits until the disk holds what was written to a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """Within it errors of the disk that name no file, such as a full one, name this."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_regular(path: pathlib.Path) -> None:
    """Refuses what only looks like a file: a FIFO has its reader wait for ever.

    Raises:
        OSError: Not there, or a folder, a device, a FIFO, a socket.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def check_unpacked(path: pathlib.Path) -> None:
    """Refuses an archive whose files are compressed: they may unpack to any size.

    Neither Keras nor `numpy.savez` compresses.

    Raises:
        ValueError: Its files are larger than the archive.
        zipfile.BadZipFile: No archive.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    size = path.stat().st_size
    if unpacked > size:
        raise ValueError(
            "A saved archive holds its files as they are and must be at least as "
            f"large as they. Received: {size} bytes that unpack to {unpacked}."
        )


@contextlib.contextmanager
def replacing(temporary: pathlib.Path, path: pathlib.Path) -> Iterator[None]:
    """Within it `temporary` is written, which takes the place of `path` at the end.

    Nothing is left of it where that fails.
    """
    try:
        yield
        replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Within it a file is written that takes the place of `path` at the end.

    Its name has the same suffix. Where that fails `path` stays as it was; what a killed
    process has left goes with a later file of that name. A link keeps pointing where it
    does, and the file keeps its mode. What no file may take the place of is written
    itself: a device, a FIFO, all below /dev and /proc, a file in a folder that is
    closed to this process, a mount.

    Raises:
        FileNotFoundError: There is no folder for it.
    """
    target = pathlib.Path(os.path.realpath(path))
    if _is_written_itself(path, target):
        yield path
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))
    start = f".ktk-{hashlib.sha256(target.name.encode()).hexdigest()[:16]}-"
    _clear_old(target.parent, start)
    temporary = target.parent / f"{start}{uuid.uuid4().hex}{target.suffix}"
    try:
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        try:
            replace(temporary, target)
        except OSError as error:
            if error.errno != errno.EBUSY:  # the file is a mount
                raise
            shutil.copyfile(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _is_written_itself(path: pathlib.Path, target: pathlib.Path) -> bool:
    if os.path.abspath(path).startswith(("/dev/", "/proc/")):
        return True
    if path.exists() and not path.is_file():
        return True
    return target.exists() and not os.access(target.parent, os.W_OK)


def _clear_old(folder: pathlib.Path, start: str) -> None:
    """Deletes files of processes that were killed, old enough that none writes them."""
    with contextlib.suppress(OSError):
        for left in folder.glob(f"{start}*"):
            if time.time() - left.stat().st_mtime > _OLD_SECONDS:
                left.unlink(missing_ok=True)


def replace(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Puts the finished file `temporary` in the place of `path`, in one step.

    Both lie in the same folder. A process killed at any moment leaves the old file or
    the new one, never a part of one.
    """
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)
