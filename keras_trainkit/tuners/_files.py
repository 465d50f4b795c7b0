"""What a search writes beside its study."""

import contextlib
import json
import os
import pathlib
import tempfile

import keras

from keras_trainkit._disk import replace
from keras_trainkit.tuners._patient_storage import StorageFailed
from keras_trainkit.tuners._process_identity import (
    is_dead,
    is_here,
    myself,
    searched_by,
)

MARKER = "keras_trainkit_search.json"
DATABASE = "study.db"
WEIGHTS = "checkpoint.weights.h5"
_SEARCHING = ".searching."
_BEGUN = "begun"


def check_project_name(project_name):
    """Refuses names that would lead out of the directory."""
    named = isinstance(project_name, str) and project_name not in ("", ".", "..")
    if not named or any(mark in project_name for mark in ("/", "\\", "\0")):
        raise ValueError(
            "`project_name` names the folder of the search in `directory` and must be "
            f"the name of one folder. Received: project_name={project_name!r}."
        )


def check_folder(folder: pathlib.Path):
    """Refuses a folder that holds other things than a search of the kit."""
    if not folder.exists() or (folder / MARKER).exists():
        return
    # A start that was killed may have left an unfinished marker.
    if not folder.is_dir() or any(map(_is_foreign, folder.iterdir())):
        raise ValueError(
            "`directory` and `project_name` name the folder of the search, which must "
            f"be new, empty, or one of this kit (with a file {MARKER}); another search "
            f"or other files are never overwritten. Received: {str(folder)!r}."
        )


def begin(folder: pathlib.Path, content: dict, *, anew: bool = False) -> bool:
    """Makes the folder and the file by which the kit knows its own folders.

    The file says that the search is about to be made, until `finish`: whatever is
    missing then was never there.

    Args:
        folder: Folder of the search.
        content: What the file says.
        anew: The search that is there is about to be deleted.

    Returns:
        Whether the search was made before, in the database that `content` names.
    """
    with refused_writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = None if anew else _marker(folder)
        if found is None or _BEGUN in found:
            _write_marker(folder, {**content, _BEGUN: True})
            return False
    moved = content["storage"].endswith(f"{folder.name}{os.sep}{DATABASE}")
    return moved or found.get("storage") == content["storage"]


def finish(folder: pathlib.Path, content: dict):
    """Says that the search is made."""
    if _BEGUN in (_marker(folder) or {_BEGUN: True}):
        with refused_writing(folder):
            _write_marker(folder, content)


def delete_search(folder: pathlib.Path):
    """Deletes what the kit wrote but its marker; other files stay, and their folders.

    The log goes before the database, which would take up another one's log.
    """
    with refused_writing(folder):
        for end in ("-wal", "-shm", "-journal", ""):
            (folder / f"{DATABASE}{end}").unlink(missing_ok=True)
        for weights in folder.glob(f"trial_*/*{WEIGHTS}"):
            weights.unlink()
        for trial in folder.glob("trial_*"):
            if trial.is_dir() and not any(trial.iterdir()):
                trial.rmdir()


@contextlib.contextmanager
def searching(folder: pathlib.Path):
    """Within it the folder says that this process searches in it."""
    with refused_writing(folder):
        _remove_left(folder)
        number, name = tempfile.mkstemp(".json", f"{_SEARCHING}{os.getpid()}.", folder)
        file = pathlib.Path(name)
    try:
        os.close(number)
        with refused_writing(folder):
            file.write_text(json.dumps(myself()))
        yield
    finally:
        file.unlink(missing_ok=True)


def refuse_while_searched(folder: pathlib.Path):
    """Raises if a living process searches in the folder."""
    for file in folder.glob(f"{_SEARCHING}*"):
        owner = _owner_in(file)
        if owner is not None and is_here(owner) and not is_dead(owner):
            raise searched_by(owner)


def unfinished_weights(folder: pathlib.Path) -> list[pathlib.Path]:
    """Files that `save_weights` is writing, or was when its process was killed."""
    return list(folder.glob(f"trial_*/.*.{WEIGHTS}"))


def save_weights(model: keras.Model, path: pathlib.Path):
    """Writes the weights whole or not at all.

    Raises:
        StorageFailed: They cannot be written there.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save_weights(temporary)
        replace(temporary, path)
    except OSError as error:
        raise StorageFailed(str(path), str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def refused_writing(folder: pathlib.Path):
    """Names the folder in which something cannot be written."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            "`directory` and `project_name` name the folder of the search, which must "
            "be one that this process may write to, on a disk with room left. "
            f"Received: {str(folder)!r}: {error}"
        ) from error


def _is_foreign(path):
    return not path.name.startswith((f".{MARKER}.", _SEARCHING))


def _marker(folder):
    try:
        found = json.loads((folder / MARKER).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write_marker(folder, content):
    temporary = folder / f".{MARKER}.{os.getpid()}"
    try:
        temporary.write_text(json.dumps(content, indent=1))
        replace(temporary, folder / MARKER)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _remove_left(folder):
    """Removes what killed processes left of themselves."""
    for file in folder.glob(f"{_SEARCHING}*"):
        owner = _owner_in(file)
        if owner is not None and is_dead(owner):
            file.unlink(missing_ok=True)


def _owner_in(file):
    try:
        owner = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return owner
