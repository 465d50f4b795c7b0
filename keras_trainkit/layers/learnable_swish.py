from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_flag, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Shape, Tensor


@serializable
class LearnableSwish(keras.layers.Layer):
    """Activation `x sigmoid(beta x)` whose beta is trained with the network.

    | beta        | shape of the function                      |
    | ----------- | ------------------------------------------ |
    | 0           | `x / 2`, linear                            |
    | 1           | `keras.activations.silu`                   |
    | large       | nearly ReLU                                |

    Elementwise, so a masked step is computed like any other and its mask goes on.

    Args:
        initial_beta: Float. Value of beta before training.
        per_channel: Bool. True gives each channel of the last axis a beta of its own;
            otherwise all share one.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: any; with `per_channel` `(batch, ..., channels)`, `channels` known.
    Output shape: as the input.

    Example:

    ```python
    hidden = keras.layers.Dense(64)(x)
    hidden = keras_trainkit.layers.LearnableSwish()(hidden)
    ```

    Source: Ramachandran, Zoph and Le, 2017, arXiv:1710.05941, section 5. There beta
    is one per channel or fixed at 1; here one per layer by default.
    """

    def __init__(
        self, initial_beta: float = 1.0, per_channel: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        check_number("initial_beta", initial_beta, "is beta before training")
        check_flag("per_channel", per_channel, "gives each channel its own beta")
        self.initial_beta = initial_beta
        self.per_channel = per_channel
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if self.per_channel and input_shape[-1] is None:
            raise ValueError(
                f"{self.name} keeps one beta per channel, so the last axis must have a "
                f"known size. Received: input_shape={tuple(input_shape)}."
            )
        self.beta = self.add_weight(
            name="beta",
            shape=(input_shape[-1],) if self.per_channel else (),
            initializer=keras.initializers.Constant(self.initial_beta),
        )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)  # integers and bools too
        return inputs * ops.sigmoid(self.beta * inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_beta": self.initial_beta,
            "per_channel": self.per_channel,
        }
