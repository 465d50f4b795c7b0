"""Arrays among the data of a model: what they are called, their values and rows."""

from collections.abc import Iterator
from typing import Any, NoReturn

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy

_DENSE_DATA = ("bsr", "coo", "csc", "csr")  # formats of SciPy whose `data` are numbers


def leaves_of(name: str, part: Any) -> Iterator[tuple[str, Any]]:
    if part is None:
        return
    if isinstance(part, dict):
        for key, value in part.items():
            yield from leaves_of(f"{name}[{key!r}]", value)
    elif isinstance(part, list | tuple):
        for number, value in enumerate(part):
            yield from leaves_of(f"{name}[{number}]", value)
    else:
        yield name, part


def is_array(part: Any) -> bool:
    """True for arrays, tensors, tables and sparse matrices."""
    if isinstance(part, keras.utils.PyDataset):
        return False
    return hasattr(part, "shape") and (hasattr(part, "dtype") or is_table(part))


def is_table(part: Any) -> bool:
    return hasattr(part, "columns") and hasattr(part, "dtypes")


def values_of(leaf: Any) -> np.ndarray | None:
    """The values as an array; None where it would take a file, or cannot be one."""
    if isinstance(leaf, np.memmap):
        return None
    if hasattr(leaf, "tocoo"):  # SciPy's sparse matrices
        return leaf.data if leaf.format in _DENSE_DATA else leaf.tocoo().data
    if hasattr(leaf, "flat_values"):  # TensorFlow's ragged tensors
        leaf = leaf.flat_values
    elif hasattr(leaf, "dense_shape"):  # and sparse ones
        leaf = leaf.values
    try:
        return as_numpy(leaf)
    except (TypeError, ValueError, NotImplementedError):
        return None


def num_rows(x: Any) -> int | None:
    """Number of rows of arrays; None for what is read batch by batch."""
    leaves = [leaf for _, leaf in leaves_of("x", x)]
    if not leaves or not all(map(is_array, leaves)):
        return None
    return row_count(leaves[0])


def row_count(leaf: Any) -> int | None:
    return leaf.shape[0] if len(leaf.shape) else None


def refuse(of: str, name: str, purpose: str, allowed: str, received: str) -> NoReturn:
    raise ValueError(
        f"{of}`{name}` {purpose} and must {allowed}. Received: {received}."
    )
