"""A fitted estimator as one folder: files of Keras, and a JSON without code.

| file            | holds                                                            |
| --------------- | ---------------------------------------------------------------- |
| `model.keras`   | the model, as trained                                            |
| `encoder.keras` | the `layers.TableEncoder`, for tables                            |
| `estimator.json`| arguments, classes, names of the columns, recipe, history, and   |
|                 | the SHA-256 of the other files                                   |

Its fields are read for good, so their names never change.
"""

import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, NoReturn

import keras
import numpy as np

from keras_trainkit._disk import check_regular, check_unpacked, naming, sync
from keras_trainkit._types import Layer, Model

FORMAT = 1
FIELDS = "estimator.json"
PURPOSE = "`path` is the folder of a saved estimator and"
_CLASS_DTYPE = re.compile(r"\|O|\|b1|<[iuf][1248]|\|[iu]1|<U\d{1,6}")


def write_folder(
    path: Any, layers: Mapping[str, Layer], fields: dict[str, Any]
) -> pathlib.Path:
    """Writes all files beside their place, waits for the disk, and renames the folder.

    A process killed at any moment leaves no folder `path`, or a whole one.

    Args:
        layers: Models and layers by the names of their files.
    """
    folder = _new_path(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
    draft.mkdir()
    try:
        with naming(folder):
            for name, layer in layers.items():
                keras.saving.save_model(layer, draft / name)
            hashes = {name: _sha256(draft / name) for name in layers}
            content = {"format": FORMAT, "sha256": hashes, **fields}
            (draft / FIELDS).write_text(json.dumps(content), "utf-8")
            for name in (*layers, FIELDS):
                sync(draft / name)
            sync(draft)
            os.rename(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync(folder.parent)
    return folder


def read_folder(
    path: Any, owner: str, names: list[str]
) -> tuple[list[Layer], dict[str, Any]]:
    """The contents of the files, and the fields; anyone may have written them.

    Args:
        owner: Name of the class that the folder must be of.

    Raises:
        ValueError: Files missing, broken, of another class, or of several folders.
    """
    folder = _path(path)
    files = [*names, FIELDS]
    fields = _read_fields(folder) if (folder / FIELDS).is_file() else None
    if fields is not None and fields.get("estimator") != owner:
        _refuse(f"must be of a {owner}", f"{fields.get('estimator')!r} in {folder}")
    missing = [name for name in files if not (folder / name).is_file()]
    if missing or fields is None:
        _refuse(f"must hold {', '.join(files)}", f"{folder}, without {missing}")
    layers = []
    for name in names:
        try:
            if "sha256" in fields:  # not in a folder from before there were any
                _check_hash(folder / name, fields["sha256"])
            layers.append(_loaded_layer(folder / name))
        except Exception as error:  # of whatever a broken or foreign file brings about
            raise _broken(folder / name, error) from error
    return layers, fields


def _check_hash(file: pathlib.Path, hashes: Any) -> None:
    """Refuses another file than the one that was saved with the others.

    Args:
        hashes: SHA-256 by name.
    """
    if not isinstance(hashes, dict) or hashes.get(file.name) != _sha256(file):
        raise ValueError(f"another file than the one that {FIELDS} was saved with")


def _sha256(file: pathlib.Path) -> str:
    check_regular(file)
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read_fields(folder: pathlib.Path) -> dict[str, Any]:
    try:
        fields = json.loads((folder / FIELDS).read_text("utf-8"))
    except Exception as error:
        raise _broken(folder / FIELDS, error) from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        _refuse(f"must be of the format {FORMAT}", f"another in {folder}")
    return fields


def _broken(file: pathlib.Path, error: Exception) -> ValueError:
    return ValueError(
        f"{PURPOSE} must hold files as `save` wrote them. Received: {file}, "
        f"{type(error).__name__}: {error}."
    )


def packed(model: Model) -> bytes:
    """The model as the bytes of its `.keras` file, for a pickle."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "model.keras")
        model.save(file)
        return file.read_bytes()


def unpacked(content: bytes) -> Model:
    """The model of such bytes, not compiled."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "model.keras")
        file.write_bytes(content)
        return _loaded_layer(file)


def _loaded_layer(file: pathlib.Path) -> Layer:
    """Without what it was compiled with, which may name a user's own functions."""
    check_unpacked(file)
    return keras.saving.load_model(file, compile=False, safe_mode=True)


def saved(value: Any) -> Any:
    """`value` for JSON, dicts and tuples marked; TypeError for what is not plain."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {"dict": [[saved(k), saved(v)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [saved(entry) for entry in value]}
    if isinstance(value, list):
        return [saved(entry) for entry in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(type(value).__name__)


def loaded(value: Any) -> Any:
    """The value that `saved` was given."""
    if isinstance(value, list):
        return [loaded(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"tuple"}:
        return tuple(loaded(value["tuple"]))
    return {loaded(key): loaded(entry) for key, entry in value["dict"]}


def saved_classes(classes: np.ndarray) -> dict[str, Any]:
    """Classes and their dtype."""
    return {"dtype": classes.dtype.str, "values": classes.tolist()}


def loaded_classes(fields: Any) -> np.ndarray:
    """Classes as they were; ValueError for what names none."""
    dtype, values = fields["dtype"], fields["values"]
    plain = isinstance(values, list) and len({type(value) for value in values}) == 1
    if not plain or not _CLASS_DTYPE.fullmatch(dtype):
        raise ValueError(f"no classes: {dtype!r}")
    if type(values[0]) not in (str, int, bool, float):
        raise ValueError("classes of another type")
    return np.array(values, dtype)


def _path(path: Any) -> pathlib.Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        _refuse("must be a non-empty string or a path", f"path={path!r}")
    return pathlib.Path(os.fsdecode(path))


def _new_path(path: Any) -> pathlib.Path:
    folder = _path(path)
    if folder.exists() or folder.is_symlink():
        _refuse("must not be there yet", f"path={str(path)!r}, which is")
    return folder


def _refuse(allowed: str, received: str) -> NoReturn:
    raise ValueError(f"{PURPOSE} {allowed}. Received: {received}.")
