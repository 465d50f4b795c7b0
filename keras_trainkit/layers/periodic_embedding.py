import math
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count, check_number
from keras_trainkit._serialization import activation_config, serializable
from keras_trainkit._types import Shape, Tensor


@serializable
class PeriodicEmbedding(keras.layers.Layer):
    """Turns each number into a vector made of sines and cosines of it.

    Per feature: `v = [sin(2 pi c x), cos(2 pi c x)]` with trained frequencies c, then
    `activation(v W + b)`. Frequencies start as normal draws of standard deviation
    `sigma`; it is the argument that matters most, worth trying from 0.01 to 1.

    Args:
        units: Int >= 1. Length of the vector of each feature.
        frequencies: Int >= 1. Number of frequencies per feature.
        sigma: Float > 0. Standard deviation of the frequencies before training, in
            periods per unit of the input.
        activation: Name or function; None for linear.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, features)`, scaled to about unit size; `features` must be
        known. NaN stays NaN, infinite values become it.
    Output shape: `(batch, features, units)`.

    Example:

    ```python
    vectors = PeriodicEmbedding(units=16, sigma=0.1)(scaled)
    ```

    Source: Gorishniy, Rubachev and Babenko, 2022, arXiv:2203.05556, section 3.3 (there
    "PLR", with ReLU). Draws beyond two `sigma` are drawn anew: one odd frequency is a
    feature that only fits noise.
    """

    def __init__(
        self,
        units: int = 16,
        frequencies: int = 48,
        sigma: float = 0.1,
        activation: Any = "relu",
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)  # angles need float32
        check_count("units", units, "is the length of the vector of each feature")
        check_count("frequencies", frequencies, "is the number of them per feature")
        check_number(
            "sigma",
            sigma,
            "is the standard deviation of the first frequencies",
            above=0,
        )
        self.units = units
        self.frequencies = frequencies
        self.sigma = sigma
        self.activation = activation
        self._activate = keras.activations.get(activation)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or not input_shape[-1]:
            raise ValueError(
                f"{self.name} keeps frequencies per feature and its inputs must have "
                "the shape (batch, features), features known and at least 1. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        features = input_shape[-1]
        self.frequency = self.add_weight(
            name="frequency",
            shape=(features, self.frequencies),
            initializer=keras.initializers.TruncatedNormal(stddev=self.sigma),
            autocast=False,  # that of the layer does not hold for its weights
        )
        bound = 1 / math.sqrt(2 * self.frequencies)
        start = keras.initializers.RandomUniform(-bound, bound)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, 2 * self.frequencies, self.units),
            initializer=start,
        )
        self.bias = self.add_weight(
            name="bias", shape=(features, self.units), initializer=start.clone()
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, self.variable_dtype)
        angle = 2 * math.pi * x[:, :, None] * self.frequency
        waves = ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)
        waves, kernel, bias = (
            ops.cast(tensor, self.compute_dtype)
            for tensor in (waves, self.kernel, self.bias)
        )
        return self._activate(ops.einsum("bfw,fwu->bfu", waves, kernel) + bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "frequencies": self.frequencies,
            "sigma": self.sigma,
            "activation": activation_config(self.activation),
        }
