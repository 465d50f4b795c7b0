"""Which process runs a trial, and whether it still lives."""

import os
import pathlib
import socket

from optuna.trial import TrialState

from keras_trainkit.tuners._seeds import derive

OWNER = "owner"
CANDIDATE = "candidate:"


def myself() -> dict:
    """This process, as it is written beside its trials."""
    return {"place": _place(), "pid": os.getpid(), "started": _started(os.getpid())}


def candidate() -> tuple[str, dict]:
    """An attribute with which this process says that it is about to take a trial.

    It dies without an owner if its process is killed on the very next line.
    """
    me = myself()
    return f"{CANDIDATE}{derive(me)}", me


def is_orphan(trial) -> bool:
    """Whether whoever runs this trial is certainly gone.

    False for a process on another machine, of which only its heartbeat tells, and
    for a process that stands still.
    """
    attrs = trial.user_attrs
    if OWNER in attrs:
        return is_dead(attrs[OWNER])
    found = _candidates(trial)
    return bool(found) and all(map(is_dead, found))


def is_run(trial) -> bool:
    """Whether a process of the kit runs this trial, or is about to.

    Not a trial of `study.ask()`, whose end nobody can promise.
    """
    if trial.state != TrialState.RUNNING:
        return False
    return OWNER in trial.user_attrs or bool(_candidates(trial))


def lives_here(trial) -> bool:
    """Whether whoever runs this trial is a process of this machine that lives."""
    owner = trial.user_attrs.get(OWNER)
    return owner is not None and is_here(owner) and not is_dead(owner)


def is_here(owner) -> bool:
    """Whether the process is, or was, one of this machine."""
    return owner["place"] == _place()


def searched_by(owner) -> ValueError:
    """The error for overwriting what this process searches in."""
    where = "" if is_here(owner) else f" on {owner['place'].split()[0]}"
    return ValueError(
        "`overwrite=True` deletes the search that is there, so no process may be "
        "searching in it: wait for its end, or end it. "
        f"Received: a search by the process {owner['pid']}{where}."
    )


def is_dead(owner) -> bool:
    """Whether this process is certainly gone."""
    if not is_here(owner):
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    return _is_zombie(owner["pid"]) or _started(owner["pid"]) != owner["started"]


def _candidates(trial):
    attrs = trial.user_attrs
    return [attrs[name] for name in attrs if name.startswith(CANDIDATE)]


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
