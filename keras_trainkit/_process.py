"""Identity of a process, as it is written to disk, and whether it still lives."""

import os
import pathlib
import socket
from typing import Any


def this_process() -> dict[str, Any]:
    """Identity of this process, as it is written beside what it works on."""
    return {"place": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


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
