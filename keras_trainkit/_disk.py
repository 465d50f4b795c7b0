"""Files that are whole on disk, whatever happens while they are written."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


def sync(path: pathlib.Path) -> None:
    """Waits until the disk holds what was written to a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


def replace(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Puts the finished file `temporary` in the place of `path`, in one step.

    Both lie in the same folder. A process killed at any moment leaves the old file or
    the new one, never a part of one.
    """
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)
