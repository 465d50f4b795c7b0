from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Shape, Tensor


@serializable
class MemberAdapter(keras.layers.Layer):
    """Gives each member of an ensemble its own view of the features.

    `y[b, k, f] = x[b, f] r[k, f]`. With the heads (`MemberDense`) it is all that tells
    the members of TabM-mini apart; the trunk between them is shared, see `models.mlp`.
    r starts as standard normal draws.

    Args:
        members: Int >= 1. Number of members.
        groups: Sequence of ints >= 1 that sum to the features: sizes of groups of
            neighbouring features whose r starts with the same value, such as the
            numbers that one feature was embedded in. None: each feature by itself.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, features)`; `features` must be known.
    Output shape: `(batch, members, features)`.

    Example:

    ```python
    outputs = MemberAdapter(8)(np.ones((32, 20)))  # (32, 8, 20)
    ```

    Source: Gorishniy, Kotelnikov and Babenko, 2024, arXiv:2410.24210, section 3.3.
    The authors draw random signs where no embedding comes before.
    """

    def __init__(
        self, members: int, groups: Sequence[int] | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        check_count("members", members, "is the number of members of the ensemble")
        if groups is not None:
            if not isinstance(groups, (tuple, list)) or not groups:
                raise ValueError(
                    "`groups` gives the numbers of features that start alike and must "
                    "be a tuple or list of integers of at least 1, or None. "
                    f"Received: groups={groups!r}."
                )
            for index, size in enumerate(groups):
                check_count(
                    f"groups[{index}]", size, "is a number of features that start alike"
                )
        self.members = members
        self.groups = None if groups is None else list(groups)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name} keeps a weight per member and feature and its inputs "
                "must have the shape (batch, features), features known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        features = input_shape[-1]
        groups = [1] * features if self.groups is None else self.groups
        if sum(groups) != features:
            raise ValueError(
                "`groups` gives the numbers of features that start alike and must sum "
                f"to the {features} features. Received: groups={groups}."
            )

        def start(shape: Shape, dtype: str | None = None) -> Tensor:
            drawn = keras.random.normal((self.members, len(groups)), dtype=dtype)
            return ops.take(drawn, np.repeat(np.arange(len(groups)), groups), axis=1)

        shape = (self.members, features)
        self.scale = self.add_weight(name="scale", shape=shape, initializer=start)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)  # integers and bools too
        return inputs[:, None, :] * self.scale

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.members, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "members": self.members,
            "groups": self.groups,
        }
