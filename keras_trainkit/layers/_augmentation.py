"""Base and helpers of the layers that change training rows at random."""

from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_seed
from keras_trainkit._steps import over_features, step_numbers
from keras_trainkit._types import Shape, Tensor


class Augmentation(keras.layers.Layer):
    """Layer that changes its inputs while training, and passes them on otherwise.

    A subclass says how in `augment(inputs, mask)`. Shapes and masks stay as they are.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        seed = check_seed("seed", seed)
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(
        self, inputs: Tensor, mask: Tensor | None = None, training: bool = False
    ) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)  # integers and bools too
        if not training:
            return ops.copy(inputs)  # which Keras gives the mask, and not the caller's
        return self.augment(inputs, mask)

    def augment(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}

    def uniform(self, shape: Shape) -> Tensor:
        """Numbers in [0, 1), in float32: bfloat16 has but 256 of them."""
        return keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)

    def normal(self, shape: Shape) -> Tensor:
        return keras.random.normal(shape, dtype="float32", seed=self.seed_generator)

    def integers_up_to(self, largest: Tensor, count: int = 1) -> Tensor:
        """`count` integers for each row, 0 to `largest`, `(batch, 1)`, alike likely."""
        drawn = self.uniform((ops.shape(largest)[0], count))
        drawn = ops.cast(drawn * ops.cast(largest + 1, "float32"), "int32")
        return ops.minimum(drawn, largest)  # should the product round up


def share_of(length: Tensor, fraction: float) -> Tensor:
    """The largest whole number of steps within `fraction` of `length`, int32.

    float32 gives 52.999996 for 0.53 of 100, which is 53.
    """
    steps = fraction * ops.cast(length, "float32")
    return ops.cast(ops.floor(steps + 1e-3), "int32")


def valid_lengths(valid: Tensor) -> Tensor:
    """Number of valid steps of each row, `(batch, 1)` int32."""
    return ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)


def valid_ranks(valid: Tensor) -> Tensor:
    """0, 1, 2... over the valid steps of each row; between them no meaning."""
    return ops.maximum(ops.cumsum(ops.cast(valid, "int32"), axis=1) - 1, 0)


def positions_of_ranks(valid: Tensor, ranks: Tensor) -> Tensor:
    """Steps where the valid steps `ranks` of each row are; others are themselves."""
    steps = step_numbers(valid)
    time = ops.shape(valid)[1]
    behind = ops.where(valid, steps, steps + time)  # all different: any sort will do
    order = ops.cast(ops.argsort(behind, axis=1), "int32")
    return ops.where(valid, ops.take_along_axis(order, ranks, axis=1), steps)


def where_steps(flags: Tensor, x: Tensor, otherwise: Tensor) -> Tensor:
    """`x` at the steps `flags`, `(batch, time)`, and `otherwise` at the others."""
    return ops.where(over_features(flags, x), x, otherwise)
