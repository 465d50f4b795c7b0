from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import valid_steps
from keras_trainkit._types import Shape, Tensor

MODES = ("sum", "mean")


@serializable
class EmbeddingBag(keras.layers.Embedding):
    """Sum, or mean, of the vectors of the tokens of a row, in whatever order.

    Of a few numbers out of very many it is what `Dense` is of a vector of zeros and
    ones, and needs no such vector. 0 is padding, whose vector counts nowhere; a row
    without a token gives zeros.

    Args:
        input_dim: Int >= 1. Token ids, padding's 0 included.
        output_dim: Int >= 1. Numbers per vector.
        mode: "sum" or "mean" of the tokens that are no padding.
        **kwargs: Passed to `keras.layers.Embedding` (`embeddings_initializer`, ...).

    Call arguments:
        inputs: Token ids.
        mask: Bools, `(batch, time)`, False where an id counts as padding too. None: the
            mask of Keras' masking layers, where there is one.

    Input shape: `(batch, time)`; `time` may be unknown.
    Output shape: `(batch, output_dim)`.

    Example:

    ```python
    bag = EmbeddingBag(1000, 16, mode="mean")
    bag(np.array([[5, 7, 7, 0], [5, 0, 0, 0]]))  # (2, 16)
    ```

    Source: Joulin et al., 2016, Bag of Tricks for Efficient Text Classification,
    arXiv:1607.01759, section 2.
    """

    def __init__(
        self, input_dim: int, output_dim: int, mode: str = "sum", **kwargs: Any
    ):
        check_choice("mode", mode, "says what becomes of the vectors of a row", MODES)
        check_count("input_dim", input_dim, "is the number of token ids")
        check_count("output_dim", output_dim, "is the number of units per token")
        super().__init__(int(input_dim), int(output_dim), **kwargs)
        self.mode = mode
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        counts = ops.not_equal(inputs, 0)
        if mask is not None:
            counts = counts & valid_steps(inputs, mask)
        counts = ops.cast(counts, dtype)[:, :, None]
        vectors = ops.cast(super().call(inputs), dtype)
        found = ops.sum(vectors * counts, axis=1)
        if self.mode == "mean":
            found = found / ops.maximum(ops.sum(counts, axis=1), 1)
        return ops.cast(found, self.compute_dtype)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.output_dim)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "mode": self.mode}
        del config["mask_zero"]  # 0 counts nowhere, and no mask leaves the layer
        return config
