"""Files that are whole on disk, whatever happens while they are written."""

import contextlib
import errno
import glob
import os
import pathlib
import stat
import zipfile
from collections.abc import Iterator


def sync(path: pathlib.Path) -> None:
    """Waits until the disk holds what was written to a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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

    Its name has the same suffix. Where that fails `path` stays as it was, and what a
    killed process has left of it goes with the next. A link keeps pointing where it
    does; a device or a FIFO, which nothing may take the place of, is written itself.

    Raises:
        FileNotFoundError: There is no folder for it.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        yield path
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    for left in path.parent.glob(f".*.{glob.escape(path.name)}"):
        number = left.name.split(".")[1]
        if number.isdecimal() and not _is_alive(int(number)):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with replacing(temporary, path):
        yield temporary


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        pass
    return True


def replace(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Puts the finished file `temporary` in the place of `path`, in one step.

    Both lie in the same folder. A process killed at any moment leaves the old file or
    the new one, never a part of one.
    """
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)
