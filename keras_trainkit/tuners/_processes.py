"""Child processes that start fast and end with their parent."""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import threading

PRELOADED = ["keras_trainkit.tuners._preloaded"]


def warm_up():
    """Lets the server that children are forked from load, beside other work."""
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver  # not on every system

        forkserver.ensure_running()


def start(target, *args):
    """Starts a process and returns it with the connection its error comes through.

    Where the system can, children are forked from a server that has imported Keras
    and done nothing with it, which takes a tenth of a second in place of several.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_enter, args=(target, args, sender))
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


def error_of(receiver):
    """The exception that ended the child, or None."""
    try:
        return receiver.recv() if receiver.poll() else None
    except EOFError:
        return None


def died_how(process) -> str:
    """A sentence on a process that ended without saying why."""
    if process.exitcode == -9:
        return "Its process was killed, as it is when memory runs out (signal 9)."
    if process.exitcode < 0:
        return f"Its process was ended by signal {-process.exitcode}."
    return f"Its process ended with exit code {process.exitcode}."


def _context():
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" not in methods:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _enter(target, args, sender):
    _end_with_parent()
    try:
        target(*args)
    except Exception as error:
        sender.send(_picklable(error))
        raise SystemExit(1) from None
    finally:
        sender.close()


def _end_with_parent():
    parent = multiprocessing.parent_process()
    thread = threading.Thread(target=_wait_for_end, args=(parent,), daemon=True)
    thread.start()


def _wait_for_end(parent):
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _picklable(error):
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
