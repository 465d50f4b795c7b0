from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count, check_flag
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features, valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._lost_mask import warn_of_lost_mask


@serializable
class MaskedConv1D(keras.layers.Layer):
    """Convolution along time that reads masked steps as if nothing were there.

    `y[b, t] = bias + sum over i of x[b, t + i - (kernel_size - 1) // 2] kernel[i]`,
    with zeros for steps before the first, after the last and where the mask is False,
    whatever they hold (NaN included). So padding, before or after, changes nothing,
    and a sequence may be shorter than the kernel. Without a mask it is
    `keras.layers.Conv1D(filters, kernel_size, padding="same")`, and `set_weights`
    takes over its `get_weights()`.

    The mask goes on, as many steps come out as go in, and masked steps give zeros.
    `keras.layers.Conv1D` reads what stands at masked steps, biases and shifts of the
    layers before included.

    Not causal: a step sees half the kernel of its future.

    Args:
        filters: Int >= 1. Channels of the output.
        kernel_size: Int >= 1. Steps that one output reads. Of an even number one
            more lies ahead than behind.
        use_bias: Bool. False where the next layer has a shift of its own, such as
            `keras.layers.BatchNormalization`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence; integers and bools count as floats.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one; in a functional model a
            UserWarning where a layer in between lost it.

    Input shape: `(batch, time, channels)`; `time` may be unknown.
    Output shape: `(batch, time, filters)`.

    Example:

    ```python
    x = keras.Input((None, 9))
    steps = keras.layers.Masking(-1.0)(x)
    steps = MaskedConv1D(64, 8, use_bias=False)(steps)  # (batch, time, 64)
    steps = keras.layers.BatchNormalization()(steps)  # counts valid steps alone
    steps = keras.layers.Activation("relu")(steps)
    hidden = VariationalLSTM(32, bidirectional=True)(steps)
    ```
    """

    def __init__(
        self, filters: int, kernel_size: int, use_bias: bool = True, **kwargs: Any
    ):
        check_count("filters", filters, "is the number of channels of the output")
        check_count(
            "kernel_size", kernel_size, "is the number of steps that one output reads"
        )
        check_flag("use_bias", use_bias, "adds a number per filter")
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.use_bias = use_bias
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, channels, self.filters),
            initializer="glorot_uniform",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros"
            )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: channels})

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        steps = ops.cast(inputs, self.compute_dtype)
        valid = over_features(valid_steps(inputs, mask), inputs)
        if mask is not None:
            steps = ops.where(valid, steps, 0)  # not a product: NaN * 0 is NaN
        outputs = self._products(steps)
        if self.use_bias:
            outputs = outputs + self.bias
        return outputs if mask is None else ops.where(valid, outputs, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._channels(input_shape)
        return (*input_shape[:2], self.filters)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
        }

    def _products(self, steps: Tensor) -> Tensor:
        batch, time, _ = ops.shape(steps)
        # One step more than needed, for a convolution of no steps at all.
        behind = (self.kernel_size - 1) // 2
        padded = ops.pad(steps, ((0, 0), (behind, self.kernel_size - behind), (0, 0)))
        products = ops.conv(
            padded, self.kernel, padding="valid", data_format="channels_last"
        )
        # TensorFlow 2.21 gives a batch without rows the channels of the input.
        return ops.reshape(products, (batch, time + 1, self.filters))[:, :time]

    def _channels(self, input_shape: Any) -> int:
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name} has weights per channel and reads sequences, which must "
                "have the shape (batch, time, channels), channels known. "
                f"Received: input_shape={input_shape}."
            )
        return input_shape[-1]
