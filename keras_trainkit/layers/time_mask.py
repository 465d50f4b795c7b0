from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import valid_steps
from keras_trainkit._types import Tensor
from keras_trainkit.layers._augmentation import (
    Augmentation,
    share_of,
    valid_lengths,
    valid_ranks,
    where_steps,
)


@serializable
class TimeMask(Augmentation):
    """Overwrites spans of consecutive steps by one value while training.

    Each row has its own spans, among its valid steps; they may overlap. A span has 0
    up to `max_fraction` of the valid steps, all widths alike likely, then all places.
    Overwritten steps stay valid for the layers behind, and padding stays as it is.

    Args:
        max_fraction: Float in [0, 1]. Largest width of a span, as a share of the valid
            steps of the row.
        spans: Int >= 1. Number of spans.
        value: Float. What overwrites; 0 is the mean of standardised features.
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
    x = StandardScaling()(inputs)
    x = TimeMask(0.1, spans=2)(x)
    ```

    Source: Park et al., 2019, arXiv:1904.08779, time masking, with the upper bound p
    of the width alone.
    """

    def __init__(
        self,
        max_fraction: float = 0.1,
        spans: int = 1,
        value: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        purpose = "is the largest width of a span as a share of the valid steps"
        check_number("max_fraction", max_fraction, purpose, at_least=0, at_most=1)
        check_count("spans", spans, "is how many spans there are", at_most=64)
        super().__init__(seed, **kwargs)
        self.max_fraction = max_fraction
        self.spans = spans
        self.value = value
        self.input_spec = keras.layers.InputSpec(ndim=3)
        largest = 65504.0 if self.compute_dtype == "float16" else 3.38e38
        purpose = f"is what overwrites the steps, in {self.compute_dtype},"
        check_number("value", value, purpose, at_least=-largest, at_most=largest)

    def augment(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        valid = valid_steps(inputs, mask)
        length = valid_lengths(valid)
        largest = share_of(length, self.max_fraction)
        width = self.integers_up_to(largest, self.spans)  # (batch, spans)
        start = self.integers_up_to(length - width, self.spans)
        step = ops.expand_dims(valid_ranks(valid), 2)  # (batch, time, 1)
        first = ops.expand_dims(start, 1)
        behind = ops.expand_dims(start + width, 1)
        inside = ops.any(ops.logical_and(step >= first, step < behind), axis=2)
        inside = ops.logical_and(inside, valid)
        return where_steps(inside, ops.full_like(inputs, self.value), inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_fraction": self.max_fraction,
            "spans": self.spans,
            "value": self.value,
        }
