"""The dict that `prepare` returns: layers that have learned from training rows."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras_tuner.errors import FatalValueError

from keras_trainkit.hypermodels._domains import ChoiceDomain, Domain

_PURPOSE = "`prepare` gives what has learned from the training rows and must return"


def check_prepare(prepare: Any) -> None:
    if prepare is not None and not callable(prepare):
        raise ValueError(
            "`prepare` adapts layers to training rows and must be a function "
            f"`prepare(x_train, y_train)` or None. Received: prepare={prepare!r}."
        )


def part_domains(space: Any, named_parts: Iterable[str]) -> dict[str, Domain]:
    """Domains by name of the parts that `space` chooses; its own check comes later."""
    purpose = "chooses what `prepare` returns by name"
    described = "a name that is not empty"
    return {
        part: ChoiceDomain(purpose, [], is_allowed=bool, described=described)
        for part in named_parts
        if isinstance(space, dict) and part in space
    }


def checked(
    prepared: Any, parts: Iterable[str], named: Mapping[str, list]
) -> dict[str, Any]:
    """The dict of `prepare`, checked against the parts that a hypermodel takes.

    Args:
        prepared: The return value of the caller's function.
        parts: Names that it may have.
        named: Dict from such a name to the names that the space chooses from there.
    """
    if not isinstance(prepared, dict) or not set(prepared) <= set(parts):
        keys = isinstance(prepared, dict) and sorted(map(str, prepared))
        raise FatalValueError(
            f"{_PURPOSE} a dict with some of these keys: {', '.join(parts)}. "
            f"Received: {keys or prepared!r}."
        )
    for part, names in named.items():
        _check_choices(part, prepared.get(part), names)
    for part in set(prepared) - set(named):
        if isinstance(prepared[part], dict):
            raise FatalValueError(
                f"{_PURPOSE} a single {part}, or several by name where the space "
                f"chooses, as `space={{{part!r}: {list(prepared[part])!r}}}`. "
                f"Received: several, and no choice in `space`."
            )
    return prepared


def chosen(
    prepared: dict[str, Any], values: dict[str, Any], named: Iterable[str]
) -> dict[str, Any]:
    """The parts for one trial, layers copied so that trials share no state."""
    parts = dict(prepared)
    for part in named:
        parts[part] = prepared[part].get(values[part])
    return {
        part: copy.deepcopy(value) if isinstance(value, keras.layers.Layer) else value
        for part, value in parts.items()
    }


def _check_choices(part: str, given: Any, names: list) -> None:
    needed = set(names) - {"none"}
    if not isinstance(given, dict) or not needed <= set(given):
        raise FatalValueError(
            f"{_PURPOSE} under {part!r} a dict with the names that the space chooses "
            f"from: {', '.join(map(repr, names))} ('none' may be left out). "
            f"Received: {list(given) if isinstance(given, dict) else given!r}."
        )
