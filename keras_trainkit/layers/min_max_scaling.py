import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._checks import check_choice, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Extremes
from keras_trainkit._types import Tensor
from keras_trainkit.layers._scaling import Scaling


@serializable
class MinMaxScaling(Scaling):
    """Maps each feature to a range: its minimum to the low end, maximum to the high.

    `low + (high - low) (x - min) / (max - min)`, min and max learned by `adapt`. A
    single outlier squeezes all other values together.

    | value                                  | output                           |
    | -------------------------------------- | -------------------------------- |
    | NaN                                    | NaN; `adapt` skips it            |
    | outside min to max                     | see `outside`                    |
    | of a feature that was constant         | the number of `range` nearest 0  |
    | at a masked step                       | 0; the mask goes on              |

    What is an error, what is saved and in which precision it computes: as in
    `StandardScaling`.

    Args:
        range: Pair of floats `(low, high)`, low < high. (0, 1) and (-1, 1) are usual.
        outside: "clip" or "extend". What becomes of a value outside the training
            data: "clip" gives the nearer end of `range`, "extend" goes on in a
            straight line.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, ..., features)`; `features` must be known.
    Output shape: as the input.

    `inverse` goes on in a straight line outside `range` in both cases; what "clip"
    has cut off comes back as the minimum or the maximum.

    Example:

    ```python
    scaling = keras_trainkit.layers.MinMaxScaling(range=(-1, 1))
    scaling.adapt(np.array([[0.0], [10.0]]))
    scaling(np.array([[5.0], [20.0]]))  # [[0], [1]]
    ```

    Source: scikit-learn's `MinMaxScaler`. There a constant feature gives the low end
    and extending is the default.
    """

    _statistics = (Extremes,)

    def __init__(
        self,
        range: Sequence[float] = (0, 1),
        outside: str = "clip",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _check_range(range)
        check_choice(
            "outside",
            outside,
            "is what becomes of values beyond those seen in training",
            ("clip", "extend"),
        )
        self.range = range
        self.outside = outside

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "range": self.range,
            "outside": self.outside,
        }

    def _center_and_spread(self, extremes: Extremes) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(over="ignore"):  # refused as too wide for float32
            return extremes.lowest, extremes.highest - extremes.lowest

    def _transform(self, z: Tensor) -> Tensor:
        low, high = self.range
        share = ops.clip(z, 0.0, 1.0) if self.outside == "clip" else z
        return low + share * (high - low)

    def _inverse_transform(self, y: Tensor) -> Tensor:
        low, high = self.range
        return (y - low) / (high - low)

    def _constant_output(self) -> float:
        low, high = self.range
        return float(min(max(0, low), high))


def _check_range(value: Any) -> None:
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    if not pair or not all(isinstance(end, numbers.Real) for end in value):
        raise ValueError(
            "`range` is what the minimum and the maximum are mapped to and must be a "
            f"pair of numbers (low, high). Received: range={value!r}."
        )
    low, high = value
    check_number("range[0]", low, "is what the minimum is mapped to")
    check_number("range[1]", high, "is what the maximum is mapped to", above=low)
