"""Scores, weights and sums over the valid steps of a sequence.

`valid` is `(batch, time)`; steps that are not valid hold zeros already.
"""

import keras
from keras import ops

from keras_trainkit._steps import step_numbers, steps_to_last

FAR_BELOW = -1e30  # a score whose power is 0 next to that of any valid step


def last_valid_step(sequence, valid):
    last = ops.equal(step_numbers(valid), steps_to_last(valid) - 1)
    return ops.sum(ops.where(ops.expand_dims(last, -1), sequence, 0), axis=1)


def products(steps, column):
    dtype = at_least_float32(steps.dtype)
    product = ops.matmul(ops.cast(steps, dtype), ops.cast(column, dtype))
    return ops.squeeze(product, -1)


def masked_softmax(scores, valid):
    scores = ops.where(valid, scores, FAR_BELOW)
    # Two entries more, since Keras warns about a softmax over a single step.
    scores = ops.pad(scores, ((0, 0), (0, 2)), constant_values=FAR_BELOW)
    return ops.where(valid, ops.softmax(scores, axis=-1)[:, :-2], 0)


def weighted_sum(weights, sequence):
    weights = ops.expand_dims(ops.cast(weights, sequence.dtype), 1)
    return ops.squeeze(ops.matmul(weights, sequence), 1)


def at_least_float32(dtype):
    return keras.backend.result_type(dtype, "float32")
