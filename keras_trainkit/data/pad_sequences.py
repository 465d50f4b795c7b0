import reprlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_choice, check_count, check_number


def pad_sequences(
    sequences: Iterable,
    max_length: int | None = None,
    *,
    padding: str = "post",
    truncating: str = "pre",
    value: float = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of unequal length as one array, and their lengths.

    Args:
        sequences: Iterable of sequences: token ids, `(time,)`, or features,
            `(time, features)`, all with the same features. One without steps becomes
            padding only; at least one must have a step.
        max_length: Int >= 1. Steps of the result; longer sequences are cut, shorter
            ones padded up to it. None: the length of the longest sequence.
        padding: `"post"` or `"pre"`: padding goes after a sequence, or before it.
            Fused GPU kernels for recurrent layers want it after.
        truncating: `"pre"` or `"post"`: a sequence that is too long loses its
            beginning, or its end.
        value: Finite float. What fills the padding. A step that happens to equal it
            looks like padding to `Embedding(mask_zero=True)` and `Masking`. A whole
            number if the sequences hold integers.

    Returns:
        `(padded, lengths)`: array `(sequences, time)` or `(sequences, time, features)`,
        int32 for whole numbers and bools (int64 where int32 is too small),
        `keras.config.floatx()` for floats; and the number of steps of each row that
        are not padding, int32, `(sequences,)`.

    Raises:
        ValueError: No sequence, no step, unequal features, text, or an argument
            outside its range.

    Example:

    >>> padded, lengths = pad_sequences([[3, 1], [4, 1, 5]])
    >>> padded
    array([[3, 1, 0],
           [4, 1, 5]], dtype=int32)
    >>> lengths
    array([2, 3], dtype=int32)

    Source: `keras.utils.pad_sequences`, which pads before by default, makes every
    number an int32 (0.9 becomes 0) and keeps the lengths to itself.
    """
    if max_length is not None:
        check_count("max_length", max_length, "is the number of steps of the result")
    check_choice("padding", padding, "is the side that is filled", ("post", "pre"))
    check_choice("truncating", truncating, "is the end that is cut", ("pre", "post"))
    check_number("value", value, "fills the padding")
    arrays = [_as_array(number, steps) for number, steps in enumerate(sequences)]
    shape = _shape_of_a_step(arrays)
    arrays = [array if len(array) else np.zeros((0, *shape)) for array in arrays]
    longest = max(len(array) for array in arrays)
    time = longest if max_length is None else max_length
    padded = keras.utils.pad_sequences(
        arrays,
        maxlen=time,
        dtype=_dtype([array for array in arrays if len(array)], value),
        padding=padding,
        truncating=truncating,
        value=value,
    )
    lengths = np.array([min(len(array), time) for array in arrays], "int32")
    return padded, lengths


def _as_array(number: int, steps: Any) -> np.ndarray:
    try:
        array = np.asarray(steps)
    except ValueError:  # rows of unequal length
        array = np.array("no array")
    if array.ndim == 0 or (len(array) and array.dtype.kind not in "biuf"):
        raise ValueError(
            "`sequences` become one array of numbers, so each must be an array or a "
            "nested list of numbers, time first, every step of the same shape. "
            f"Received: sequences[{number}]={reprlib.repr(steps)}."
        )
    return array


def _shape_of_a_step(arrays: list[np.ndarray]) -> tuple[int, ...]:
    shapes = {array.shape[1:] for array in arrays if len(array)}
    if not shapes:
        raise ValueError(
            "`sequences` are what is padded and at least one must have a step. "
            f"Received: {len(arrays)} sequences without any."
        )
    if len(shapes) > 1:
        raise ValueError(
            "`sequences` are to become one array, so their steps must have the same "
            f"shape. Received: steps of the shapes {sorted(shapes)}."
        )
    return shapes.pop()


def _dtype(arrays: list[np.ndarray], value: float) -> str:
    if any(array.dtype.kind == "f" for array in arrays):
        return keras.config.floatx()
    if value != int(value):
        raise ValueError(
            "`value` fills the padding and must be a whole number where the sequences "
            f"hold integers. Received: value={value!r}."
        )
    lowest = min(int(value), *(int(array.min()) for array in arrays))
    highest = max(int(value), *(int(array.max()) for array in arrays))
    for dtype in ("int32", "int64"):
        limits = np.iinfo(dtype)
        if limits.min <= lowest and highest <= limits.max:
            return dtype
    raise ValueError(
        "`sequences` and `value` become one array of whole numbers and must fit into "
        f"int64. Received: numbers from {lowest} to {highest}."
    )
