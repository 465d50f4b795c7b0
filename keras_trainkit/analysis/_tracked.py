"""Content of the files of trackers, as far as it can be read."""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from keras_trainkit._warnings import warn_user


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
    for name in parts_of_another_form(found):
        del found[name]
    return found


def parts_of_another_form(description: Mapping[str, Any]) -> list[str]:
    """Names of those parts that are not as `run_description` gives them."""
    return [
        name
        for name, fits in _FORMS.items()
        if name in description and not fits(description[name])
    ]


def _is_dict(value: Any) -> bool:
    return isinstance(value, Mapping)


def _holds_dicts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_dict, value))


def _is_model(value: Any) -> bool:
    if not _is_dict(value) or not _holds_dicts(value.get("layers", [])):
        return False
    weights = [layer.get("weights", []) for layer in value.get("layers", [])]
    count = value.get("trainable_weights", 0)
    return isinstance(count, int) and all(isinstance(w, list | tuple) for w in weights)


_FORMS: dict[str, Callable[[Any], bool]] = {
    "parameters": _is_dict,
    "model": _is_model,
    "training": lambda value: value is None or _is_dict(value),
    "data": _holds_dicts,
    "versions": _is_dict,
    "backend": _is_dict,
}


def pass_over(what: str | pathlib.Path, error: Exception) -> None:
    """Warns of a file, or a part of one, that cannot be read."""
    warn_user(
        f"{what} cannot be read and is passed over: {type(error).__name__}: {error}",
    )
