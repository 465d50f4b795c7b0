"""Texts as a list of strings."""

import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Any


def text_list(texts: Any) -> list[str]:
    """The texts of a list, array or Series; others are refused."""
    purpose = "`texts` are the training texts and must be a list of strings"
    found = as_list(texts)
    if found is None:
        raise ValueError(f"{purpose}. Received: {_shown(texts)}.")
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise ValueError(
                f"{purpose}. Received: {type(text).__name__} {reprlib.repr(text)} at "
                f"position {number}."
            )
    return [str(text) for text in found]


def as_list(values: Any) -> list[Any] | None:
    """The values in their order; None for what has not one after the other.

    A text, a set, a dict and a table can be iterated over too, and give something else.
    """
    if isinstance(values, str | bytes | Mapping | Set) or hasattr(values, "columns"):
        return None
    shape = getattr(values, "shape", (0,))
    if not isinstance(values, Iterable) or len(shape) != 1:
        return None
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)


def _shown(values: Any) -> str:
    shape = getattr(values, "shape", None)
    if shape is None:
        return reprlib.repr(values)
    return f"{type(values).__name__} of shape {tuple(shape)}"
