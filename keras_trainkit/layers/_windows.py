"""Windows of steps, and what one vector may say of each.

`steps` of the functions `*_of` is `(batch, windows, scale, channels)`, `valid` the same
with one channel; steps that are not valid hold zeros already.
"""

import functools

import keras
from keras import ops

from keras_trainkit._steps import step_numbers, take_steps


def zero_where_masked(steps, valid):
    return ops.where(ops.expand_dims(valid, -1), steps, 0)


def rotate(x, shift):
    """Moves the steps of row r by `shift[r]` to the left, the first behind the last."""
    steps = step_numbers(x if len(x.shape) == 2 else x[:, :, 0])
    return take_steps(x, ops.mod(steps + shift, ops.maximum(ops.shape(x)[1], 1)))


def windows(x, scale):
    """`(batch, time, ...)` to `(batch, windows, scale, ...)`, filled up with zeros."""
    batch, time, *features = ops.shape(x)
    count = (time + scale - 1) // scale
    padding = [(0, 0), (0, scale - 1), *((0, 0) for _ in features)]
    padded = ops.pad(x, padding)[:, : count * scale]
    return ops.reshape(padded, (batch, count, scale, *features))


def average_of(steps, valid):
    # A sum of float16 numbers can exceed what their mean does not.
    wide = keras.backend.result_type(steps.dtype, "float32")
    count = ops.sum(ops.cast(valid, wide), axis=2)
    total = ops.sum(ops.cast(steps, wide), axis=2)
    return ops.cast(total / ops.maximum(count, 1), steps.dtype)


def largest_of(steps, valid):
    # No `ops.max`: it refuses a batch without rows on some backends.
    candidates = ops.where(valid, steps, -float("inf"))
    candidates = ops.unstack(candidates, steps.shape[2], axis=2)
    largest = ops.cast(functools.reduce(ops.maximum, candidates), steps.dtype)
    return ops.where(ops.any(valid, axis=2), largest, 0)


def first_of(steps, valid):
    first = ops.logical_and(valid, ops.cumsum(ops.cast(valid, "int32"), 2) == 1)
    return ops.sum(ops.where(first, steps, 0), axis=2)
