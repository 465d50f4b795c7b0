"""A search space: the domains of a hypermodel, as the caller has changed them."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from keras_tuner import HyperParameters
from keras_tuner.errors import FatalValueError

from keras_trainkit.hypermodels._domains import Domain


@dataclasses.dataclass(frozen=True)
class Entry:
    """One hyperparameter of a space.

    Args:
        name: String.
        domain: Its domain.
        values: One value, a list of choices or a range, as `Domain.checked` gives it.
        condition: Name of another entry and the values of it with which this one is
            used; None where it always is.
        is_listed: Bool. False: the value is in `values` and stays out of the trials,
            unless `hp` holds it already.
    """

    name: str
    domain: Domain
    values: Any
    condition: tuple[str, list] | None
    is_listed: bool

    def ask(self, hp: HyperParameters) -> Any:
        if not self.is_listed:
            return hp.get(self.name) if self.name in hp else self.values
        with self._scope(hp):
            return self.domain.ask(hp, self.name, self.values)

    def _scope(self, hp: HyperParameters) -> contextlib.AbstractContextManager:
        if self.condition is None:
            return contextlib.nullcontext()
        return hp.conditional_scope(*self.condition)


def check_space(space: Any) -> None:
    if space is not None and not isinstance(space, dict):
        raise ValueError(
            "`space` narrows, widens or fixes hyperparameters and must be a dict from "
            f"their names, or None. Received: space={space!r}."
        )


def entries_of(
    domains: dict[str, Domain], space: dict[str, Any] | None
) -> tuple[Entry, ...]:
    """Checks `space`, a dict or None, against the domains by name."""
    overrides = _checked_names(domains, space)
    entries: dict[str, Entry] = {}
    for name, domain, override in _with_units_per_layer(domains, overrides):
        values = domain.values
        if override is not None:
            given_as = name if name in overrides or not _is_units(name) else "units"
            values = domain.checked(given_as, override)
        condition = _condition(name, domain, entries, override)
        if condition != "never":
            is_listed = override is not None or isinstance(values, list | tuple)
            entries[name] = Entry(name, domain, values, condition, is_listed)
    return tuple(entries.values())


def values_of(hp: HyperParameters, entries: Iterable[Entry]) -> dict[str, Any]:
    """Name to value; a hyperparameter that this trial does not use is absent."""
    asked = {entry.name: entry.ask(hp) for entry in entries}
    values = {name: value for name, value in asked.items() if value is not None}
    for entry in entries:
        # KerasTuner's grids list whole numbers on a log scale as floats.
        if entry.name in values and getattr(entry.domain, "whole", False):
            values[entry.name] = int(values[entry.name])
    return values


def units_of(values: dict[str, Any]) -> list[int]:
    """The width of each layer, first to last."""
    names = [f"units_{index}" for index in range(values["layers"])]
    if not all(name in values for name in names):
        raise FatalValueError(
            "`layers` is the number of layers and must be one that the hypermodel has "
            f"`units_...` for; widen it by `space={{'layers': ...}}`. "
            f"Received: layers={values['layers']}."
        )
    return [values[name] for name in names]


def options(entry: Entry) -> list:
    """All values of an entry on which others depend: choice, flag or whole numbers."""
    if isinstance(entry.values, tuple):
        low, high, *step = entry.values
        return list(range(low, high + 1, *step))
    return entry.values if isinstance(entry.values, list) else [entry.values]


def _checked_names(
    domains: dict[str, Domain], space: dict[str, Any] | None
) -> dict[str, Any]:
    overrides = space or {}
    for name in overrides:
        if name not in domains and not _is_units(name):
            raise ValueError(
                "`space` narrows, widens or fixes hyperparameters and must name these: "
                f"{', '.join(domains)}, units_0, ... Received: {name!r}."
            )
        if overrides[name] is None:
            purpose = domains["units" if _is_units(name) else name].purpose
            raise ValueError(
                f"`space[{name!r}]` {purpose} and must be one value, a list of "
                "choices or a range; None is for `batch_size` alone, and a name that "
                "is left out is searched as the table of the hypermodel says. "
                f"Received: {name}=None."
            )
    return overrides


def _is_units(name: Any) -> bool:
    return isinstance(name, str) and name[:6] == "units_" and name[6:].isdecimal()


def _with_units_per_layer(
    domains: dict[str, Domain], overrides: dict[str, Any]
) -> Iterator[tuple[str, Domain, Any]]:
    """Yields `(name, domain, override or None)`, `units` once for each layer."""
    layers = domains["layers"]
    depths = options(_entry("layers", layers, overrides))
    for name in overrides:
        if _is_units(name) and int(name[6:]) >= max(depths):
            raise ValueError(
                "`space` sets the width of layer i as `units_i`, counted from 0, and "
                f"must not name more than there are: {max(depths)} layers at most. "
                f"Received: {name!r}."
            )
    for name, domain in domains.items():
        if name != "units":
            yield name, domain, overrides.get(name)
            continue
        for index in range(max(depths)):
            each = f"units_{index}"
            deep = tuple(depth for depth in depths if depth > index)
            used = dataclasses.replace(domain, when=("layers", deep))
            yield each, used, overrides.get(each, overrides.get("units"))


def _entry(name: str, domain: Domain, overrides: dict[str, Any]) -> Entry:
    values = domain.values
    if name in overrides:
        values = domain.checked(name, overrides[name])
    return Entry(name, domain, values, None, True)


def _condition(
    name: str, domain: Domain, entries: dict[str, Entry], override: Any
) -> tuple[str, list] | Literal["never"] | None:
    """None where always used, "never", or another entry's name and values."""
    if domain.when is None:
        return None
    parent, wanted = domain.when
    possible = options(entries[parent]) if parent in entries else []
    active = [value for value in possible if value in wanted]
    if not active and override is not None:
        raise ValueError(
            f"`space[{name!r}]` {domain.purpose} and is used only where {parent} is "
            f"{' or '.join(map(repr, wanted))}. Received: {name}={override!r} with "
            f"{parent} from {possible!r}."
        )
    if not active:
        return "never"
    return None if len(active) == len(possible) else (parent, active)
