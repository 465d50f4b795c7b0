from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features, steps_to_last, take_steps, valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._lost_mask import warn_of_lost_mask


@serializable
class LastSteps(keras.layers.Layer):
    """The last steps of each sequence, as many for all, ended by the last valid one.

    `y[b, steps - k] = x[b, last - k]` for k from 0 on, `last` being the last valid step
    of the row; 0 where a sequence has no such step, and at masked steps, whatever they
    hold (NaN included). So the newest value has the same place in every row, whatever
    the length, and a `Dense` behind a `Flatten` can weigh the past by its age. The mask
    ends here.

    | `steps`  | valid steps of the row | gives          |
    | -------- | ---------------------- | -------------- |
    | 3        | 5, 6, 7, 8             | 6, 7, 8        |
    | 3        | 5, 6                   | 0, 5, 6        |
    | 3        | none                   | 0, 0, 0        |

    `SequenceTruncation` keeps padding where it was, and short sequences short.

    Args:
        steps: Int >= 1. Steps to give.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence; integers and bools count as floats.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one; in a functional model a
            UserWarning where a layer in between lost it.

    Input shape: `(batch, time, channels)`; `time` may be unknown.
    Output shape: `(batch, steps, channels)`.

    Example:

    >>> x = np.array([[[5.0], [6.0], [9.0]]])
    >>> mask = np.array([[True, True, False]])
    >>> keras.ops.convert_to_numpy(LastSteps(3)(x, mask=mask))[0, :, 0]
    array([0., 5., 6.], dtype=float32)

    Source: the input of the autoregressive part of Lai et al., 2018, arXiv:1703.07015,
    section 3.6, which takes sequences of one length.
    """

    def __init__(self, steps: int, **kwargs: Any):
        check_count("steps", steps, "is the number of the last steps")
        super().__init__(**kwargs)
        self.steps = int(steps)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        before = [[0, 0], [self.steps, 0], [0, 0]]
        x = ops.cast(inputs, self.compute_dtype)
        if mask is None:
            return ops.pad(x, before)[:, -self.steps :]
        valid = valid_steps(inputs, mask)
        padded = ops.pad(ops.where(over_features(valid, x), x, 0), before)
        # In what is padded by `steps`, as many end at the last valid one from here on.
        begin = steps_to_last(valid)
        return take_steps(padded, begin + ops.arange(self.steps, dtype="int32"))

    def compute_mask(self, inputs: Tensor, previous_mask: Any) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.steps, input_shape[2])

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}
