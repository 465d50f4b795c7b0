"""Epochs, columns, shapes and values of data: enough to notice other data.

Every value counts in up to 2 MB of data, or 10,000 texts and other objects. Of larger
data, evenly spaced rows of about that size count, so a change in a few rows may go
unseen. A million rows take up to 50 ms.
"""

import datetime
import decimal
import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_trainkit._libraries import names_of, readable
from keras_trainkit.tuners._cross_validation import data_of

_TOLD = ("epochs", "validation_split", "batch_size", "steps_per_epoch", "class_weight")
_MAX_BYTES = 2**21
_MAX_OBJECTS = 10_000
_MIN_ROWS = 64
_PLAIN = (str, bytes, int, float, complex, type(None), decimal.Decimal, np.generic)
_TIMES = (datetime.date, datetime.time, datetime.timedelta)
# Of objects that look like an array and are none.
_NO_ARRAY = (AttributeError, IndexError, NotImplementedError, TypeError, ValueError)
_SPARSE = ("data", "indices", "indptr", "row", "col", "offsets")


def data_description(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Arguments in `_TOLD`, columns and shapes, and the values of all data.

    Both dicts can be written as JSON.

    Args:
        args: Positional arguments of the search.
        kwargs: Its keyword arguments, as `fit` gets them.
    """
    x, y = data_of(args, kwargs) or (None, None)
    told = {
        **{name: _told(kwargs.get(name)) for name in _TOLD},
        "x": _shapes(x),
        "y": _shapes(y),
    }
    return told, {
        "x": fingerprint(x),
        "y": fingerprint(y),
        "validation_data": fingerprint(kwargs.get("validation_data")),
        "sample_weight": fingerprint(kwargs.get("sample_weight")),
    }


def plain(value: Any) -> Any:
    """A number of NumPy as Python's, and in dicts likewise."""
    if isinstance(value, dict):
        return {plain(name): plain(part) for name, part in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _told(value: Any) -> Any:
    """A plain value as JSON gives it back; None for others."""
    value = plain(value)
    if isinstance(value, dict):
        return {str(name): _told(value[name]) for name in sorted(value, key=str)}
    return value if isinstance(value, str | int | float) else None


def _shapes(data: Any) -> Any:
    if data is None or isinstance(data, keras.utils.PyDataset):
        return None
    if isinstance(data, dict):
        return {str(name): _shapes(part) for name, part in sorted(data.items())}
    if isinstance(data, list | tuple):
        return [_shapes(part) for part in data]
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        return {"rows": len(data), "columns": [str(name) for name in data.columns]}
    shape = getattr(data, "shape", None)
    return None if shape is None else [int(size) for size in shape]


def fingerprint(data: Any) -> str | None:
    """A hash of the values; None where they cannot be looked at without a cost.

    | data                                     | what counts                           |
    | ---------------------------------------- | ------------------------------------- |
    | arrays, tensors, numbers, texts          | values and their type                 |
    | dicts, lists and tuples of these         | likewise, with names and order        |
    | tables of pandas, polars and pyarrow     | columns and values, not the index     |
    | sparse matrices of SciPy                 | what they store                       |
    | `tf.data` sets                           | shapes, types, number of elements: to |
    |                                          | read them may take long, and a        |
    |                                          | shuffled set never reads alike        |
    | `keras.utils.PyDataset`                  | number of batches, likewise           |
    | loaders of torch                         | number of batches; the tensors of a   |
    |                                          | `TensorDataset`                       |
    | generators and other objects             | nothing                               |
    """
    try:
        parts = list(_parts(data))
    except _NO_ARRAY:
        return None
    if not parts:
        return None
    found = hashlib.blake2b(digest_size=12)
    for part in parts:
        found.update(part)
        found.update(b"\0")
    return found.hexdigest()


def _parts(data: Any, share: float = 1.0) -> Iterator[bytes]:
    """Bytes of the data, no more than `share` of `_MAX_BYTES` or of `_MAX_OBJECTS`."""
    if data is None:
        return
    if isinstance(data, _PLAIN + _TIMES):
        yield f"{type(data).__name__} {data!r}".encode()
    elif isinstance(data, dict):
        for name in sorted(data, key=str):
            yield str(name).encode()
            yield from _parts(data[name], share / len(data))
    elif isinstance(data, list | tuple):
        yield from _parts_of_list(data, share)
    elif hasattr(data, "columns") and hasattr(data, "shape"):
        yield from _parts_of_table(data, share)
    elif hasattr(data, "tocoo"):
        for name in _SPARSE:
            yield from _parts(getattr(data, name, None), share / 3)
    elif hasattr(data, "element_spec"):
        yield f"{data.element_spec} {int(data.cardinality())}".encode()
    elif _length(data) is not None:
        yield from _parts_of_array(data, share)
    elif hasattr(data, "num_batches"):
        yield f"{data.num_batches} batches".encode()
    elif hasattr(data, "dataset"):
        yield f"{len(data)} batches".encode()
        yield from _parts(list(getattr(data.dataset, "tensors", ())), share)


def _parts_of_list(data: list | tuple, share: float) -> Iterator[bytes]:
    yield f"{type(data).__name__} {len(data)}".encode()
    width = len(data[0]) if data and isinstance(data[0], list | tuple) else 1
    most = max(_MIN_ROWS, int(share * _MAX_OBJECTS) // max(1, width))
    step = max(1, -(-len(data) // most))
    share /= max(1, min(len(data), most))
    for part in itertools.islice(data, None, None, step):
        yield from _parts(part, share)


def _parts_of_table(table: Any, share: float) -> Iterator[bytes]:
    names = names_of(table)
    share /= max(1, len(names))
    for number, name in enumerate(names):
        yield str(name).encode()
        if hasattr(table, "iloc"):
            yield from _parts_of_array(table.iloc[:, number], share)
        else:
            yield from _parts_of_array(table[name], share)


def _parts_of_array(array: Any, share: float) -> Iterator[bytes]:
    """Rows that lie evenly apart, as bytes; objects as what they say of themselves."""
    if not hasattr(array, "num_chunks"):
        array = readable(array)
    rows = _length(array)
    dtype = str(getattr(array, "dtype", getattr(array, "type", "")))
    yield f"{dtype} {tuple(getattr(array, 'shape', (rows,)))}".encode()
    if not rows:
        return
    at = getattr(array, "iloc", array)  # pandas 2 takes `[:1]` of floats for labels
    row = np.asarray(_as_numpy(at[:1]))
    listed = row.dtype.kind in "OTV"
    size = row.size if listed else row.nbytes
    most = share * (_MAX_OBJECTS if listed else _MAX_BYTES) // max(1, size)
    step = max(1, -(-rows // max(_MIN_ROWS, int(most))))
    sampled = np.asarray(_as_numpy(at[::step]))
    if listed:
        yield from _parts_of_list(sampled.ravel().tolist(), 1.0)
    else:
        yield np.ascontiguousarray(sampled).tobytes()


def _as_numpy(array: Any) -> Any:
    if hasattr(array, "detach"):
        array = array.detach().cpu()
    for name in ("to_numpy", "numpy"):
        if hasattr(array, name):
            return getattr(array, name)()
    return array


def _length(data: Any) -> int | None:
    if not hasattr(data, "__getitem__") or not hasattr(data, "dtype"):
        return len(data) if hasattr(data, "null_count") else None  # pyarrow's
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else None
