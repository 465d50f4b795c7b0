"""Which process runs a trial, and whether it still lives."""

import os
import pathlib
import socket

from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._slots import OWNER

_CANDIDATE = "candidate:"


def myself() -> dict:
    """This process, as it is written beside its trials."""
    return {"place": _place(), "pid": os.getpid(), "started": _started(os.getpid())}


def candidate() -> tuple[str, dict]:
    """An attribute with which this process says that it is about to take a trial.

    It dies without an owner if its process is killed on the very next line.
    """
    me = myself()
    return f"{_CANDIDATE}{derive(me)}", me


def is_orphan(trial) -> bool:
    """Whether whoever runs this trial is certainly gone.

    False for a process on another machine, of which only its heartbeat tells.
    """
    attrs = trial.user_attrs
    if OWNER in attrs:
        return _is_dead(attrs[OWNER])
    found = [attrs[name] for name in attrs if name.startswith(_CANDIDATE)]
    return bool(found) and all(map(_is_dead, found))


def _is_dead(owner):
    if owner["place"] != _place():
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    return _is_zombie(owner["pid"]) or _started(owner["pid"]) != owner["started"]


def _place():
    """Where process numbers mean the same: the machine, since its start, its space."""
    parts = [socket.gethostname()]
    try:
        parts.append(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass  # no Linux
    return " ".join(part.strip() for part in parts)


def _status(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name before may hold spaces


def _started(pid):
    """Clock ticks since the machine's start: a number may be given out again."""
    fields = _status(pid)
    return None if fields is None else int(fields[19])


def _is_zombie(pid):
    fields = _status(pid)
    return fields is not None and fields[0] == "Z"
