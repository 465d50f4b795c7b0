from typing import Any

import keras
from keras import ops

from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features, valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._lost_mask import warn_of_lost_mask


@serializable
class SequenceMean(keras.layers.Layer):
    """Mean of the valid steps: one vector for a sequence.

    `y[b] = sum over valid t of x[b, t] / max(1, number of valid t)`. Masked steps have
    no influence, whatever they hold (NaN included), and a sequence without a valid step
    gives zeros. Behind a convolution it says how much of each shape there is, wherever
    it is (global average pooling).

    `keras.layers.GlobalAveragePooling1D` gives NaN for a sequence without a valid step,
    and for NaN at a masked one; with float16 it adds up in float16. Here steps are
    added in float32 at least. The mask ends here.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence; integers and bools count as floats.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one; in a functional model a
            UserWarning where a layer in between lost it.

    Input shape: `(batch, time, channels)`.
    Output shape: `(batch, channels)`.

    Example:

    >>> x = np.array([[[1.0], [3.0], [9.0]]])
    >>> float(SequenceMean()(x, mask=np.array([[True, True, False]]))[0, 0])
    2.0

    Source: Lin et al., 2013, arXiv:1312.4400; over time Wang et al., 2016,
    arXiv:1611.06455.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        valid = over_features(valid_steps(inputs, mask), inputs)
        steps = ops.where(valid, ops.cast(inputs, dtype), 0)
        counts = ops.sum(ops.cast(valid[:, :, :1], dtype), axis=1)
        means = ops.sum(steps, axis=1) / ops.maximum(counts, 1)
        return ops.cast(means, self.compute_dtype)

    def compute_mask(self, inputs: Tensor, previous_mask: Any) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], input_shape[2])

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
