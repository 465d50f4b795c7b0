"""Targets and weights that stand beside sequences, an entry for each sequence."""

import reprlib
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._resolution import (
    Spread,
    check_finite,
    check_spread,
    weights_as,
)
from keras_trainkit._tables.objects import numbers_in
from keras_trainkit.data._rows import refuse_missing

_TARGETS = "is what is predicted"
_WEIGHTS = "weighs the rows in the loss"


def targets_and_weights(targets: Any, sample_weight: Any, rows: int) -> list:
    """Targets and weights, as far as there are any.

    Args:
        targets: Numbers `(rows, ...)`, or a dict of them, or None.
        sample_weight: Numbers `(rows,)`, or None.
        rows: Int, how many there must be.

    Raises:
        ValueError: Another number of rows, no numbers, missing or infinite ones,
            weights below 0, or without targets.
    """
    if targets is None:
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` weighs the rows in the loss and must be None without "
                f"targets. Received: sample_weight={reprlib.repr(sample_weight)}."
            )
        return []
    if isinstance(targets, dict):
        named: Any = {
            name: _targets(f"targets[{name!r}]", targets[name], rows)
            for name in targets
        }
    else:
        named = _targets("targets", targets, rows)
    return [named] if sample_weight is None else [named, _weights(sample_weight, rows)]


def _targets(name: str, values: Any, rows: int) -> np.ndarray:
    array, dtype = _rows_of(name, values, rows, _TARGETS), keras.config.floatx()
    purpose, is_whole = f"`{name}` {_TARGETS} and", array.dtype.kind != "f"
    check_finite(array, purpose, dtype)
    outputs = 1 if array.ndim == 1 else array.shape[-1]
    if array.size:
        spread = Spread()
        spread.update(array.reshape(-1, outputs))
        check_spread(spread, purpose, dtype, is_whole)
    return array if is_whole else array.astype(dtype)


def _weights(sample_weight: Any, rows: int) -> np.ndarray:
    weights = _rows_of("sample_weight", sample_weight, rows, _WEIGHTS)
    if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"`sample_weight` {_WEIGHTS} and must be finite numbers of at least 0, one "
            f"per row. Received: sample_weight={reprlib.repr(sample_weight)}."
        )
    purpose = f"`sample_weight` {_WEIGHTS} and"
    return weights_as(keras.config.floatx(), weights, purpose)


def _rows_of(name: str, values: Any, rows: int, purpose: str) -> np.ndarray:
    try:
        array = as_numpy(values)
    except ValueError:  # rows of unequal length
        array = np.empty(())
    fits = array.ndim > 0 and len(array) == rows
    if fits and (array.dtype.kind == "f" or _are_numbers(array)):
        refuse_missing(name, array, purpose)
    if not fits or array.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` stands beside the sequences and must be an array of numbers "
            f"with one entry for each of the {rows} sequences. "
            f"Received: {name}={reprlib.repr(values)}."
        )
    return array


def _are_numbers(array: np.ndarray) -> bool:
    """True for objects that are numbers, or stand for missing ones."""
    return array.dtype.kind == "O" and not numbers_in(array.ravel())[1]
