"""Child processes that start fast and end with their parent."""

import contextlib
import gc
import itertools
import math
import multiprocessing
import multiprocessing.connection
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

PRELOAD = ["keras_trainkit.tuners._forkserver_preload"]
EXIT_SECONDS = 60
# Below the 64 KiB that Linux keeps for a pipe, so that nobody waits for a reader.
_MAX_BYTES = 40_000
_NAME = "keras_trainkit"
_UNGUARDED = 78  # exit code
_has_entered = False
_counter = itertools.count(1)


def warm_up() -> None:
    """Starts the server that children are forked from, so that it loads meanwhile."""
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver  # not on every system

        forkserver.ensure_running()


def start(target: Callable[..., None], *args: Any) -> tuple[BaseProcess, Connection]:
    """Starts a process and returns it with the connection its error comes through.

    Where the system can, children are forked from a server that has imported Keras
    and done nothing with it, which takes a tenth of a second instead of several.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_enter,
        args=(_Call(target, args), sender),
        name=f"{_NAME} {next(_counter)}",
    )
    try:
        process.start()
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            "`workers` and `isolate` hand the tuner and the data to other processes, "
            "so all of it must be picklable: functions and classes at the top of a "
            "module, arrays in place of a tf.data set (which may be made inside "
            f"HyperModel.fit). Received: {error}."
        ) from error
    sender.close()
    return process, receiver


def end_if_script_is_imported() -> None:
    """Ends a child that meets the search while it imports the script of its parent.

    Python does that first in a new process, so a script that searches without
    `if __name__ == "__main__":` would search again and again. The parent says so, see
    `check_guarded`; this child only writes out what it has printed.
    """
    if multiprocessing.current_process().name.startswith(_NAME) and not _has_entered:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_UNGUARDED)


def check_guarded(process: BaseProcess) -> None:
    """Raises if `end_if_script_is_imported` ended the process."""
    if process.exitcode == _UNGUARDED:
        raise RuntimeError(
            "`workers` and `isolate` start processes that import the script first, so "
            "what the script does, such as `search`, must stand under `if __name__ == "
            '"__main__":`. Received: a script that searches while it is imported.'
        )


def wait_for_end(
    process: BaseProcess, receiver: Connection, seconds: float | None = None
) -> bool:
    """Waits until the process has ended; False if it takes longer than `seconds`.

    A process that has done its work and does not end, as with a thread of a library
    in it, is waited for `EXIT_SECONDS` longer.

    Raises:
        Exception: The child raised it.
    """
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    waited_for: list[Any] = [receiver, process.sentinel]
    while True:
        left = max(0, deadline - time.monotonic())
        timeout = None if math.isinf(left) else left
        ready = multiprocessing.connection.wait(waited_for, timeout)
        if receiver in ready:
            raise_error_of(receiver)
            waited_for.remove(receiver)
            deadline = min(deadline, time.monotonic() + EXIT_SECONDS)
        elif ready:
            process.join()
            return True
        else:
            return receiver not in waited_for


def raise_error_of(receiver: Connection) -> None:
    """Raises the error that ended the child, if it has sent one."""
    try:
        pickled, text = receiver.recv()
    except (EOFError, OSError):
        return
    try:
        error = pickle.loads(pickled)
    except Exception:  # of a class that is unknown here
        error = RuntimeError(text)
    raise error


def stop(process: BaseProcess, receiver: Connection) -> None:
    """Kills the process, if it has not ended, and frees what it held."""
    process.kill()
    process.join()
    process.close()
    receiver.close()


def death_message(process: BaseProcess) -> str:
    """A sentence on a process that ended without sending an error."""
    if process.exitcode is None:
        return "Its process did not end."
    if process.exitcode == -9:
        return "Its process was killed, as it is when memory runs out (signal 9)."
    if process.exitcode < 0:
        return f"Its process was ended by signal {-process.exitcode}."
    return f"Its process ended with exit code {process.exitcode}."


def shorten(text: str, length: int = 4000) -> str:
    """The beginning and the end of a text that is too long to be kept."""
    if len(text) <= length:
        return text
    half = length // 2 - 20
    return f"{text[:half]} ... ({len(text)} characters) ... {text[-half:]}"


@contextlib.contextmanager
def frozen_objects() -> Iterator[None]:
    """Within it garbage collections pass over all that exists now (`gc.freeze`).

    KerasTuner collects twice before it builds a model. Half a million objects of
    TensorFlow and Keras are looked at each time, a third of a second for nothing.
    """
    if gc.get_freeze_count():  # somebody else's, who would lose it at the end
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" not in methods:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


class _Call:
    """A function and its arguments, which the child unpickles when it is told to.

    What multiprocessing unpickles itself it does before any code of ours, and nobody
    would be told of an error there.
    """

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...]):
        self._content: Any = (target, args)

    def __getstate__(self) -> bytes:
        return bytes(ForkingPickler.dumps(self._content))

    def __setstate__(self, state: bytes) -> None:
        self._content = state

    def load(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """The function and its arguments, in the child."""
        try:
            return pickle.loads(self._content)
        except Exception as error:
            raise ValueError(
                "`workers` and `isolate` hand the tuner and the data to other "
                "processes, which import functions and classes by their names, so "
                "these must stand in a module, not in a notebook or at a prompt. "
                f"Received: {type(error).__name__}: {error}."
            ) from error


def _enter(call: _Call, sender: Connection) -> None:
    global _has_entered
    _end_with_parent()
    try:
        target, args = call.load()
        _has_entered = True
        target(*args)
    except Exception as error:
        sender.send(_picklable(error))
        raise SystemExit(1) from None
    finally:
        sender.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    thread = threading.Thread(target=_exit_with, args=(parent,), daemon=True)
    thread.start()


def _exit_with(parent: BaseProcess) -> None:
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _picklable(error: Exception) -> tuple[bytes, str]:
    """The error as bytes and as text, short enough for the buffer of a pipe."""
    text = shorten(f"{type(error).__name__}: {error}")
    for found in (error, _with_short_arguments(error), RuntimeError(text)):
        try:
            pickled = pickle.dumps(found)
            pickle.loads(pickled)
        except Exception:
            continue
        if len(pickled) < _MAX_BYTES:
            break
    return pickled, text


def _with_short_arguments(error: Exception) -> Exception:
    arguments = [shorten(a) if isinstance(a, str) else a for a in error.args]
    try:
        return type(error)(*arguments)
    except Exception:
        return RuntimeError(*arguments)
