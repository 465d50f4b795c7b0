"""What a search writes beside its study."""

import json
import os
import pathlib

import keras

MARKER = "keras_trainkit_search.json"
DATABASE = "study.db"
WEIGHTS = "checkpoint.weights.h5"


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
    if not folder.is_dir() or any(folder.iterdir()):
        raise ValueError(
            "`directory` and `project_name` name the folder of the search, which must "
            f"be new, empty, or one of this kit (with a file {MARKER}); another search "
            f"or other files are never overwritten. Received: {str(folder)!r}."
        )


def mark(folder: pathlib.Path, content: dict):
    """Writes the file by which the kit knows its own folders."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARKER).exists():
        temporary = folder / f".{MARKER}.{os.getpid()}"
        temporary.write_text(json.dumps(content, indent=1))
        _replace(temporary, folder / MARKER)


def delete_search(folder: pathlib.Path):
    """Deletes what the kit wrote; other files stay, and their folders with them."""
    for name in (DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    for weights in folder.glob(f"trial_*/*{WEIGHTS}"):
        weights.unlink()
    for trial in folder.glob("trial_*"):
        if trial.is_dir() and not any(trial.iterdir()):
            trial.rmdir()
    (folder / MARKER).unlink(missing_ok=True)


def unfinished_weights(folder: pathlib.Path) -> list[pathlib.Path]:
    """Files that `save_weights` is writing, or was when its process was killed."""
    return list(folder.glob(f"trial_*/.*.{WEIGHTS}"))


def save_weights(model: keras.Model, path: pathlib.Path):
    """Writes the weights whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        model.save_weights(temporary)
        _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _replace(temporary, path):
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
