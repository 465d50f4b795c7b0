from typing import Any

import keras
from keras import ops

from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features
from keras_trainkit._types import Shape, Tensor


@serializable
class MissingIndicator(keras.layers.Layer):
    """Puts 0 where a value is missing (NaN), and appends a flag for each value.

    The flag is 1 where the value was present and 0 where it was missing. So a network
    can tell a gap in one sensor from a measured 0, and still reads the others of that
    step. Put it after a scaling, which leaves NaN as NaN, so that 0 is the mean.

    | at a step                              | output                            |
    | -------------------------------------- | --------------------------------- |
    | some values missing                    | 0 and flag 0 for those alone      |
    | all values missing                     | 0 and flag 0 for all; the step is |
    |                                        | read like others                  |
    | masked                                 | 0 for all; the mask goes on       |

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

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        present = ops.logical_not(ops.isnan(x))
        if mask is not None:
            present = ops.logical_and(present, over_features(mask, x))
        values = ops.where(present, x, ops.zeros_like(x))
        return ops.concatenate([values, ops.cast(present, values.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else 2 * channels)
