"""Identity of the process that runs a trial, and a test of whether it still lives."""

import os
import pathlib
import socket
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._seeds import derive

# Attributes of a trial: the process that runs it, and those that were about to take it.
OWNER = "owner"
CANDIDATE = "candidate:"


def this_process() -> dict[str, Any]:
    """Identity of this process, as it is written beside its trials."""
    return {"place": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def candidate() -> tuple[str, dict[str, Any]]:
    """Attribute with which this process says that it is about to take a trial.

    Without it a process that is killed between taking a trial and writing its name
    would leave a trial that nobody can tell to be dead.
    """
    identity = this_process()
    return f"{CANDIDATE}{derive(identity)}", identity


def is_orphan(trial: FrozenTrial) -> bool:
    """True if the process that runs this trial is certainly gone.

    False for a process on another host, of which only its heartbeat tells, and for a
    process that was stopped and may continue.
    """
    attrs = trial.user_attrs
    if OWNER in attrs:
        return is_dead(attrs[OWNER])
    candidates = _candidates(trial)
    return bool(candidates) and all(map(is_dead, candidates))


def is_claimed(trial: FrozenTrial) -> bool:
    """True if a process of the kit runs this trial, or is about to.

    False for a trial of `study.ask()`, which may never end.
    """
    if trial.state != TrialState.RUNNING:
        return False
    return OWNER in trial.user_attrs or bool(_candidates(trial))


def is_alive_here(trial: FrozenTrial) -> bool:
    """True if a living process of this host runs this trial."""
    owner = trial.user_attrs.get(OWNER)
    return owner is not None and is_on_this_host(owner) and not is_dead(owner)


def is_on_this_host(identity: dict[str, Any]) -> bool:
    """True if it is, or was, a process of this host."""
    return identity["place"] == _host()


def is_dead(identity: dict[str, Any]) -> bool:
    """True if this process is certainly gone."""
    if not is_on_this_host(identity):
        return False
    number = identity["pid"]
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    return _is_zombie(number) or _started(number) != identity["started"]


def _candidates(trial: FrozenTrial) -> list[dict[str, Any]]:
    attrs = trial.user_attrs
    return [attrs[name] for name in attrs if name.startswith(CANDIDATE)]


def _host() -> str:
    """Identifies the boot and PID namespace in which process numbers are comparable."""
    parts = [socket.gethostname()]
    try:
        parts.append(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass  # no Linux
    return " ".join(part.strip() for part in parts)


def _started(pid: int) -> int | None:
    """Clock ticks from boot to the start of the process; numbers are used again."""
    fields = _status(pid)
    return None if fields is None else int(fields[19])


def _is_zombie(pid: int) -> bool:
    fields = _status(pid)
    return fields is not None and fields[0] == "Z"


def _status(pid: int) -> list[str] | None:
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name before may hold spaces
