"""Files that a search writes beside its study: a marker and locks."""

import contextlib
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from keras_trainkit._disk import check_regular, replacing
from keras_trainkit._process import is_dead, is_on_this_host, this_process
from keras_trainkit.tuners._database import is_same_database

MARKER = "keras_trainkit_search.json"
DATABASE = "study.db"
_SEARCHING = ".searching."
_BEGUN = "begun"
_OLD_SECONDS = 24 * 60 * 60


def search_folder(directory: Any, project_name: Any) -> pathlib.Path:
    """The folder of the search; names that would lead out of `directory` are refused.

    Args:
        directory: String or path; None for the folder of the process.
        project_name: String.
    """
    if directory is not None and not isinstance(directory, str | os.PathLike):
        raise ValueError(
            "`directory` is where the folder of the search is and must be a string or "
            f"a path. Received: directory={directory!r}."
        )
    named = isinstance(project_name, str) and project_name not in ("", ".", "..")
    if not named or any(mark in project_name for mark in ("/", "\\", "\0")):
        raise ValueError(
            "`project_name` names the folder of the search in `directory` and must be "
            f"the name of one folder. Received: project_name={project_name!r}."
        )
    return pathlib.Path(directory or ".") / project_name


def check_folder(folder: pathlib.Path) -> None:
    """Refuses a folder that holds other things than a search of the kit."""
    with naming_folder(folder):
        if not folder.exists():
            return
        # A start that was killed may have left an unfinished marker.
        is_strange = not folder.is_dir() or any(map(_is_foreign, folder.iterdir()))
        # After the look: another process may be beginning the search, marker first.
        is_strange = is_strange and not (folder / MARKER).exists()
    if is_strange:
        raise ValueError(
            "`directory` and `project_name` name the folder of the search, which must "
            f"be new, empty, or one of this kit (with a file {MARKER}); another search "
            f"or other files are never overwritten. Received: {str(folder)!r}."
        )


def begin(folder: pathlib.Path, content: dict[str, Any], *, anew: bool = False) -> bool:
    """Makes the folder and the marker by which the kit knows its own folders.

    The marker says that the search is about to be made, until `finish`: whatever is
    missing then was never there.

    Args:
        folder: Folder of the search.
        content: Content of the marker.
        anew: The search that is there is about to be deleted.

    Returns:
        True if the search was made before, in the database that `content` names.

    Raises:
        ValueError: It was made in another database; its weights are in this folder.
    """
    with naming_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = None if anew else _marker(folder)
        if found is None or _BEGUN in found:
            _write_marker(folder, {**content, _BEGUN: True})
            return False
    own_file = f"{folder.name}{os.sep}{DATABASE}"
    given, made_in = content["storage"], found.get("storage")
    if made_in is None:  # an unreadable marker
        return given.endswith(own_file)
    has_moved = given.endswith(own_file) and made_in.endswith(own_file)
    if has_moved or is_same_database(given, made_in):
        return True
    if given.endswith(own_file) and found.get("study", folder.name) != folder.name:
        raise ValueError(
            "`project_name` names the folder of a search and the study in it: it may "
            f"move, and must keep its name, {found['study']!r}. "
            f"Received: project_name={folder.name!r}."
        )
    raise ValueError(
        "`storage` names the database of the search, which must be the one that it was "
        f"begun in, {made_in!r}; use another `project_name` or `overwrite=True` for a "
        f"new search. Received: {given!r}."
    )


def finish(folder: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes into the marker that the search is made."""
    with naming_folder(folder):
        if _BEGUN in (_marker(folder) or {_BEGUN: True}):
            _write_marker(folder, content)


@contextlib.contextmanager
def searching(folder: pathlib.Path) -> Iterator[None]:
    """Within it a file in the folder says that this process searches in it."""
    with naming_folder(folder):
        _remove_locks_of_the_dead(folder)
        number, name = tempfile.mkstemp(".json", f"{_SEARCHING}{os.getpid()}.", folder)
        file = pathlib.Path(name)
    try:
        os.close(number)
        with naming_folder(folder):
            file.write_text(json.dumps(this_process()))
        yield
    finally:
        file.unlink(missing_ok=True)


def searching_processes(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Identities of the processes that say that they search in the folder."""
    return [identity for _, identity in _locks(folder)]


@contextlib.contextmanager
def naming_folder(folder: pathlib.Path) -> Iterator[None]:
    """Within it an error of the disk becomes one that names the folder."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            "`directory` and `project_name` name the folder of the search, which must "
            "be one that this process may write to, on a disk with room left. "
            f"Received: {str(folder)!r}: {error}"
        ) from error


def _is_foreign(path: pathlib.Path) -> bool:
    return not path.name.startswith((f".{MARKER}.", _SEARCHING))


def _marker(folder: pathlib.Path) -> dict[str, Any] | None:
    try:
        check_regular(folder / MARKER)
        found = json.loads((folder / MARKER).read_text())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_marker(folder: pathlib.Path, content: dict[str, Any]) -> None:
    temporary = folder / f".{MARKER}.{os.getpid()}"
    with replacing(temporary, folder / MARKER):
        temporary.write_text(json.dumps(content, indent=1))


def _remove_locks_of_the_dead(folder: pathlib.Path) -> None:
    """Also the old ones of other hosts, such as earlier boots, and unreadable ones."""
    identities = dict(_locks(folder))
    for file in folder.glob(f"{_SEARCHING}*"):
        identity = identities.get(file)
        if identity is not None and is_on_this_host(identity):
            is_over = is_dead(identity)
        else:
            is_over = _age(file) > _OLD_SECONDS
        if is_over:
            file.unlink(missing_ok=True)


def _age(file: pathlib.Path) -> float:
    """Seconds since the file was written; 0 if it is gone."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0


def _locks(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, dict[str, Any]]]:
    """Each lock with the identity of the process that wrote it."""
    for file in folder.glob(f"{_SEARCHING}*"):
        try:
            check_regular(file)
            identity = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(identity, dict):
            yield file, identity
