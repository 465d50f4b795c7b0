"""One direction by Keras' own LSTM, which on a GPU calls cuDNN.

Keras' layer lends its code alone: it is called with the weights of ours, part of them
dropped, and is known to no model. cuDNN reads every sequence from its first step on
and stops at its padding, so the steps that count are moved to the front.
"""

import functools
from collections.abc import Sequence

import keras
from keras import ops

from keras_trainkit._steps import step_numbers, take_steps, valid_steps
from keras_trainkit._types import Tensor


def run(
    inputs: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    *,
    mask: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `keras_trainkit._recurrent.lstm`; outputs of masked steps are anything."""
    if mask is None and inputs.shape[1]:
        outputs, h, c = _keras_lstm(_flip(inputs, reverse), states, weights, None)
        return _flip(outputs, reverse), h, c
    if inputs.shape[1]:
        return _run_valid_steps(inputs, states, weights, mask, reverse)
    # cuDNN refuses sequences of no steps, and the graph does not know yet: one more.
    valid = ops.cast(valid_steps(inputs, mask), "int32")
    valid = ops.cast(ops.pad(valid, [(0, 0), (0, 1)]), "bool")
    inputs = ops.pad(inputs, [(0, 0), (0, 1), (0, 0)])
    outputs, h, c = _run_valid_steps(inputs, states, weights, valid, reverse)
    return outputs[:, :-1], h, c


def _flip(sequences: Tensor, reverse: bool) -> Tensor:
    return ops.flip(sequences, axis=1) if reverse else sequences


def _run_valid_steps(
    inputs: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    mask: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Reads the steps where `mask` is True, wherever they are.

    cuDNN refuses a sequence without any, so one step of it is read and thrown away.
    """
    seen = ops.cumsum(ops.cast(mask, "int32"), axis=1)
    count = seen[:, -1:]
    turn = count - seen if reverse else seen - 1
    number = step_numbers(mask)
    order = ops.argsort(ops.where(mask, turn, number + count), axis=1)
    read = number < ops.maximum(count, 1)
    packed = take_steps(inputs, ops.cast(order, "int32"))
    outputs, *ends = _keras_lstm(packed, states, weights, read)
    outputs = take_steps(outputs, ops.where(mask, turn, ops.zeros_like(turn)))
    some = count > 0
    h, c = (ops.where(some, *pair) for pair in zip(ends, states, strict=True))
    return outputs, h, c


def _keras_lstm(
    inputs: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    features, gates = weights[0].shape
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    layer = _built_layer(features, gates // 4, dtype)
    seeds = [ops.zeros(v.shape, v.dtype) for v in layer.non_trainable_variables]
    results, _ = layer.stateless_call(
        weights, seeds, inputs, initial_state=list(states), mask=mask, training=False
    )
    return tuple(results)


@functools.lru_cache(maxsize=64)
def _built_layer(features: int, units: int, dtype: str) -> keras.layers.LSTM:
    """A layer whose own weights are never read; it draws no random number."""
    layer = keras.layers.LSTM(
        units,
        kernel_initializer="zeros",
        recurrent_initializer="zeros",
        return_sequences=True,
        return_state=True,
        seed=0,
        dtype=dtype,
        name="keras_lstm",  # a name without a number, or those of others would change
    )
    layer.build((None, None, features))
    return layer
