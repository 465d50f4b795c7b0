"""The folder of one `fit`: owned by this process, read once, written beside it."""

import os
import pathlib
import tempfile
import weakref
from typing import Any

from keras_trainkit._train_state.generations import Generations
from keras_trainkit._train_state.owner import Owner, not_writable
from keras_trainkit._train_state.state_file import DamagedState
from keras_trainkit._train_state.writer import Writer, wait_for_folder


class StateFolder:
    """States in a folder that no other process works in.

    Args:
        directory: Path; made if it is not there.
        keep: Int >= 1. Number of states.

    Raises:
        ValueError: Another process works in it, or it cannot be written to.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int):
        self._directory = directory
        self._path = _writable(directory)
        self._owner = Owner(self._path)
        weakref.finalize(self, self._owner.release)
        self._generations = Generations(self._path, keep)
        self._writer = Writer(self._generations)

    def read(self) -> tuple[Any, str | None]:
        """The newest whole state, None if there is none; and why not a newer one.

        Raises:
            ValueError: There are states, none of which is whole.
        """
        wait_for_folder(self._path)
        try:
            state, remarks = self._generations.read()
        except DamagedState as damage:
            raise ValueError(
                "`directory` holds the states of a training, and one of them must be "
                "whole; delete the folder to begin anew. Received: "
                f"{str(self._directory)!r}: {damage}."
            ) from damage
        return state, "; ".join(remarks) or None

    def refresh(self, *, now: bool = False) -> None:
        """Says, once in a while or now, that this process still works in it.

        Raises:
            ValueError: Another process has come.
        """
        self._owner.refresh(now=now)

    def write(self, state: dict[str, Any]) -> None:
        """Writes a state in a thread; waits for the one before.

        Raises:
            OSError: The one before could not be written.
        """
        self._writer.write(state)

    def wait(self) -> None:
        """Returns when all is on disk.

        Raises:
            OSError: It could not be written.
        """
        self._writer.wait()

    def release(self) -> None:
        """Lets other processes in."""
        self._owner.release()


def _writable(directory: str | os.PathLike[str]) -> pathlib.Path:
    folder = pathlib.Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise not_writable(folder, error) from error
    return folder
