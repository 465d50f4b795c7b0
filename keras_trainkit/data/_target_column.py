"""The column of targets, and that of weights, as numbers."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_number
from keras_trainkit._resolution import (
    Spread,
    check_finite,
    check_spread,
    weights_as,
)
from keras_trainkit._tables.objects import is_whole, numbers_in
from keras_trainkit.data._rows import column_of

_TARGET = "`target` is what is predicted and"
_INT32 = np.iinfo("int32")


class TargetColumn:
    """Reads the target column chunk by chunk, and finds its type.

    Args:
        labels: Dict of each entry to its number, or None for a column of numbers.
    """

    def __init__(self, labels: Any):
        self._labels = None if labels is None else _checked(labels)
        self._is_whole = True
        self._spread = Spread()

    @property
    def dtype(self) -> str:
        """ "int32" if all entries so far were whole numbers, else Keras' float type."""
        return "int32" if self._is_whole else keras.config.floatx()

    def read(self, column: Any, rows: int) -> np.ndarray:
        """Targets as float64 `(rows,)`, whatever their type will be."""
        values = column_of("target", column, rows, "is what is predicted")
        if self._labels is not None:
            values = _labelled(values.tolist(), self._labels)
        values, is_whole = _as_numbers(values)
        if values.dtype.kind not in "biuf" or values.ndim != 1:
            raise ValueError(
                "`target` is what is predicted and must hold a number in each row, or "
                "`labels` tell the number of each entry. "
                f"Received: {values.dtype}, such as {values[0]!r}."
            )
        found = values.astype("float64")
        check_finite(found, _TARGET, keras.config.floatx())
        self._spread.update(values[:, None])
        fits = (found >= _INT32.min) & (found <= _INT32.max)
        self._is_whole &= is_whole and bool(fits.all())
        return found

    def check_spread(self) -> None:
        """Refuses targets, once all are read, whose differences their type loses."""
        check_spread(self._spread, _TARGET, keras.config.floatx(), self._is_whole)


def weights_of(column: Any, rows: int) -> np.ndarray:
    """Weights of the rows as float32 `(rows,)`."""
    purpose = "weighs the rows in the loss"
    values, _ = _as_numbers(column_of("sample_weight", column, rows, purpose))
    if values.dtype.kind not in "biuf" or values.ndim != 1:
        raise ValueError(
            f"`sample_weight` {purpose} and must hold a number of at least 0 in each "
            f"row. Received: {values.dtype}."
        )
    if (values < 0).any():
        raise ValueError(
            f"`sample_weight` {purpose} and must hold a number of at least 0 in each "
            f"row. Received: {values.min()}."
        )
    return weights_as("float32", values, f"`sample_weight` {purpose} and")


def _labelled(entries: list, labels: Mapping) -> np.ndarray:
    unknown = [entry for entry in entries if not _has(labels, entry)]
    if unknown:
        raise ValueError(
            "`labels` tell the number of each entry of the target and must know all. "
            f"Received: {len(unknown)} rows of others, such as {unknown[0]!r}, with "
            f"labels={labels}."
        )
    return np.array([labels[entry] for entry in entries])


def _has(labels: Mapping, entry: Any) -> bool:
    try:
        return entry in labels
    except TypeError:  # a list
        return False


def _as_numbers(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Objects that are real numbers as float64, and True if all are whole numbers."""
    if values.dtype.kind != "O" or values.ndim != 1:
        return values, values.dtype.kind in "biu"
    found, wrong = numbers_in(values)
    return (values, False) if wrong else (found, all(map(is_whole, values)))


def _checked(labels: Any) -> dict:
    if not isinstance(labels, Mapping) or not labels:
        raise ValueError(
            "`labels` tell the number of each entry of the target and must be a dict, "
            f"such as {{'no': 0, 'yes': 1}}, or None. Received: labels={labels!r}."
        )
    for number in labels.values():
        check_number("labels", number, "tell the number of each entry of the target")
    return dict(labels)
