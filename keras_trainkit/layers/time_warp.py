from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import over_features, take_steps, valid_steps
from keras_trainkit._types import Tensor
from keras_trainkit.layers._augmentation import (
    Augmentation,
    positions_of_ranks,
    valid_lengths,
    valid_ranks,
    where_steps,
)

_NEAR = 1e-3  # of a step
_SLOWEST = 0.1  # A speed of 0 or less would stand still or go back in time.


@serializable
class TimeWarp(Augmentation):
    """Runs through sequences faster here and slower there while training.

    Each row gets a speed over time: normal numbers of mean 1 at the knots, not below
    0.1, and straight lines between them. Its sum is the time at which the row is read,
    between steps by linear interpolation. The first and the last valid step stay, and
    so do padding and holes. A gap (NaN) makes one of what is read beside it.

    Args:
        stddev: Float >= 0. Standard deviation of the speed.
        knots: Int >= 0. Inner points where the speed is drawn, spread evenly; the two
            ends come on top.
        seed: Int >= 0. None: a random one.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Features; those that hold codes are interpolated too.
        mask: Bools, `(batch, time)`, True where a step is valid. None: all are.
        training: Bool. Without it inputs pass unchanged.

    Input shape: `(batch, time, features)`; `batch` and `time` may be unknown.
    Output shape: as the input.

    Example:

    ```python
    inputs = keras.Input((None, 9))
    x = TimeWarp(0.2)(inputs)
    ```

    Source: Um et al., 2017, arXiv:1706.00527, and Iwana and Uchida, 2021, PLOS ONE
    16(7), e0254841 (stddev 0.2, 4 knots). There the speed is a cubic spline, which may
    fall below 0.
    """

    def __init__(
        self,
        stddev: float = 0.2,
        knots: int = 4,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_number("stddev", stddev, "is the spread of the speed", at_least=0)
        purpose = "is the number of inner points where the speed is drawn"
        check_count("knots", knots, purpose, at_least=0, at_most=64)
        super().__init__(seed, **kwargs)
        self.stddev = stddev
        self.knots = knots
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def augment(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        valid = valid_steps(inputs, mask)
        last = ops.maximum(valid_lengths(valid) - 1, 0)
        when = self._reading_times(valid, ops.cast(last, "float32"))
        before = ops.clip(ops.cast(ops.floor(when), "int32"), 0, last)
        # A step that is nearly met is taken as it is: rounding errors would make a gap
        # (NaN) of it where its neighbour is one.
        share = ops.clip(when - ops.cast(before, "float32"), 0, 1)
        share = ops.where(share < _NEAR, 0.0, ops.where(share > 1 - _NEAR, 1.0, share))
        after = ops.minimum(before + 1, last)
        left = take_steps(inputs, positions_of_ranks(valid, before))
        right = take_steps(inputs, positions_of_ranks(valid, after))
        share = over_features(ops.cast(share, self.compute_dtype), inputs)
        between = (1 - share) * left + share * right
        warped = ops.where(share == 0, left, ops.where(share == 1, right, between))
        return where_steps(valid, warped, inputs)

    def _reading_times(self, valid: Tensor, last: Tensor) -> Tensor:
        """Times in steps, from 0 to `last`, `(batch, time)`: the integrated speed."""
        noise = self.normal((ops.shape(valid)[0], self.knots + 2))
        at_knots = ops.maximum(1 + self.stddev * noise, _SLOWEST)
        rank = ops.cast(valid_ranks(valid), "float32")
        place = rank / ops.maximum(last, 1) * (self.knots + 1)
        numbers = ops.arange(self.knots + 2, dtype="float32")
        distance = ops.abs(ops.expand_dims(place, 2) - numbers)
        weights = ops.maximum(1 - distance, 0)
        speed = ops.sum(weights * ops.expand_dims(at_knots, 1), axis=2)
        summed = ops.cumsum(ops.where(valid, speed, 0), axis=1)
        gone = summed - (at_knots[:, :1] + speed) / 2  # by the trapezoidal rule
        total = ops.sum(ops.where(valid, speed, 0), axis=1, keepdims=True)
        total = total - (at_knots[:, :1] + at_knots[:, -1:]) / 2
        return gone / ops.where(last > 0, total, 1) * last

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "knots": self.knots}
