import math
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import activation_config, serializable
from keras_trainkit._types import Shape, Tensor


@serializable
class MemberDense(keras.layers.Layer):
    """A dense layer for each member of an ensemble: `y[b, k] = x[b, k] W[k] + b[k]`.

    The heads of TabM-mini. Kernels and biases start uniform within
    `1 / sqrt(features)`, of the width of one member.

    Args:
        units: Int >= 1. Outputs per member.
        activation: Name or function; None for linear.
        kernel_regularizer: Name, `keras.regularizers.Regularizer` or None.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, members, features)`; both must be known.
    Output shape: `(batch, members, units)`.

    Example:

    ```python
    outputs = MemberDense(3)(np.ones((32, 8, 20)))  # (32, 8, 3): 8 members
    ```

    Source: Gorishniy, Kotelnikov and Babenko, 2024, arXiv:2410.24210.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("units", units, "is the number of outputs per member")
        self.units = units
        self.activation = activation
        self.kernel_regularizer = kernel_regularizer
        self._activate = keras.activations.get(activation)
        self._regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3 or None in input_shape[1:]:
            raise ValueError(
                f"{self.name} keeps a kernel per member and its inputs must have the "
                "shape (batch, members, features), both known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        members, features = input_shape[1:]
        bound = 1 / math.sqrt(max(features, 1))
        start = keras.initializers.RandomUniform(-bound, bound)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(members, features, self.units),
            initializer=start,
            regularizer=self._regularizer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(members, self.units), initializer=start.clone()
        )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)  # integers and bools too
        outputs = ops.einsum("bkf,kfu->bku", inputs, self.kernel) + self.bias
        return self._activate(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activation_config(self.activation),
            "kernel_regularizer": keras.saving.serialize_keras_object(
                self.kernel_regularizer
            ),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        given = config["kernel_regularizer"]
        regularizer = keras.saving.deserialize_keras_object(given)
        return cls(**{**config, "kernel_regularizer": regularizer})
