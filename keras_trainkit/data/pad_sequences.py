from collections.abc import Iterable

import keras
import numpy as np

from keras_trainkit._checks import check_choice, check_count, check_number
from keras_trainkit.data._step_arrays import common_dtype, step_arrays


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
            `(time, features)`, all with the same features. NaN (masked) is a value that
            is missing. One without steps becomes padding only; at least one must have a
            step.
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
        ValueError: No sequence, no step, unequal features, text, numbers that are
            infinite or too large for their type, or an argument outside its range.

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
    arrays = step_arrays(sequences)
    longest = max(len(array) for array in arrays)
    time = longest if max_length is None else max_length
    padded = keras.utils.pad_sequences(
        arrays,
        maxlen=time,
        dtype=common_dtype(arrays, value),
        padding=padding,
        truncating=truncating,
        value=value,
    )
    lengths = np.array([min(len(array), time) for array in arrays], "int32")
    return padded, lengths
