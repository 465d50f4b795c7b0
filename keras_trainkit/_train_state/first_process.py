"""One state for all processes that train a model together: that of the first."""

import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

from keras_trainkit._jax import processes
from keras_trainkit._train_state import state_file


def from_first(read: Callable[[], Any]) -> Any:
    """The values that `read` returns in the first process, in all of them.

    Raises:
        ValueError: `read` has raised it in the first process.
    """
    if not processes.train_together():
        return read()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if processes.is_first():
            state_file.write(folder, state_file.packed(_outcome(read)))
        for file in (folder / state_file.VALUES, folder / state_file.ARRAYS):
            data = file.read_bytes() if processes.is_first() else b""
            file.write_bytes(processes.broadcast(data))
        outcome = state_file.read(folder)
    if outcome["problem"] is not None:
        raise ValueError(outcome["problem"])
    return outcome["values"]


def _outcome(read: Callable[[], Any]) -> dict[str, Any]:
    """The other processes wait for an answer, an error too."""
    try:
        return {"values": read(), "problem": None}
    except ValueError as error:
        return {"values": None, "problem": str(error)}
