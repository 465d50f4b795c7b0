"""Samples that a function of models was given: as many rows everywhere, numbers."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit.data._rows import column_of


def read_samples(x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """Arrays and frames of as many rows; lists of values as arrays."""
    check_row_orders(x, "x", y=y, sample_weight=sample_weight)
    x, y = as_arrays(x), as_arrays(y)
    rows = count_rows("x", x, None)
    count_rows("y", y, rows)
    for part in keras.tree.flatten(y):
        if as_numpy(part).dtype.kind not in "biuf":
            raise ValueError(
                "`y` is what is learned to be predicted and must be numbers; codes of "
                "classes are `np.unique(y, return_inverse=True)[1]`. "
                f"Received: y of dtype {as_numpy(part).dtype}."
            )
    return x, y, None if sample_weight is None else _weights(sample_weight, rows)


def as_arrays(data: Any) -> Any:
    """Dicts, lists and tuples of arrays as they are, with lists of values in arrays."""
    if isinstance(data, dict):
        return {name: as_arrays(part) for name, part in data.items()}
    if not isinstance(data, list | tuple):
        return data
    if data and all(hasattr(part, "shape") and len(part.shape) for part in data):
        return tuple(data)
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ValueError(
            "A list of samples becomes an array and must hold rows of one length. "
            f"Received: {reprlib.repr(data)}."
        ) from error


def count_rows(name: str, data: Any, rows: int | None) -> int:
    """Number of rows, which must be `rows` if that is known."""
    wanted = "one row for each sample" if rows is None else f"{rows} rows, as `x`"
    purpose = f"`{name}` holds the samples and must be arrays or frames with {wanted}"
    parts = keras.tree.flatten(data) if isinstance(data, dict | tuple) else [data]
    counts = sorted({len(p) for p in parts if hasattr(p, "shape")})
    if not all(hasattr(part, "shape") and len(part.shape) for part in parts):
        raise ValueError(f"{purpose}. Received: {name} of type {type(data).__name__}.")
    if len(counts) != 1 or counts[0] != (rows or counts[0]) or not counts[0]:
        raise ValueError(f"{purpose}. Received: {name} with {counts} rows.")
    return counts[0]


def checked_fit_arguments(
    given: Any, taken: Sequence[str], why: str = ""
) -> dict[str, Any]:
    """Further arguments of `fit`, which must be without those that are taken."""
    if not isinstance(given, Mapping | None):
        raise ValueError(
            "`fit_arguments` are further arguments of `fit` and must be a dict of name "
            f"to value, or None. Received: {given!r}."
        )
    arguments = dict(given or {})
    found = [name for name in taken if name in arguments]
    if found:
        raise ValueError(
            f"`fit_arguments` are further arguments of `fit`{why} and must be without "
            f"{', '.join(taken)}. Received: {found}."
        )
    return arguments


def _weights(sample_weight: Any, rows: int) -> np.ndarray:
    purpose = "says how much rows count"
    weights = column_of("sample_weight", sample_weight, rows, purpose)
    finite = weights.dtype.kind in "biuf" and np.isfinite(weights).all()
    if not finite or weights.min() < 0:
        raise ValueError(
            f"`sample_weight` {purpose} and must be finite numbers of at least 0. "
            f"Received: {weights}."
        )
    return weights
