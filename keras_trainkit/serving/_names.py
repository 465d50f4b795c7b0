"""Names that a client can rely on: given, unique, and allowed in a signature."""

import collections
import keyword
import re
from collections.abc import Collection, Sequence

import keras

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
ALLOWED = "letters, digits and underscores, starting with a letter"
RESERVED = {*keyword.kwlist, "self"}  # a signature makes arguments of its names


def check_not_counted(model: keras.Model, names: list[str]) -> None:
    """Refuses the layer names that Keras made up, such as `dense_3`."""
    layers = {layer.name: layer for layer in model.layers}
    for name in names:
        layer = layers.get(name)
        if layer is None or not has_given_name(layer):
            raise ValueError(
                "An output's name is what clients ask for and must be given: "
                "`name=...` in the last layer, or a dict of outputs; a name from "
                "Keras' counter changes with what was built before. "
                f"Received: output {name!r} of model={model.name!r}."
            )


def has_given_name(layer: keras.layers.Layer) -> bool:
    """False for a name from Keras' counter, such as `dense_3`."""
    return not _is_counted(layer.name, _snake_case(type(layer).__name__))


def _is_counted(name: str, prefix: str) -> bool:
    return re.fullmatch(rf"{prefix}(_\d+)?", name) is not None


def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def served_name(name: str, prefix: str) -> str:
    """The name, or for a word of Python `<prefix>_<name>`."""
    return f"{prefix}_{name}" if name in RESERVED else name


def alike(names: Collection[str]) -> list[str]:
    """Names that a signature does not tell apart, for it ignores capitals."""
    seen = collections.Counter(name.lower() for name in names)
    return [name for name in names if seen[name.lower()] > 1]


def check_names(role: str, names: Sequence[str]) -> None:
    for name in names:
        if _is_counted(name, "input_layer") or _is_counted(name, "keras_tensor"):
            raise ValueError(
                f"An {role}'s name is what clients send and must be given: "
                "`keras.Input(..., name=...)`; a name from Keras' counter changes "
                f"with what was built before. Received: {role} {name!r}."
            )
        if not NAME.fullmatch(name):
            raise ValueError(
                f"An {role}'s name is a key in the served signature and must be "
                f"made of {ALLOWED}. Received: {role} {name!r}."
            )
    if len(set(names)) != len(names):
        raise ValueError(
            f"An {role}'s name is a key in the served signature and must be given "
            f"once. Received: {role} names {list(names)}."
        )
