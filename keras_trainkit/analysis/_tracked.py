"""Content of the files of trackers, as far as it can be read."""

import json
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

_PARTS = {"parameters": dict, "data": list, "versions": dict, "backend": dict}


def read_description(text: str | bytes) -> dict[str, Any]:
    """The dict of `run_description`, of its JSON; of any other text nothing.

    Parts of another form are left out.
    """
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or "versions" not in found:
        return {}
    kept: dict[str, Any] = {
        name: value
        for name, value in found.items()
        if isinstance(value, _PARTS.get(name, object))
    }
    if not all(isinstance(part, Mapping) for part in kept.get("data", ())):
        del kept["data"]
    return kept


def pass_over(file: pathlib.Path, error: Exception) -> None:
    """Warns of a file that cannot be read."""
    warnings.warn(
        f"{file} cannot be read and is passed over: {type(error).__name__}: {error}",
        stacklevel=5,
    )
