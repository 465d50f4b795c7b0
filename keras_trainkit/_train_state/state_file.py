"""Plain values and arrays in two files, of which reading runs no code.

`state.json` has the values; in it `{"@array": n}` stands for the n-th array, whose type
and shape are listed. `arrays.bin` has the bytes of all arrays, one after the other.
"""

import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._disk import check_regular

VALUES = "state.json"
ARRAYS = "arrays.bin"
_MARK = "@array"
_TYPES: tuple[str, ...] = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
)
_TYPES += ("uint64", "float16", "bfloat16", "float32", "float64")


class DamagedState(Exception):
    """Files that are not what was written; the message says which and why."""


def packed(
    values: Any, buffers: list[np.ndarray] | None = None
) -> dict[str, list[Any]]:
    """The bytes of both files, by name; nothing of it changes with `values`.

    Args:
        values: Dicts, lists, numbers, strings, None, and arrays or tensors.
        buffers: List, empty at first, which keeps the bytes of the arrays for the next
            call to overwrite: to take as much memory anew costs more than to copy.

    Raises:
        ValueError: Other things among them.
    """
    arrays = _Arrays([] if buffers is None else buffers)
    content = {"values": _encoded(values, arrays, "state"), "arrays": arrays.listed}
    return {VALUES: [json.dumps(content).encode()], ARRAYS: arrays.parts()}


class _Arrays:
    """Copies of arrays, in buffers of earlier ones where the size is the same."""

    def __init__(self, buffers: list[np.ndarray]):
        self.listed: list[list] = []
        self._buffers = buffers

    def add(self, array: np.ndarray) -> int:
        """Number of the array."""
        number = len(self.listed)
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if number == len(self._buffers):
            self._buffers.append(np.empty(data.size, np.uint8))
        elif self._buffers[number].size != data.size:
            self._buffers[number] = np.empty(data.size, np.uint8)
        self._buffers[number][:] = data
        self.listed.append([str(array.dtype), list(array.shape)])
        return number

    def parts(self) -> list[np.ndarray]:
        return self._buffers[: len(self.listed)]


def write(folder: pathlib.Path, files: dict[str, list[Any]]) -> None:
    """Writes what `packed` has returned."""
    for name, parts in files.items():
        with open(folder / name, "wb") as file:
            file.writelines(parts)


def read(folder: pathlib.Path) -> Any:
    """The values that `packed` was given, tuples as lists.

    Raises:
        DamagedState: Files that `write` has not written.
    """
    try:
        for name in (VALUES, ARRAYS):
            check_regular(folder / name)
        content = json.loads((folder / VALUES).read_bytes())
        listed, values = content["arrays"], content["values"]
        data = (folder / ARRAYS).read_bytes()
        return _decoded(values, list(_arrays(listed, data)))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedState(f"{VALUES} cannot be read ({error!r})") from error


def _encoded(value: Any, arrays: _Arrays, name: str) -> Any:
    if value is None or isinstance(value, (bool, str, int, float)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {k: _encoded(v, arrays, f"{name}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        pairs = enumerate(value)
        return [_encoded(v, arrays, f"{name}[{i}]") for i, v in pairs]
    is_tensor = ops.is_tensor(value) or hasattr(value, "dtype")
    array = np.asarray(ops.convert_to_numpy(value)) if is_tensor else None
    if array is None or str(array.dtype) not in _TYPES:
        raise ValueError(
            "A state is written to files that run no code when they are read, and must "
            "be made of dicts with strings as keys, lists, numbers, strings, None and "
            f"arrays of numbers. Received: {name} of type {type(value).__name__}."
        )
    return {_MARK: arrays.add(array)}


def _decoded(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decoded(entry, arrays) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_MARK}:
        number = value[_MARK]
        if type(number) is not int or not 0 <= number < len(arrays):
            raise ValueError(f"no array {number}")
        return arrays[number]
    return {key: _decoded(entry, arrays) for key, entry in value.items()}


def _arrays(listed: list, data: bytes) -> Iterator[np.ndarray]:
    """Arrays over the bytes: nothing is allocated by what a file says of its size."""
    start = 0
    for name, shape in listed:
        if name not in _TYPES or not all(_is_size(size) for size in shape):
            raise ValueError(f"an array of type {name} and shape {shape}")
        dtype, count = np.dtype(name), math.prod(shape)
        stop = start + count * dtype.itemsize
        if stop > len(data):
            raise ValueError(f"{ARRAYS} is too short")
        yield np.frombuffer(data[start:stop], dtype).reshape(shape).copy()
        start = stop
    if start != len(data):
        raise ValueError(f"{ARRAYS} is too long")


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 <= size < 2**48
