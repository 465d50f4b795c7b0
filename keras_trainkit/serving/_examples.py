"""The user's examples as one NumPy array per named input, nothing guessed."""

import reprlib
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from keras_trainkit._arrays import without_masks

PURPOSE = "`examples` are sent through the written graph and"


def arrays_of(examples: Any, specs: dict[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """`examples` by input name, in the types of the signature.

    What a mask of NumPy hides is missing, not the number below it.
    """
    arrays = {
        name: _typed(name, without_masks(value), specs[name])
        for name, value in _by_name(examples, specs).items()
    }
    for name, array in arrays.items():
        _check_shape(name, array, specs[name])
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1 or 0 in rows.values():
        raise ValueError(
            f"{PURPOSE} must hold the same number of rows, at least 1, for every "
            f"input. Received: rows {rows}."
        )
    return arrays


def _by_name(examples: Any, specs: dict[str, tf.TensorSpec]) -> dict[str, Any]:
    names = list(specs)
    if isinstance(examples, Mapping):
        if set(examples) == set(names):
            return {name: examples[name] for name in names}
    elif len(names) == 1:
        listed = _is_list_of_one(examples, specs[names[0]])
        return {names[0]: examples[0] if listed else examples}
    elif isinstance(examples, list | tuple) and len(examples) == len(names):
        return dict(zip(names, examples, strict=True))
    received = list(examples) if isinstance(examples, Mapping) else type(examples)
    raise ValueError(
        f"{PURPOSE} must be a dict of arrays with the input names {names}, a list of "
        f"arrays in that order, or for a single input an array. Received: {received}."
    )


def _is_list_of_one(examples: Any, spec: tf.TensorSpec) -> bool:
    """`[array]` is a list of inputs; `[[1.0, 2.0]]` and `["text"]` are one row."""
    alone = isinstance(examples, list | tuple) and len(examples) == 1
    return alone and len(getattr(examples[0], "shape", ())) == spec.shape.rank


def _typed(name: str, value: Any, spec: tf.TensorSpec) -> np.ndarray:
    if spec.dtype == tf.string:  # as objects, for NumPy mixes no strings with bytes
        return _bytes(name, np.asarray(value, dtype=object))
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{PURPOSE} must hold rows of one shape. Received: {name!r}, "
            f"{reprlib.repr(value)}."
        ) from error
    wanted = np.dtype(spec.dtype.as_numpy_dtype)
    allowed = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}.get(wanted.kind, wanted.kind)
    if array.dtype.kind in allowed:
        with np.errstate(over="ignore"):
            cast = array.astype(wanted)
        if _kept(array, cast):
            return cast
        _refuse_type(name, f"hold values that fit {wanted}", array)
    _refuse_type(name, f"be of a type that {wanted} holds", array)


def _kept(array: np.ndarray, cast: np.ndarray) -> bool:
    """True if floats are rounded at most and integers keep their values."""
    if cast.dtype.kind == "f":
        return np.array_equal(np.isinf(array), np.isinf(cast))
    return np.array_equal(array, cast)


def _refuse_type(name: str, allowed: str, array: np.ndarray) -> NoReturn:
    raise ValueError(
        f"{PURPOSE} must, for {name!r}, {allowed}. "
        f"Received: {array.dtype} array {np.array2string(array, threshold=4)}."
    )


def _bytes(name: str, array: np.ndarray) -> np.ndarray:
    flat = array.ravel().tolist()
    if not all(isinstance(value, str | bytes) for value in flat):
        _refuse_type(name, "hold strings or bytes", array)
    encoded = np.empty(len(flat), dtype=object)
    encoded[:] = [v.encode() if isinstance(v, str) else v for v in flat]
    return encoded.reshape(array.shape)


def _check_shape(name: str, array: np.ndarray, spec: tf.TensorSpec) -> None:
    if not spec.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"{PURPOSE} must, for {name!r}, have the shape {tuple(spec.shape)}, "
            f"where None is any length. Received: shape={array.shape}."
        )
