"""Sequences of measurements from any container, padded to arrays of one length."""

import dataclasses
import reprlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, NoReturn

import narwhals.stable.v2 as nw
import numpy as np
from keras import ops

from keras_trainkit._arrays import as_numpy
from keras_trainkit._libraries import is_lazy, readable
from keras_trainkit._resolution import (
    LEAST_EXTENT,
    changes,
    keeps_all,
    small_features,
)
from keras_trainkit._tables.objects import is_missing, object_array, real_numbers
from keras_trainkit.estimators._padding import PADDING

PURPOSE = "`X` holds the sequences, one per row,"
SHAPES = (
    "must be an array (rows, time, channels), or (rows, time) of one channel, or a "
    "list of arrays (time, channels) of any lengths"
)
NUMBERS = "must hold numbers, NaN where one is missing"


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Sequences of finite numbers and gaps, with the same channels in each.

    Args:
        steps: Sequence of float32 arrays `(time, channels)`, at least a step in each;
            NaN where a value is missing.
        channels: Int.
        lost: Numbers of the channels in which most changes from step to step are too
            small for float32.
        names: Names of the channels, where DataFrames told them, or None.
        small: Numbers of the channels whose values are all but 0 in float32, and
            differ.
    """

    steps: Sequence[np.ndarray]
    channels: int
    lost: Sequence[int] = ()
    names: list[str] | None = None
    small: Sequence[int] = ()

    @property
    def rows(self) -> int:
        return len(self.steps)

    def take(self, rows: np.ndarray) -> "Sequences":
        """The sequences of these numbers, in this order."""
        return dataclasses.replace(self, steps=[self.steps[row] for row in rows])

    def lengths(self) -> np.ndarray:
        """Steps of each, `(rows,)`."""
        return np.array([len(steps) for steps in self.steps])

    def has_missing(self) -> bool:
        """True if a value is missing."""
        return any(np.isnan(steps).any() for steps in self.steps)

    def without_value(self) -> list[int]:
        """Numbers of the channels in which every value is missing."""
        empty = [np.isnan(steps).all(axis=0) for steps in self.steps]
        return np.flatnonzero(np.all(empty, axis=0)).tolist()

    def cut(self, time: int, keep: str) -> "Sequences":
        """The sequences without the steps that are not read.

        Args:
            keep: "start" or "end", of sequences of more steps than `time`.
        """
        at = slice(time) if keep == "start" else slice(-time, None)
        return dataclasses.replace(self, steps=[steps[at] for steps in self.steps])

    def padded(self, time: int, padding: float = PADDING) -> np.ndarray:
        """`(rows, time, channels)`: `padding` behind what is shorter than `time`."""
        found = np.full((self.rows, time, self.channels), padding, "float32")
        for row, steps in zip(found, self.steps, strict=True):
            row[: len(steps)] = steps
        return found


def read_sequences(data: Any) -> Sequences:
    """The sequences of an array, a list or a Series of arrays, or a DataFrame.

    Raises:
        ValueError: Another rank, no rows or steps, unequal channels, infinite numbers,
            values that are no numbers, a step that looks like padding.
    """
    if isinstance(data, Sequences):
        return data
    array, names = _as_array(data), None
    if array is None or (array.dtype.kind == "O" and array.ndim == 1):
        entries = _entries(data if array is None else array)
        names = _names_of(entries)
        given = [_steps(number, entry) for number, entry in enumerate(entries)]
        steps = [_narrow(values, f"X[{row}]") for row, values in enumerate(given)]
    else:
        values = _numbers(array, "X")
        if values.ndim not in (2, 3):
            _refuse(SHAPES, f"X of shape {values.shape}")
        values = values if values.ndim == 3 else values[..., None]
        given, steps = list(values), list(_narrow(values, "X"))
    _check_steps(steps)
    lost, small = _lost_channels(given, steps), small_features(given)
    return Sequences(steps, steps[0].shape[1], lost, names, small)


def check_resolution(sequences: Sequences) -> None:
    """Refuses channels of which float32, in which networks compute, keeps little."""
    if sequences.small:
        _refuse(
            f"must reach further than {LEAST_EXTENT:g} in each channel, which networks "
            "in float32 take for 0, or nearly so (give it in a smaller unit)",
            f"smaller numbers in channel {list(sequences.small)}",
        )
    if sequences.lost:
        _refuse(
            "must change from step to step by more than 6e-8 of its size in each "
            "channel, which networks in float32 cannot tell apart otherwise (of times "
            "take those since the first step)",
            f"smaller changes in channel {list(sequences.lost)}",
        )


def _as_array(data: Any) -> np.ndarray | None:
    """Arrays, tensors and tables as an array, gaps as NaN; None for what else."""
    if ops.is_tensor(data) or isinstance(data, np.ma.MaskedArray):
        return as_numpy(data)
    if is_lazy(data):
        _refuse("must hold their rows (`.collect()` reads them)", type(data).__name__)
    frame = nw.from_native(readable(data), eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return np.asarray(frame.to_numpy())
    return data if isinstance(data, np.ndarray) else None


def _entries(data: Any) -> Any:
    series = nw.from_native(readable(data), series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return series.to_list()
    if isinstance(data, str | bytes | Mapping) or not isinstance(
        data, Sequence | np.ndarray
    ):
        _refuse(SHAPES, f"X={reprlib.repr(data)}")
    return data


def _names_of(entries: Any) -> list[str] | None:
    """The names of the channels, the same in all frames; None if none has texts."""
    given = {"eager_only": True, "pass_through": True}
    frames = (nw.from_native(readable(entry), **given) for entry in entries)
    known = [frame.columns for frame in frames if isinstance(frame, nw.DataFrame)]
    other = next((found for found in known if found != known[0]), None)
    if other is not None:
        _refuse(
            "must have the same columns in the same order in each DataFrame",
            f"columns {known[0]}, then {other}",
        )
    are_texts = bool(known) and all(isinstance(name, str) for name in known[0])
    return known[0] if are_texts else None


def _steps(number: int, entry: Any) -> np.ndarray:
    """One sequence `(time, channels)`, in the type that it came in."""
    where = f"X[{number}]"
    array = _as_array(entry)
    if array is None:
        series = nw.from_native(readable(entry), series_only=True, pass_through=True)
        entry = series.to_numpy() if isinstance(series, nw.Series) else entry
        try:
            array = as_numpy(entry)
        except ValueError:  # lists of unequal lengths
            channels = "must have as many channels in each step"
            _refuse(channels, f"{where}={reprlib.repr(entry)}")
    values = _numbers(array, where)
    if values.ndim not in (1, 2):
        _refuse(SHAPES, f"{where} of shape {values.shape}")
    return values[:, None] if values.ndim == 1 else values


def _numbers(array: np.ndarray, where: str) -> np.ndarray:
    """The values, NaN where they are missing."""
    if array.dtype.kind == "O":
        array = _of_objects(array, where)
    elif array.dtype.kind not in "biuf":
        _refuse(NUMBERS, f"{where}={reprlib.repr(array.tolist())}")
    return array


def _narrow(array: np.ndarray, where: str) -> np.ndarray:
    """The values as float32."""
    with np.errstate(over="ignore"):
        values = array.astype("float32")
    infinite = int(np.isinf(values).sum())
    if infinite:
        received = f"{infinite} infinite ones, or over 3.4e38, in {where}"
        _refuse("must hold finite numbers, NaN where one is missing", received)
    return values


def _of_objects(array: np.ndarray, where: str) -> np.ndarray:
    flat = array.ravel().tolist()
    for number, value in enumerate(flat):
        if not isinstance(value, Real | Decimal):
            if np.ndim(value) or not is_missing(value):
                _refuse(NUMBERS, f"{reprlib.repr(value)} in {where}")
            flat[number] = np.nan
    return real_numbers(object_array(flat)).reshape(array.shape)


def _lost_channels(given: Sequence[np.ndarray], steps: Sequence[np.ndarray]) -> list:
    """Channels of which more than half of the changes are 0 in float32."""
    found = lost = np.zeros(steps[0].shape[1], int)
    for wide, narrow in zip(given, steps, strict=True):
        if not keeps_all(wide.dtype):
            of_these, lost_of_these = changes(wide, narrow)
            found, lost = found + of_these, lost + lost_of_these
    return np.flatnonzero(2 * lost > found).tolist()


def _check_steps(steps: list[np.ndarray]) -> None:
    if not steps:
        _refuse("must hold at least one", "n_samples=0")
    for number, values in enumerate(steps):
        if not values.size:
            received = f"X[{number}] of shape {values.shape}"
            _refuse("must have a step and a channel in each", received)
        if (values == PADDING).all(axis=1).any():
            received = f"a step of {PADDING:g} in every channel in X[{number}]"
            _refuse(f"may not have steps of {PADDING:g}, which is padding", received)
    channels = sorted({values.shape[1] for values in steps})
    if len(channels) > 1:
        _refuse("must have the same channels in each", f"{channels} channels")


def _refuse(allowed: str, received: str) -> NoReturn:
    raise ValueError(f"{PURPOSE} and {allowed}. Received: {received}.")
