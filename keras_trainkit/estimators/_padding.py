"""Padding of the rows of shorter sequences, told from their steps."""

import numpy as np

PADDING = -1e9  # in each channel of a step that does not count; a float32 exactly
NO_WORD = 0


def padding_of(rows: np.ndarray) -> float:
    """The padding of these rows, numbers of words or measurements."""
    return NO_WORD if rows.dtype.kind == "i" else PADDING


def steps_of(rows: np.ndarray) -> np.ndarray:
    """Steps before the padding, `(rows,)`, at least one."""
    counts = rows != padding_of(rows)
    if counts.ndim == 3:
        counts = counts.any(axis=2)
    last = rows.shape[1] - counts[:, ::-1].argmax(axis=1)
    return np.where(counts.any(axis=1), last, 1)
