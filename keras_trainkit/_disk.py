"""Files that are whole on disk, whatever happens while they are written."""

import os
import pathlib


def sync(path: pathlib.Path) -> None:
    """Waits until the disk holds what was written to a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Puts the finished file `temporary` in the place of `path`, in one step.

    Both lie in the same folder. A process killed at any moment leaves the old file or
    the new one, never a part of one.
    """
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)
