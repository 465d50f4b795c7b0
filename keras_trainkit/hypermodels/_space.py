"""A search space: the kinds of a hypermodel with what the caller says of each."""

import contextlib
import dataclasses

from keras_tuner.errors import FatalValueError

from keras_trainkit.hypermodels._kinds import Kind


@dataclasses.dataclass(frozen=True)
class Entry:
    """One hyperparameter of a space.

    `condition` is a name and the values of it with which this entry is used, None
    where it always is. An entry that is not `listed` has its value in `values` and
    stays out of the trials, unless `hp` holds it already.
    """

    name: str
    kind: Kind
    values: object
    condition: tuple | None
    listed: bool

    def ask(self, hp):
        if not self.listed:
            return hp.get(self.name) if self.name in hp else self.values
        with self._scope(hp):
            return self.kind.ask(hp, self.name, self.values)

    def _scope(self, hp):
        if self.condition is None:
            return contextlib.nullcontext()
        return hp.conditional_scope(*self.condition)


def check_space(space):
    if space is not None and not isinstance(space, dict):
        raise ValueError(
            "`space` narrows, widens or fixes hyperparameters and must be a dict from "
            f"their names, or None. Received: space={space!r}."
        )


def entries_of(kinds, space):
    """Checks `space`, a dict or None, against the kinds by name."""
    given = _checked_names(kinds, space)
    entries: dict[str, Entry] = {}
    for name, kind, said in _with_units_per_layer(kinds, given):
        values = kind.checked(name, said) if said is not None else kind.values
        condition = _condition(name, kind, entries, said)
        if condition is not False:
            listed = said is not None or isinstance(values, list | tuple)
            entries[name] = Entry(name, kind, values, condition, listed)
    return tuple(entries.values())


def values_of(hp, entries):
    """Name to value; what is not used in this trial is absent."""
    asked = {entry.name: entry.ask(hp) for entry in entries}
    values = {name: value for name, value in asked.items() if value is not None}
    for entry in entries:
        # KerasTuner's grids list whole numbers on a log scale as floats.
        if entry.name in values and getattr(entry.kind, "whole", False):
            values[entry.name] = int(values[entry.name])
    return values


def units_of(values):
    """The width of each layer, first to last."""
    names = [f"units_{index}" for index in range(values["layers"])]
    if not all(name in values for name in names):
        raise FatalValueError(
            "`layers` is the number of layers and must be one that the hypermodel has "
            f"`units_...` for; widen it by `space={{'layers': ...}}`. "
            f"Received: layers={values['layers']}."
        )
    return [values[name] for name in names]


def options(entry):
    """Every value that an entry of the kinds that others hang on may take."""
    if isinstance(entry.values, tuple):
        low, high, *step = entry.values
        return list(range(low, high + 1, *step))
    return entry.values if isinstance(entry.values, list) else [entry.values]


def _checked_names(kinds, space):
    given = space or {}
    for name in given:
        if name not in kinds and not _is_units(name):
            raise ValueError(
                "`space` narrows, widens or fixes hyperparameters and must name these: "
                f"{', '.join(kinds)}, units_0, ... Received: {name!r}."
            )
    return given


def _is_units(name):
    return isinstance(name, str) and name[:6] == "units_" and name[6:].isdecimal()


def _with_units_per_layer(kinds, given):
    """`(name, kind, what the caller says or None)`, `units` once for each layer."""
    layers = kinds["layers"]
    depths = options(_entry("layers", layers, given))
    for name in given:
        if _is_units(name) and int(name[6:]) >= max(depths):
            raise ValueError(
                "`space` sets the width of layer i as `units_i`, counted from 0, and "
                f"must not name more than there are: {max(depths)} layers at most. "
                f"Received: {name!r}."
            )
    for name, kind in kinds.items():
        if name != "units":
            yield name, kind, given.get(name)
            continue
        for index in range(max(depths)):
            each = f"units_{index}"
            deep = tuple(depth for depth in depths if depth > index)
            used = dataclasses.replace(kind, when=("layers", deep))
            yield each, used, given.get(each, given.get("units"))


def _entry(name, kind, given):
    values = kind.checked(name, given[name]) if name in given else kind.values
    return Entry(name, kind, values, None, True)


def _condition(name, kind, entries, said):
    """None: always used; False: never; else a name and the values of it."""
    if kind.when is None:
        return None
    parent, wanted = kind.when
    possible = options(entries[parent]) if parent in entries else []
    active = [value for value in possible if value in wanted]
    if not active and said is not None:
        raise ValueError(
            f"`space[{name!r}]` {kind.purpose} and is used only where {parent} is "
            f"{' or '.join(map(repr, wanted))}. Received: {name}={said!r} with "
            f"{parent} from {possible!r}."
        )
    if not active:
        return False
    return None if len(active) == len(possible) else (parent, active)
