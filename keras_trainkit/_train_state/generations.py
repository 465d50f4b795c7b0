"""The last few states in a folder, each whole or not there.

| name              | content                                                        |
| ----------------- | -------------------------------------------------------------- |
| `gen-000000012/`  | one state: the two files of `state_file`                       |
| its `MANIFEST.json` | size and SHA-256 of both, written last, and its own SHA-256  |
| `CURRENT`         | name of the newest state, with a SHA-256, replaced at last     |

A process killed at any moment, or a disk that fails, leaves the states before.
"""

import contextlib
import hashlib
import json
import pathlib
import re
import shutil
from typing import Any

from keras_trainkit._disk import check_regular, naming, replacing, sync
from keras_trainkit._train_state import state_file
from keras_trainkit._train_state.state_file import ARRAYS, VALUES, DamagedState

CURRENT = "CURRENT"
MANIFEST = "MANIFEST.json"
_NAME = re.compile(r"gen-\d{9}")
_FORMAT = 1


class Generations:
    """States in a folder, of which the newest are kept.

    Args:
        folder: Folder that is there.
        keep: Int >= 1. Number of states.
    """

    def __init__(self, folder: pathlib.Path, keep: int):
        self.folder = folder
        self.keep = keep
        self._kept: list[str] = []  # oldest first; the last is known to be whole

    def read(self) -> tuple[Any, list[str]]:
        """The newest whole state, None if there is none; and why not a newer one.

        Raises:
            DamagedState: There are states, none of which is whole.
        """
        remarks = []
        current, names = self._pointed_to(), self._names()
        has_pointer = (self.folder / CURRENT).exists()
        if current is not None:
            # A newer one was not finished: nothing has gone on from it.
            names = sorted({current, *(name for name in names if name < current)})
        elif has_pointer:
            remarks.append(f"{CURRENT} is damaged")
        while names:
            try:
                _check_manifest(self.folder / names[-1])
                state = state_file.read(self.folder / names[-1])
                self._kept = names
                return state, remarks
            except DamagedState as damage:
                remarks.append(f"{names.pop()}: {damage}")
        if has_pointer:
            raise DamagedState("; ".join(remarks))
        return None, []  # the first was not finished

    def write(self, files: dict[str, list[Any]]) -> None:
        """Adds a state, and deletes what is older than the newest ones, or no state.

        Args:
            files: What `state_file.packed` has returned.

        Raises:
            OSError: It cannot be written; those that were there stay as they were.
        """
        last = max(self._names(), default="gen-0")
        generation = self.folder / f"gen-{int(last[4:]) + 1:09d}"
        try:
            with naming(generation):
                generation.mkdir()
                state_file.write(generation, files)
                sync(generation / ARRAYS)
                sync(generation / VALUES)
                _write_manifest(generation, files)
                sync(generation)
                sync(self.folder)
                self._point_to(generation.name)
        except BaseException:
            if self._pointed_to() != generation.name:
                shutil.rmtree(generation, ignore_errors=True)
            raise
        self._kept = [*self._kept, generation.name][-self.keep :]
        for name in set(self._names()) - set(self._kept):
            _delete(self.folder / name)

    def _names(self) -> list[str]:
        found = (path.name for path in self.folder.iterdir())
        return sorted(name for name in found if _NAME.fullmatch(name))

    def _point_to(self, name: str) -> None:
        temporary = self.folder / f".{CURRENT}.new"
        with replacing(temporary, self.folder / CURRENT):
            temporary.write_text(f"{name} {_sha256(name.encode())}\n")

    def _pointed_to(self) -> str | None:
        """Name in the pointer; None without one, and for one that is damaged."""
        try:
            check_regular(self.folder / CURRENT)
            text = (self.folder / CURRENT).read_text()
        except (OSError, ValueError):
            return None
        name = text.partition(" ")[0]
        is_whole = text == f"{name} {_sha256(name.encode())}\n"
        return name if is_whole and _NAME.fullmatch(name) else None


def _write_manifest(generation: pathlib.Path, files: dict[str, list[Any]]) -> None:
    listed = {
        name: {"size": sum(map(len, parts)), "sha256": _sha256(*parts)}
        for name, parts in files.items()
    }
    text = json.dumps({"format": _FORMAT, "files": listed}, sort_keys=True)
    path = generation / MANIFEST
    path.write_text(f"{text}\n{_sha256(text.encode())}\n")
    sync(path)


def _check_manifest(generation: pathlib.Path) -> None:
    """Refuses a state of which one bit is another than when it was written."""
    try:
        for name in (MANIFEST, VALUES, ARRAYS):
            check_regular(generation / name)
        text, _, rest = (generation / MANIFEST).read_bytes().partition(b"\n")
        if rest != f"{_sha256(text)}\n".encode():
            raise DamagedState(f"{MANIFEST} does not have its own SHA-256")
        manifest = json.loads(text)
        if manifest["format"] != _FORMAT:
            raise DamagedState(f"is of another format, {manifest['format']!r}")
        for name in (VALUES, ARRAYS):
            listed, path = manifest["files"][name], generation / name
            size = path.stat().st_size
            if size != listed["size"]:
                raise DamagedState(f"{name} has {size} bytes, not {listed['size']}")
            if _sha256(path.read_bytes()) != listed["sha256"]:
                raise DamagedState(f"{name} does not have the SHA-256 of {MANIFEST}")
    except FileNotFoundError as error:
        missing = pathlib.Path(str(error.filename)).name
        raise DamagedState(f"{missing} is missing") from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedState(f"{MANIFEST} cannot be read ({error!r})") from error


def _delete(generation: pathlib.Path) -> None:
    """The manifest goes first: what is left of a state is no state."""
    with contextlib.suppress(OSError):
        (generation / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(generation)


def _sha256(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
