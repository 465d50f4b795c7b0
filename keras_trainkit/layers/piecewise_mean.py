from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features, valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._lost_mask import warn_of_lost_mask


@serializable
class PiecewiseMean(keras.layers.Layer):
    """Means of equal parts of each sequence, as many for any length.

    The valid steps of a row, one behind the other, are cut into `segments` parts of the
    same length; a step that a cut goes through counts in both, by its shares. So a
    `Dense` behind it sees the level of each channel, early and late, in few numbers.

    | `segments` | valid steps of the row | gives      |
    | ---------- | ---------------------- | ---------- |
    | 2          | 5, 7, 1, 3             | 6, 2       |
    | 2          | 5, 7, 3                | 5.67, 4.33 |
    | 2          | 5                      | 5, 5       |
    | 2          | none                   | 0, 0       |

    Masked steps have no influence, whatever they hold (NaN included). Sums are float32
    at least. The mask ends here.

    Args:
        segments: Int >= 1. Parts of a sequence.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence; integers and bools count as floats.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one; in a functional model a
            UserWarning where a layer in between lost it.

    Input shape: `(batch, time, channels)`; `time` may be unknown.
    Output shape: `(batch, segments, channels)`.

    Example:

    >>> x = np.array([[[5.0], [7.0], [1.0], [3.0]]])
    >>> keras.ops.convert_to_numpy(PiecewiseMean(2)(x))[0, :, 0]
    array([6., 2.], dtype=float32)

    Source: piecewise aggregate approximation, Keogh et al., 2001,
    doi:10.1007/PL00011669, which needs a number of steps that `segments` divides.
    """

    def __init__(self, segments: int, **kwargs: Any):
        check_count("segments", segments, "is the number of parts of a sequence")
        super().__init__(**kwargs)
        self.segments = int(segments)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        valid = valid_steps(inputs, mask)
        x = ops.where(over_features(valid, inputs), ops.cast(inputs, dtype), 0)
        steps = ops.cast(valid, dtype)
        ends = ops.cumsum(steps, axis=1)[:, None, :]  # of each step, among the valid
        length = ops.sum(steps, axis=1)[:, None, None] / self.segments
        first = ops.arange(self.segments, dtype=dtype)[None, :, None] * length
        inside = ops.minimum(ends, first + length) - ops.maximum(ends - 1, first)
        shares = ops.maximum(inside, 0) * steps[:, None, :]
        # With no valid step both are 0.
        means = ops.matmul(shares, x) / ops.where(length > 0, length, 1)
        return ops.cast(means, self.compute_dtype)

    def compute_mask(self, inputs: Tensor, previous_mask: Any) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.segments, input_shape[2])

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "segments": self.segments}
