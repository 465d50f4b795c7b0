from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._libraries import is_lazy
from keras_trainkit._tables.numbers import number_array

CHUNK_VALUES = 2**21  # 16 MiB are converted at a time


def rows_of(
    data: Any, mask: Any = None, mask_value: float | None = None
) -> Iterator[np.ndarray]:
    """Yields the steps of `data` as float64 arrays `(rows, features)`.

    Every axis but the last counts as rows. An array is read in chunks, so a memory
    map never becomes one float64 copy.

    Args:
        data: One array `(batch, ..., features)` of numbers: NumPy, a tensor, pandas
            (nullable and Arrow's types too), nested lists, a ragged tensor of steps;
            or batches of such arrays: a list, a generator, a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a torch DataLoader. Of a batch `(x, y)` or
            `(x, y, sample_weight)` x is taken.
        mask: Booleans, the shape of `data` without its last axis, False where a step
            is left out; for batches an iterable of such arrays.
        mask_value: Float. A step whose features all equal it is left out.

    Raises:
        ValueError: Infinite values (named by feature), no numbers, no feature axis,
            several inputs, data without end.
    """
    for values, steps in _paired(data, mask):
        values = _numbers(values)
        kept = _flat_mask(steps, values.shape[:-1])
        rows = values.reshape(-1, values.shape[-1])
        chunk = max(1, CHUNK_VALUES // rows.shape[1])
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            if kept is not None:
                part = part[kept[start : start + chunk]]
            if mask_value is not None:
                part = part[_is_kept(part, mask_value)]
            part = part.astype("float64")
            _check_finite(part)
            yield part


def _is_kept(part: np.ndarray, mask_value: float) -> np.ndarray:
    """False for rows full of the mask value, as the type of the data rounds it."""
    is_whole = part.dtype.kind in "biu"
    padding = mask_value if is_whole else part.dtype.type(mask_value)
    return (part != padding).any(axis=1)


def _paired(data: Any, mask: Any) -> Iterator[tuple[Any, Any]]:
    """Yields arrays, each with its mask or None."""
    if _is_array(data) or (isinstance(data, (list, tuple)) and not _batched(data)):
        yield data, mask
    elif isinstance(data, tuple):
        raise ValueError(
            "`data` is what the statistics are learned from and must be one array or "
            "an iterable of batches; a tuple of arrays is neither (pass x alone). "
            f"Received: a tuple of {len(data)}."
        )
    else:
        _check_ends(data)
        masks = iter(()) if mask is None else iter(mask)
        for batch in data:
            yield _first_input(batch), None if mask is None else _next_mask(masks)
        if next(masks, None) is not None:
            _refuse_mask_count("more")


def _is_array(data: Any) -> bool:
    """True for an array, a tensor or a frame, but not for a number of NumPy."""
    if isinstance(data, np.generic):
        return False
    return hasattr(data, "__array__") or hasattr(data, "flat_values")


def _batched(items: Sequence) -> bool:
    """True if a list holds batches, not the numbers of one array."""
    first = items[0] if items else None
    return _is_array(_first_input(first)) or isinstance(first, dict)


def _first_input(batch: Any) -> Any:
    """x of a batch (x, y) or (x, y, sample_weight), else the batch itself."""
    pair = isinstance(batch, (tuple, list)) and len(batch) in (1, 2, 3)
    if pair and (isinstance(batch, tuple) or _is_array(batch[0])):
        return batch[0]
    return batch


def _check_ends(data: Any) -> None:
    """Refuses data that is no iterable, or one without end."""
    if is_lazy(data):
        raise ValueError(
            "`data` is what the statistics are learned from and must hold its rows "
            f"(`.collect()` reads them). Received: {type(data).__name__}."
        )
    if isinstance(data, dict) or not hasattr(data, "__iter__"):
        raise ValueError(
            "`data` is what the statistics are learned from and must be one array or "
            f"an iterable of batches. Received: data of type {type(data).__name__}."
        )
    if hasattr(data, "cardinality"):
        endless = int(data.cardinality()) == -1  # tf.data.INFINITE_CARDINALITY
    else:
        is_keras = isinstance(data, keras.utils.PyDataset)
        endless = is_keras and data.num_batches is None
    if endless:
        raise ValueError(
            "`data` is read once, to its end, so it must have one: leave `repeat()` "
            f"out. Received: an endless {type(data).__name__}."
        )


def _next_mask(masks: Iterator) -> Any:
    try:
        return next(masks)
    except StopIteration:
        _refuse_mask_count("fewer")


def _refuse_mask_count(word: str) -> NoReturn:
    raise ValueError(
        "`mask` says which steps count and must hold one array for each batch of "
        f"`data`. Received: {word} masks than batches."
    )


def _numbers(values: Any) -> np.ndarray:
    values = getattr(values, "flat_values", values)  # of a ragged tensor
    array = number_array(values, _WANTED)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{_WANTED} Received: dtype={array.dtype}.")
    if array.ndim < 2 or not array.shape[-1]:
        raise ValueError(
            f"{_WANTED} (A dataset of single rows must be batched first.) "
            f"Received: shape={array.shape}."
        )
    return array


_WANTED = (
    "`data` is what the statistics are learned from, one for each feature of the last "
    "axis, and must hold arrays of real numbers, (batch, ..., features)."
)


def _flat_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if mask is None:
        return None
    mask = as_numpy(mask)
    if mask.dtype != bool or mask.shape != shape:
        raise ValueError(
            "`mask` says which steps count and must hold booleans in the shape of "
            f"`data` without its last axis, {shape}. Received: dtype={mask.dtype}, "
            f"shape={mask.shape}."
        )
    return mask.reshape(-1)


def _check_finite(rows: np.ndarray) -> None:
    infinite = np.flatnonzero(np.isinf(rows).any(axis=0))
    if len(infinite):
        raise ValueError(
            "`data` is what the statistics are learned from and must be finite or NaN "
            "(NaN is skipped). Received: infinite values in feature "
            f"{', '.join(map(str, infinite))} of the last axis."
        )
