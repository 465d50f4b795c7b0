from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import valid_steps
from keras_trainkit._types import Tensor
from keras_trainkit.layers._augmentation import Augmentation


@serializable
class TokenDropout(Augmentation):
    """Replaces tokens by another one at random while training.

    | replacement | what the network sees of a dropped token                         |
    | ----------- | ---------------------------------------------------------------- |
    | 1           | an unknown word: `[UNK]` of `keras.layers.TextVectorization`     |
    | 0           | nothing: `Embedding(mask_zero=True)` masks it as it does padding |

    A row that would lose every token keeps them all. Padding is never replaced.

    Args:
        rate: Float in [0, 1). Share of tokens that is dropped.
        replacement: Int >= 0. Id that takes their place.
        padding: Int >= 0. Id of padding.
        seed: Int >= 0. None: a random one.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Token ids, of any dtype, which they keep.
        mask: Bools, `(batch, time)`, True where there is a token that may be replaced.
            None: all but padding.
        training: Bool. Without it inputs pass unchanged.

    Input shape: `(batch, time)`; both may be unknown.
    Output shape: as the input.

    Example:

    ```python
    tokens = keras.Input((None,), dtype="int32")
    x = TokenDropout(0.2, replacement=0)(tokens)
    x = keras.layers.Embedding(1000, 16, mask_zero=True)(x)
    ```

    Source: Iyyer et al., 2015, Deep Unordered Composition Rivals Syntactic Methods for
    Text Classification, ACL, section 3.1 (there words are left out, at a rate of 0.3).
    """

    def __init__(
        self,
        rate: float = 0.1,
        replacement: int = 1,
        padding: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_number("rate", rate, "is the share that is dropped", at_least=0, below=1)
        for name, value, purpose in (
            ("replacement", replacement, "is the id that takes the place of a token"),
            ("padding", padding, "is the id of padding"),
        ):
            check_count(name, value, purpose, at_least=0, at_most=2**31 - 1)
        # Ids above 2048 would not survive a cast to float16.
        super().__init__(seed, autocast=False, **kwargs)
        self.rate = rate
        self.replacement = replacement
        self.padding = padding
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def call(
        self, inputs: Tensor, mask: Tensor | None = None, training: bool = False
    ) -> Tensor:
        inputs = ops.copy(inputs)  # which Keras gives the mask, and not the caller's
        return self.augment(inputs, mask) if training else inputs

    def augment(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        self._check_type(keras.backend.standardize_dtype(inputs.dtype))
        token = ops.not_equal(inputs, self.padding)
        if mask is not None:
            token = ops.logical_and(token, valid_steps(inputs, mask))
        dropped = ops.logical_and(token, self.uniform(ops.shape(inputs)) < self.rate)
        kept = ops.logical_and(token, ops.logical_not(dropped))
        dropped = ops.logical_and(dropped, ops.any(kept, axis=1, keepdims=True))
        replacement = ops.cast(self.replacement, inputs.dtype)
        return ops.where(dropped, replacement, inputs)

    def _check_type(self, dtype: str) -> None:
        if "int" in dtype and self.replacement > np.iinfo(dtype).max:
            raise ValueError(
                "`replacement` takes the place of a token and must be an id that the "
                f"type of the tokens holds. Received: replacement={self.replacement} "
                f"for {dtype}."
            )

    def compute_output_spec(
        self, inputs: Tensor, mask: Tensor | None = None, training: bool = False
    ) -> Tensor:
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "replacement": self.replacement,
            "padding": self.padding,
        }
