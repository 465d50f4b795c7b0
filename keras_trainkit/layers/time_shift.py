from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import take_steps, valid_steps
from keras_trainkit._types import Tensor
from keras_trainkit.layers._augmentation import (
    Augmentation,
    positions_of_ranks,
    share_of,
    valid_lengths,
    valid_ranks,
)


@serializable
class TimeShift(Augmentation):
    """Moves sequences to earlier or later steps while training.

    Each row is moved by a whole number of steps of its own, within its valid steps:
    padding and holes stay where and what they are. Of `[5, 6, 7, 8, 0]`, 0 being
    padding, a shift by one step makes `[5, 5, 6, 7, 0]` with `fill="edge"`, and
    `[8, 5, 6, 7, 0]` with `fill="wrap"`.

    Args:
        max_fraction: Float in [0, 1]. Largest shift, as a share of the valid steps of
            the row, to either side; all whole shifts up to it are alike likely.
        fill: `"edge"`: the first or last valid step is repeated. `"wrap"`: what leaves
            at one end comes in at the other, for periodic signals.
        seed: Int >= 0. None: a random one.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Features.
        mask: Bools, `(batch, time)`, True where a step is valid. None: all are.
        training: Bool. Without it inputs pass unchanged.

    Input shape: `(batch, time, features)`; `batch` and `time` may be unknown.
    Output shape: as the input.

    Example:

    ```python
    inputs = keras.Input((None, 9))
    x = TimeShift(0.1)(inputs)
    ```

    Source: the random shift of images (Keras' `RandomTranslation`) on the axis of time.
    For a survey of such changes: Iwana and Uchida, 2021, PLOS ONE 16(7), e0254841.
    """

    def __init__(
        self,
        max_fraction: float = 0.1,
        fill: str = "edge",
        seed: int | None = None,
        **kwargs: Any,
    ):
        purpose = "is the largest shift as a share of the valid steps"
        check_number("max_fraction", max_fraction, purpose, at_least=0, at_most=1)
        check_choice("fill", fill, "is what comes in at the end", ("edge", "wrap"))
        super().__init__(seed, **kwargs)
        self.max_fraction = max_fraction
        self.fill = fill
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def augment(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        valid = valid_steps(inputs, mask)
        length = valid_lengths(valid)
        largest = share_of(length, self.max_fraction)
        shift = self.integers_up_to(2 * largest) - largest
        source = valid_ranks(valid) - shift
        if self.fill == "wrap":
            source = ops.mod(source, ops.maximum(length, 1))
        source = ops.clip(source, 0, ops.maximum(length - 1, 0))
        return take_steps(inputs, positions_of_ranks(valid, source))

    def get_config(self) -> dict[str, Any]:
        config = {"max_fraction": self.max_fraction, "fill": self.fill}
        return {**super().get_config(), **config}
