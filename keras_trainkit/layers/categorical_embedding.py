from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Shape, Tensor


@serializable
class CategoricalEmbedding(keras.layers.Layer):
    """Turns each column of codes into numbers: one-hot if few, a vector if many.

    | codes of the column      | output                                        |
    | ------------------------ | --------------------------------------------- |
    | at most `one_hot_up_to`  | as many numbers, 1 at the code and 0 elsewhere |
    | more                     | a trained vector of `units` numbers           |

    The one-hot columns come first, each group in the order of `sizes`. A code outside
    `[0, size)` gives zeros; `layers.TableEncoder` never makes one.

    Args:
        sizes: Sequence of ints >= 1, or empty. Number of codes per column, such as
            `TableEncoder.category_sizes`.
        units: Int >= 1. Length of a trained vector.
        one_hot_up_to: Int >= 0. Columns of at most so many codes are one-hot.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, len(sizes))`, integers.
    Output shape: `(batch, width)`, the widths of the table above summed.

    Example:

    ```python
    CategoricalEmbedding([3], one_hot_up_to=8)(np.array([[2]]))  # [[0, 0, 1]]
    ```

    Source: Holzmüller, Grinsztajn and Steinwart, 2024, arXiv:2407.04491 (RealMLP: one-
    hot up to 8 levels, then vectors of 8). There a column of two levels is one number.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        units: int = 8,
        one_hot_up_to: int = 8,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)  # float16 cannot hold large codes
        if not isinstance(sizes, (tuple, list)):
            raise ValueError(
                "`sizes` gives the number of codes per column and must be a tuple or "
                f"list of integers of at least 1. Received: sizes={sizes!r}."
            )
        for column, size in enumerate(sizes):
            check_count(f"sizes[{column}]", size, "is the number of codes of a column")
        check_count("units", units, "is the length of a trained vector")
        check_count(
            "one_hot_up_to",
            one_hot_up_to,
            "is the most codes of a column that becomes one-hot",
            at_least=0,
        )
        self.sizes = [int(size) for size in sizes]
        self.units = units
        self.one_hot_up_to = one_hot_up_to
        self._one_hot_columns = [
            c for c, size in enumerate(sizes) if size <= one_hot_up_to
        ]
        self._vector_columns = [
            c for c, size in enumerate(sizes) if size > one_hot_up_to
        ]

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or input_shape[-1] != len(self.sizes):
            raise ValueError(
                f"{self.name} takes a column of codes for each of its `sizes` and its "
                f"inputs must have the shape (batch, {len(self.sizes)}). "
                f"Received: input_shape={tuple(input_shape)}."
            )
        if self._vector_columns:
            self.vectors = self.add_weight(
                name="vectors",
                shape=(sum(self.sizes[c] for c in self._vector_columns), self.units),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
            )

    def call(self, inputs: Tensor) -> Tensor:
        codes = ops.cast(inputs, "int32")
        if not self.sizes:
            return ops.cast(codes, self.compute_dtype)
        outputs = [self._one_hot(codes)] if self._one_hot_columns else []
        if self._vector_columns:
            outputs.append(self._embedded(codes))
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], sum(self.widths))

    @property
    def widths(self) -> list[int]:
        """Length of each column's output, in the order of the output."""
        few = [self.sizes[c] for c in self._one_hot_columns]
        return few + [self.units] * len(self._vector_columns)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sizes": self.sizes,
            "units": self.units,
            "one_hot_up_to": self.one_hot_up_to,
        }

    def _one_hot(self, codes: Tensor) -> Tensor:
        sizes = [self.sizes[c] for c in self._one_hot_columns]
        chosen = ops.take(codes, self._one_hot_columns, axis=1)
        repeated = ops.take(chosen, np.repeat(np.arange(len(sizes)), sizes), axis=1)
        code = ops.concatenate([ops.arange(size, dtype="int32") for size in sizes])
        return ops.cast(ops.equal(repeated, code), self.compute_dtype)

    def _embedded(self, codes: Tensor) -> Tensor:
        sizes = np.array([self.sizes[c] for c in self._vector_columns], "int32")
        chosen = ops.take(codes, self._vector_columns, axis=1)
        known = ops.logical_and(chosen >= 0, ops.less(chosen, sizes))
        first = ops.convert_to_tensor(np.cumsum(sizes, dtype="int32") - sizes)
        rows = ops.where(known, chosen, 0) + first
        vectors = ops.cast(ops.take(self.vectors, rows, axis=0), self.compute_dtype)
        vectors = vectors * ops.cast(known, self.compute_dtype)[:, :, None]
        return ops.reshape(vectors, (-1, self.units * len(sizes)))
