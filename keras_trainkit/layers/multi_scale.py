import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_count, check_flag
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import (
    step_numbers,
    steps_before_first,
    take_steps,
    valid_steps,
)
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._lost_mask import warn_of_lost_mask

METHODS = ("average", "max", "stride")


@serializable
class MultiScale(keras.layers.Layer):
    """Shows a sequence at several time scales, so that a step sees far at low cost.

    For a scale of s the sequence is cut into windows of s steps, the last one maybe
    shorter, and each window becomes one vector:

    | method    | a window becomes                                        |
    | --------- | ------------------------------------------------------- |
    | `average` | the mean of its valid steps                             |
    | `max`     | the largest value of its valid steps, channel by channel |
    | `stride`  | its first valid step                                    |

    With `join=True` each vector is repeated over its window and the scales stand side
    by side on the channel axis, for one recurrent layer over all of them. With
    `join=False` the shorter sequences come as a list, for a recurrent layer each:
    s times fewer steps to go through at scale s.

    Masked steps have no influence, whatever they hold. Windows are counted from the
    first valid step of each row, so padding, before or after, changes nothing.
    `join=True` passes the mask on and gives 0 at masked steps; with `join=False` a
    step is valid if its window has a valid step, and padding comes last.

    Not causal: with a scale of s, `join=True` shows a step up to s - 1 steps of its
    future. That suits bidirectional layers, not forecasting step by step.

    Args:
        scales: Tuple or list of ints >= 1, in steps, each once; 1 is the sequence.
        method: `"average"`, `"max"` or `"stride"`.
        join: Bool. True joins the views, as above.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence; or, with `join=False`, a mask of bools alone,
            `(batch, time)`, for the masks of its views.
        mask: Bools, `(batch, time)`, True where a step is valid. None: the mask of
            Keras' masking layers, where there is one; in a functional model a
            UserWarning where a layer in between lost it.

    Input shape: `(batch, time, channels)`; `time` may be unknown.
    Output shape: `(batch, time, channels * len(scales))`; with `join=False` a list
        of `(batch, ceil(time / scale), channels)`.

    Example:

    ```python
    x = keras.Input((None, 9))
    views = MultiScale(scales=(1, 4, 16))(x)  # (batch, time, 27)
    hidden = VariationalLSTM(32, bidirectional=True)(views)
    ```

    Source: Cui et al., 2016, arXiv:1603.06995 (there: the down-sampled branches of the
    multi-scale transform; `stride`). Their smoothed branches average over windows that
    overlap; here windows do not, so the coarse sequence is short.
    """

    def __init__(
        self,
        scales: Sequence[int] = (1, 2, 4),
        method: str = "average",
        join: bool = True,
        **kwargs: Any,
    ):
        _check_scales(scales)
        check_choice("method", method, "turns a window into one step", METHODS)
        check_flag("join", join, "puts the views side by side on the channel axis")
        super().__init__(**kwargs)
        self.scales = scales
        self.method = method
        self.join = join
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Any:
        if self._is_mask(inputs):
            return self._masks_of_views(inputs)
        steps = ops.cast(inputs, self.compute_dtype)
        valid = valid_steps(inputs, mask)
        if mask is not None:
            steps = _zero_where_masked(steps, valid)
            shift = steps_before_first(valid)
            steps, aligned = _rotate(steps, shift), _rotate(valid, shift)
        else:
            aligned = valid
        views = [self._view(steps, aligned, scale) for scale in self.scales]
        if not self.join:
            return views
        joined = self._side_by_side(views, ops.shape(inputs)[1])
        if mask is not None:
            joined = _zero_where_masked(_rotate(joined, -shift), valid)
        return joined

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor | None) -> Any:
        if previous_mask is None or inputs is previous_mask:
            return None
        if self.join:
            return previous_mask
        if isinstance(previous_mask, keras.KerasTensor):
            # By a layer, since each operation on a symbolic mask becomes a node of the
            # model: one, not dozens.
            return MultiScale(self.scales, self.method, join=False)(previous_mask)
        return self._masks_of_views(ops.cast(previous_mask, "bool"))

    def compute_output_shape(self, input_shape: Shape) -> Shape | list[Shape]:
        batch, time, *channels = input_shape
        if self.join:
            return (batch, time, channels[0] and channels[0] * len(self.scales))
        return [
            (batch, None if time is None else math.ceil(time / scale), *channels)
            for scale in self.scales
        ]

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Any:
        if self._is_mask(inputs):
            dtype = "bool"
        else:
            dtype = self.compute_dtype
            warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        if self.join:
            return keras.KerasTensor(shape, dtype=dtype)
        return [keras.KerasTensor(view, dtype=dtype) for view in shape]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scales": self.scales,
            "method": self.method,
            "join": self.join,
        }

    def _is_mask(self, inputs: Tensor) -> bool:
        is_bool = keras.backend.standardize_dtype(inputs.dtype) == "bool"
        if len(inputs.shape) == 2 and is_bool and not self.join:
            return True
        if len(inputs.shape) != 3:
            raise ValueError(
                f"{self.name} cuts a sequence into windows, which must have the shape "
                "(batch, time, channels). Received: "
                f"inputs.shape={tuple(inputs.shape)}."
            )
        return False

    def _masks_of_views(self, mask: Tensor) -> list[Tensor]:
        aligned = _rotate(mask, steps_before_first(mask))
        return [ops.any(_windows(aligned, s), axis=2) for s in self.scales]

    def _view(self, steps: Tensor, valid: Tensor, scale: int) -> Tensor:
        valid = ops.expand_dims(_windows(valid, scale), -1)
        steps = _windows(steps, scale)
        if self.method == "average":
            return _average_of(steps, valid)
        if self.method == "max":
            return _largest_of(steps, valid)
        return _first_of(steps, valid)

    def _side_by_side(self, views: list[Tensor], time: Tensor) -> Tensor:
        pairs = zip(views, self.scales, strict=True)
        repeated = [ops.repeat(view, s, axis=1)[:, :time] for view, s in pairs]
        return ops.concatenate(repeated, axis=-1)


