"""The folder of a search, or of a fit, which goes on as the one it was begun as."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_seed
from keras_trainkit._disk import check_regular, sync
from keras_trainkit.estimators._saved_folder import saved
from keras_trainkit.estimators._targets import as_array

FORMAT = 1
VALUES = "the values of"
# What may change from call to call: how long, how loud, where.
FREE = ("trials", "time_limit", "verbose", "directory")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of folder: its file, and how errors speak of it."""

    marker: str
    purpose: str
    noun: str
    free: tuple[str, ...]  # arguments that may change


SEARCH = Kind(
    "automl.json", "`directory` is the folder of the search and", "a search", FREE
)
RESUMED = Kind(
    "fit.json", "`resume` is the folder of the fit and", "a fit", ("verbose",)
)
RECIPE = dataclasses.replace(RESUMED, marker="recipe.json")
MARKER, PURPOSE = SEARCH.marker, SEARCH.purpose


def check_directory(directory: Any, kind: Kind = SEARCH) -> pathlib.Path | None:
    """The path of a folder that is new, empty, or of its kind; None stays None."""
    if directory is None:
        return None
    if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
        raise ValueError(
            f"{kind.purpose} must be None, a non-empty string or a path. "
            f"Received: {directory!r}."
        )
    folder = pathlib.Path(os.fsdecode(directory))
    try:
        strange = folder.exists() and not folder.is_dir()
        if not strange and folder.exists() and not (folder / kind.marker).exists():
            names = [path.name for path in folder.iterdir()]
            strange = any(not name.startswith(f".{kind.marker}.") for name in names)
    except OSError as error:
        raise _not_writable(folder, error, kind) from error
    if strange:
        raise ValueError(
            f"{kind.purpose} must be new, empty, or one of {kind.noun} (with a file "
            f"{kind.marker}); other files are never overwritten. "
            f"Received: {str(folder)!r}."
        )
    return folder


def seed_in(folder: pathlib.Path | None, kind: Kind = SEARCH) -> int | None:
    """The seed of what was begun in the folder; None of a new one."""
    found = None if folder is None else _read(folder, kind)
    return None if found is None else int(found["seed"])


def begin(
    folder: pathlib.Path, description: dict[str, Any], kind: Kind = SEARCH
) -> None:
    """Writes what is begun, or compares it with what is there.

    Args:
        folder: As `check_directory` gave it.
        description: Dict of plain values; what comes first in it is compared first.

    Raises:
        ValueError: It was begun as another one; names the first difference.
    """
    if _read(folder, kind) is None:
        _write(folder, description, kind)
    found = _read(folder, kind)  # that of whoever came first, in two processes at once
    wanted = json.loads(json.dumps(description))
    for path, now, before in _differences(wanted, found):
        change = f"{path} was {_shown(before)} and is {_shown(now)}"
        if path.startswith(VALUES):
            change = f"{path} are others"
        raise ValueError(
            f"{kind.purpose} must be that of the same data and the same arguments but "
            f"for {', '.join(kind.free)}, or a new one. Received: {str(folder)!r}, in "
            f"which {change}."
        )


def described_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a constructor as plain values, without those that may change."""
    found = {name: _plain(value) for name, value in arguments.items()}
    return {name: value for name, value in found.items() if name not in FREE}


def described_data(data: Any) -> dict[str, Any]:
    """Columns, rows and values that `fit` was given, as hashes.

    Args:
        data: `Data`.
    """
    from keras_trainkit.tuners._data_description import fingerprint

    source = data.source
    columns = getattr(source, "columns", None)
    if columns is None:
        values = source.steps if hasattr(source, "steps") else source.values
        named: dict[str, Any] = {f"{VALUES} X": fingerprint(list(values))}
    else:
        named = {f"{VALUES} column": {n: fingerprint(c) for n, c in columns.items()}}
        named = {"the names of columns": list(columns), **named}
    return {
        "the number of rows": source.rows,
        **named,
        VALUES: {
            "y": fingerprint(data.y),
            "sample_weight": _hash(data.sample_weight),
            "groups": _hash(data.groups),
            "order": _hash(data.order),
        },
    }


def _hash(values: Any) -> str | None:
    from keras_trainkit.tuners._data_description import fingerprint

    if values is None or isinstance(values, str):
        return values
    return fingerprint(as_array(values))


def _plain(value: Any) -> Any:
    """Plain values as they are; of an object its class and what it was made with."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.random.RandomState):
        return "RandomState"
    try:
        return saved(value)
    except TypeError:
        name = getattr(value, "__name__", type(value).__name__)
        config = dict(value.get_config()) if hasattr(value, "get_config") else {}
        if isinstance(value, keras.optimizers.Optimizer):
            config.pop("name")  # Keras numbers them: "sgd", "sgd_1"
        return {"name": name, "config": json.loads(json.dumps(config, default=_name))}


def _name(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__)


def _differences(
    now: Any, before: Any, path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    if not isinstance(now, dict) or not isinstance(before, dict):
        if now != before:
            yield path, now, before
        return
    for name in [*now, *(name for name in before if name not in now)]:
        inner = f"{path} {name!r}" if path else name
        yield from _differences(now.get(name), before.get(name), inner)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _read(folder: pathlib.Path, kind: Kind) -> dict[str, Any] | None:
    try:
        check_regular(folder / kind.marker)
        found = json.loads((folder / kind.marker).read_text("utf-8"))
        if found["format"] != FORMAT or found["seed"] is None:
            raise ValueError(f"format {found['format']}")
        check_seed("seed", found["seed"])
        return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{kind.purpose} must hold a readable {kind.marker} of format {FORMAT}. "
            f"Received: {str(folder)!r}, {type(error).__name__}: {error}."
        ) from error


def _write(
    folder: pathlib.Path, description: dict[str, Any], kind: Kind = SEARCH
) -> None:
    temporary = folder / f".{kind.marker}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(description, indent=1), "utf-8")
        sync(temporary)
        try:
            os.link(temporary, folder / kind.marker)  # which replaces no other
        except FileExistsError:
            pass
        except OSError:  # of a disk without hard links
            os.replace(temporary, folder / kind.marker)
        sync(folder)
    except OSError as error:
        raise _not_writable(folder, error, kind) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _not_writable(folder: pathlib.Path, error: OSError, kind: Kind) -> ValueError:
    return ValueError(
        f"{kind.purpose} must be one that this process may write to, on a disk with "
        f"room left. Received: {str(folder)!r}, {type(error).__name__}: {error}."
    )
