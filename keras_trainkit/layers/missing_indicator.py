from typing import Any

import keras
from keras import ops

from keras_trainkit._serialization import serializable


@serializable
class MissingIndicator(keras.layers.Layer):
    """Puts 0 where a value is missing (NaN), and appends which values were there.

    Of `channels` values it makes as many again: 1 where the value was there, 0 where it
    was missing. So a network tells a gap in one sensor from a measured 0, and still
    reads the others of that step. Put it behind a scaling, which leaves NaN as NaN, so
    that 0 is the mean.

    | at a step                              | output                            |
    | -------------------------------------- | --------------------------------- |
    | some values missing                    | 0 and flag 0 for those alone      |
    | all values missing                     | 0 and flag 0 throughout; it counts|
    | masked                                 | 0 throughout; the mask goes on    |

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, ..., channels)`.
    Output shape: `(batch, ..., 2 * channels)`, values first.

    Example:

    ```python
    MissingIndicator()(np.array([[0.5, np.nan]]))  # [[0.5, 0, 1, 0]]
    ```

    Source: Lipton, Kale and Wetzel, 2016, arXiv:1606.04130 (zeros and indicators for
    recurrent networks).
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        x = ops.cast(inputs, self.compute_dtype)
        there = ops.logical_not(ops.isnan(x))
        if mask is not None:
            missing_axes = len(x.shape) - len(mask.shape)
            mask = ops.reshape(mask, (*ops.shape(mask), *[1] * missing_axes))
            there = ops.logical_and(there, mask)
        values = ops.where(there, x, ops.zeros_like(x))
        return ops.concatenate([values, ops.cast(there, values.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else 2 * channels)
