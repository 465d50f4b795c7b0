"""Encoded rows: those that are trained on, and those kept from it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_trainkit.estimators._targets import relative_weights


@dataclasses.dataclass(frozen=True)
class Rows:
    """Encoded rows, with what is to be predicted.

    Args:
        x: What the network takes: an array `(rows, ...)`, or a dict of such.
        y: Codes of the classes, ints `(rows,)`, or numbers `(rows, outputs)`.
        weights: `(rows,)`, or None where all count alike.
        groups: Ints `(rows,)`, alike where rows belong together; None for no groups.
    """

    x: Any
    y: np.ndarray
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None


class Part(NamedTuple):
    """The rows that one network is trained on, and those kept from it."""

    training: Rows
    validation: Rows


def parts_of(
    encoded: Callable[[np.ndarray], Any],
    y: np.ndarray,
    weights: np.ndarray | None,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    groups: np.ndarray | None = None,
) -> tuple[list[Part], Rows]:
    """The rows of each split, and all that are trained on.

    Of one split each part is encoded by itself, so that no row is there twice.

    Args:
        encoded: Function of row numbers: what the network takes for them.
        groups: That of each row, or None.
    """
    numbers = np.union1d(*splits[0])
    every = None if len(splits) == 1 else encoded(numbers)

    def rows_of(rows: np.ndarray, relative: np.ndarray | None) -> Rows:
        if every is None:
            x = encoded(rows)
        else:
            at = np.searchsorted(numbers, rows)
            x = keras.tree.map_structure(lambda array: array[at], every)
        found = [None if one is None else one[rows] for one in (relative, groups)]
        return Rows(x, y[rows], *found)

    parts = []
    for split in splits:
        relative = None
        if weights is not None:
            relative = relative_weights(weights, split[0]).astype("float32")
        parts.append(Part(*(rows_of(rows, relative) for rows in split)))
    seen = parts[0].training if every is None else Rows(every, y[numbers])
    return parts, seen
