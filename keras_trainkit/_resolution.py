"""Numbers in the type in which networks compute: none infinite, differences kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_trainkit._statistics import Moments

LEAST_SPREAD = 1e-5  # of the largest number: a hundred steps of float32
LEAST_EXTENT = 1e-35  # a thousand times the smallest number that is 0 nowhere
_EXACT = 2**24  # float32 tells all whole numbers apart up to this one


class Spread:
    """Distance of the numbers of each output from each other, beside their size.

    Takes in rows in any portions.
    """

    def __init__(self) -> None:
        self._moments = Moments()
        self._size = np.array(0.0)
        self._lowest, self._highest = np.array(np.inf), np.array(-np.inf)
        self._first: Any = None
        self._differ = np.array(False)

    def update(self, rows: np.ndarray) -> None:
        """Takes in finite numbers `(rows, outputs)`, of any type that compares."""
        if not len(rows):
            return
        self._first = rows[0] if self._first is None else self._first
        # In the type that they come in: as floats two integers may be one.
        self._differ = self._differ | np.any(rows != self._first, axis=0)
        numbers = rows.astype("float64")
        self._moments.update(numbers)
        self._size = np.maximum(self._size, np.abs(numbers).max(axis=0))
        self._lowest = np.minimum(self._lowest, numbers.min(axis=0))
        self._highest = np.maximum(self._highest, numbers.max(axis=0))

    def check(self, purpose: str, least_size: float = 0) -> None:
        """Refuses numbers that float32 loses, or whose differences it loses.

        Args:
            purpose: Beginning of the message: what the numbers are for.
            least_size: Float. Numbers up to this one pass.
        """
        self._check_extent(purpose)
        moments = self._moments
        variance = np.maximum(moments.squares, 0) / np.maximum(moments.count, 1)
        spread, size = np.sqrt(variance), self._size
        small = (spread < LEAST_SPREAD * size) & (size > least_size)
        lost = np.flatnonzero(self._differ & small)
        if len(lost):
            spread, size = np.atleast_1d(spread)[lost[0]], np.atleast_1d(size)[lost[0]]
            raise ValueError(
                f"{purpose} must differ by more than {LEAST_SPREAD:g} of its size, "
                "which networks in float32 cannot tell apart otherwise (subtract what "
                "all rows share). "
                f"Received: a standard deviation of {spread:.3g} beside {size:.3g}."
            )

    def _check_extent(self, purpose: str) -> None:
        lowest, highest = self._lowest, self._highest
        extent = np.where(self._differ, highest - lowest, self._size)
        small = np.flatnonzero((extent > 0) & (extent < LEAST_EXTENT))
        if len(small):
            at = small[0]
            raise ValueError(
                f"{purpose} must reach further than {LEAST_EXTENT:g}, which networks "
                "in float32 take for 0, or nearly so (give it in a smaller unit). "
                f"Received: numbers from {np.ravel(lowest)[at]:.3g} to "
                f"{np.ravel(highest)[at]:.3g}."
            )


def check_spread(spread: Spread, purpose: str, dtype: str, is_whole: bool) -> None:
    """`Spread.check` of targets of batches.

    Args:
        dtype: Type in which networks compute; float64 keeps what float32 loses.
        is_whole: Bool. Whole numbers may be those of classes, which are never lost up
            to 2^24.
    """
    if dtype != "float64":
        spread.check(purpose, _EXACT if is_whole else 0)


def changes(
    wide: np.ndarray, narrow: np.ndarray, starts: Any = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Changes from step to step in each channel, and how many of them are lost.

    Args:
        wide: `(time, channels)`, in the type that the values came in.
        narrow: The same in the type in which networks compute.
        starts: Steps, above 0, at which another sequence begins.
    """
    size = np.abs(wide[1:]).astype("float64")
    # What float64 itself has rounded off is no change.
    is_change = np.abs(np.diff(wide.astype("float64"), axis=0)) > 1e-11 * size
    is_change[np.asarray(starts, int) - 1] = False
    lost = is_change & (np.diff(narrow, axis=0) == 0)
    return is_change.sum(axis=0), lost.sum(axis=0)


def small_features(arrays: Sequence[np.ndarray]) -> list[int]:
    """Features whose lowest and highest number differ by less than float32 shows.

    Args:
        arrays: `(time, features)` each.
    """
    lowest = np.fmin.reduce([np.fmin.reduce(values) for values in arrays])
    highest = np.fmax.reduce([np.fmax.reduce(values) for values in arrays])
    extent = highest.astype("float64") - lowest.astype("float64")
    return np.flatnonzero((extent > 0) & (extent < LEAST_EXTENT)).tolist()


def keeps_all(dtype: np.dtype) -> bool:
    """True if each number of this type is one in float32."""
    return dtype.itemsize <= 2 or dtype in ("float32", "bool")


def check_finite(values: np.ndarray, purpose: str, dtype: str) -> None:
    """Refuses numbers that are infinite, or become so in this type; NaN passes."""
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        infinite = int(np.isinf(values.astype(dtype)).sum())
    if infinite:
        raise ValueError(
            f"{purpose} must be finite. "
            f"Received: {infinite} infinite ones, or too large for {dtype}."
        )


def weights_as(dtype: str, weights: np.ndarray, purpose: str) -> np.ndarray:
    """Weights of rows in this type, in which none may be infinite, or be lost as 0."""
    check_finite(weights, purpose, dtype)
    found = weights.astype(dtype)
    lost = (weights > 0) & (found == 0)
    if lost.any():
        raise ValueError(
            f"{purpose} must be 0, or large enough for {dtype}. "
            f"Received: {int(lost.sum())} that become 0, such as {weights[lost][0]}."
        )
    return found