def _check_scales(scales: Any) -> None:
    if not isinstance(scales, (list, tuple)) or not scales:
        raise ValueError(
            "`scales` are the lengths of the windows in steps and must be a tuple of "
            f"integers, at least one. Received: scales={scales!r}."
        )
    for scale in scales:
        check_count("scales", scale, "are the lengths of the windows in steps")
    if len(set(scales)) < len(scales):
        raise ValueError(
            "`scales` are the lengths of the windows in steps and must differ from "
            f"each other. Received: scales={scales!r}."
        )


def _zero_where_masked(steps: Tensor, valid: Tensor) -> Tensor:
    return ops.where(ops.expand_dims(valid, -1), steps, 0)


def _rotate(x: Tensor, shift: Tensor) -> Tensor:
    """Moves the steps of row r left by `shift[r]`; those moved out come last."""
    steps = step_numbers(x if len(x.shape) == 2 else x[:, :, 0])
    return take_steps(x, ops.mod(steps + shift, ops.maximum(ops.shape(x)[1], 1)))


def _windows(x: Tensor, scale: int) -> Tensor:
    """`(batch, time, ...)` to `(batch, windows, scale, ...)`, padded with zeros."""
    batch, time, *features = ops.shape(x)
    count = (time + scale - 1) // scale
    padding = [(0, 0), (0, scale - 1), *((0, 0) for _ in features)]
    padded = ops.pad(x, padding)[:, : count * scale]
    return ops.reshape(padded, (batch, count, scale, *features))


# Methods: windows `(batch, windows, scale, channels)` to `(batch, windows, channels)`.
# `valid` is `(batch, windows, scale, 1)`; steps that are not valid hold zeros.


def _average_of(steps: Tensor, valid: Tensor) -> Tensor:
    # The sum of float16 numbers may overflow where their mean does not.
    wide = keras.backend.result_type(steps.dtype, "float32")
    count = ops.sum(ops.cast(valid, wide), axis=2)
    total = ops.sum(ops.cast(steps, wide), axis=2)
    return ops.cast(total / ops.maximum(count, 1), steps.dtype)


def _largest_of(steps: Tensor, valid: Tensor) -> Tensor:
    # No `ops.max`: it refuses a batch without rows on some backends.
    candidates = ops.where(valid, steps, -float("inf"))
    candidates = ops.unstack(candidates, steps.shape[2], axis=2)
    largest = ops.cast(functools.reduce(ops.maximum, candidates), steps.dtype)
    return ops.where(ops.any(valid, axis=2), largest, 0)


def _first_of(steps: Tensor, valid: Tensor) -> Tensor:
    first = ops.logical_and(valid, ops.cumsum(ops.cast(valid, "int32"), 2) == 1)
    return ops.sum(ops.where(first, steps, 0), axis=2)
