from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import (
    step_numbers,
    steps_before_first,
    steps_to_last,
    take_steps,
    valid_steps,
)
from keras_trainkit._types import Shape, Tensor


@serializable
class SequenceTruncation(keras.layers.Layer):
    """Cuts sequences to at most `max_length` steps; the mask is cut alike.

    From each row it keeps a window of consecutive steps:

    | keep    | without a mask   | with a mask                              |
    | ------- | ---------------- | ---------------------------------------- |
    | `start` | the first steps  | from the first valid step of the row on  |
    | `end`   | the last steps   | up to the last valid step of the row     |

    So padding goes before valid steps do, on whichever side it is, and stays on that
    side: of `[5, 6, 7, 8, 0, 0]`, 0 being padding, `keep="end"` with 3 steps leaves
    `[6, 7, 8]`, and of `[5, 6, 0, 0, 0, 0]` it leaves `[5, 6, 0]`. Masked steps
    *between* valid ones keep their place and count. Without a mask the layer cannot
    know padding from data: token ids have none before their Embedding, so pass it
    as in the example. Values and dtype never change; shorter inputs stay as they are.

    Args:
        max_length: Int >= 1. Steps to keep; 250 to 500 suit an LSTM.
        keep: `"start"` or `"end"`. Which end of the sequence survives.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Token ids, `(batch, time)`, or features, of any dtype.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one.

    Input shape: `(batch, time, ...)`; `time` may be unknown.
    Output shape: `(batch, min(time, max_length), ...)`.

    Example:

    ```python
    tokens = keras.Input((None,), dtype="int32")
    is_token = keras.ops.not_equal(tokens, 0)
    x = SequenceTruncation(max_length=250, keep="end")(tokens, mask=is_token)
    x = keras.layers.Embedding(1000, 16, mask_zero=True)(x)  # (batch, 250, 16)
    ```
    """

    def __init__(self, max_length: int = 500, keep: str = "start", **kwargs: Any):
        check_count("max_length", max_length, "is the number of steps to keep")
        check_choice("keep", keep, "is the end that survives", ("start", "end"))
        # Ids above 2048 would not survive a cast to float16.
        super().__init__(autocast=False, **kwargs)
        self.max_length = max_length
        self.keep = keep
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        time = inputs.shape[1]
        if time is not None and time <= self.max_length:
            return ops.copy(inputs)  # which Keras gives the mask, and not the caller's
        if mask is not None:
            return take_steps(inputs, self._positions(valid_steps(inputs, mask)))
        if self.keep == "start":
            return inputs[:, : self.max_length]
        return inputs[:, -self.max_length :]

    def compute_mask(
        self, inputs: Tensor, previous_mask: Tensor | None
    ) -> Tensor | None:
        if previous_mask is None or inputs is previous_mask:
            return None
        if isinstance(previous_mask, keras.KerasTensor):
            # A mask is cut as the sequence is. By a layer, since in Keras 3.15 each
            # operation on a symbolic mask is a node of the model: one, not a dozen.
            cut = SequenceTruncation(self.max_length, self.keep)
            return cut(previous_mask, mask=previous_mask)
        return self.call(previous_mask, previous_mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, time, *features = input_shape
        time = None if time is None else min(time, self.max_length)
        return (batch, time, *features)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_length": self.max_length,
            "keep": self.keep,
        }

    def _positions(self, valid: Tensor) -> Tensor:
        """Positions of the kept steps, `(batch, min(time, max_length))`."""
        steps = step_numbers(valid)
        if self.keep == "end":
            start = ops.maximum(steps_to_last(valid) - self.max_length, 0)
        else:
            latest = ops.maximum(ops.shape(valid)[1] - self.max_length, 0)
            start = ops.minimum(steps_before_first(valid), latest)
        return start + steps[:, : self.max_length]
