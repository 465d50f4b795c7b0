"""States written beside the training, one at a time."""

import pathlib
import threading
from typing import Any, ClassVar

import numpy as np

from keras_trainkit._train_state import state_file
from keras_trainkit._train_state.generations import Generations


class Writer:
    """Writes states in a thread, so that no step waits for the disk.

    What fails there is raised by the next call, at the latest by `wait`. The thread
    outlives its `fit`, and the process does not end before it.

    Args:
        generations: `Generations` that are written to.
    """

    _running: ClassVar[dict[pathlib.Path, "Writer"]] = {}

    def __init__(self, generations: Generations):
        self._generations = generations
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._buffers: list[np.ndarray] = []

    def write(self, values: Any) -> None:
        """Takes the bytes of a state and returns; waits for the state before.

        Raises:
            ValueError: `values` are no state.
            OSError: The state before could not be written.
        """
        self.wait()
        files = state_file.packed(values, self._buffers)
        # Not a daemon: these are killed with the interpreter, within a file.
        self._thread = threading.Thread(target=self._write, args=(files,))
        self._running[self._generations.folder.resolve()] = self
        self._thread.start()

    def wait(self) -> None:
        """Returns when all is on disk.

        Raises:
            OSError: It could not be written.
        """
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _write(self, files: dict[str, list[Any]]) -> None:
        try:
            self._generations.write(files)
        except BaseException as error:
            self._error = error
        finally:  # with it its buffers may go
            self._running.pop(self._generations.folder.resolve(), None)


def wait_for_folder(folder: pathlib.Path) -> None:
    """Waits for what an earlier `fit` of this process, ended by an error, has begun."""
    earlier = Writer._running.pop(folder.resolve(), None)
    if earlier is not None and earlier._thread is not None:
        earlier._thread.join()
