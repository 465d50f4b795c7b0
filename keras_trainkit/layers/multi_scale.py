import math

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_count, check_flag
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import steps_before_first, valid_steps
from keras_trainkit.layers._lost_mask import warn_of_lost_mask
from keras_trainkit.layers._windows import (
    average_of,
    first_of,
    largest_of,
    rotate,
    windows,
    zero_where_masked,
)

METHODS = {"average": average_of, "max": largest_of, "stride": first_of}


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
        join: Bool. Whether to join the views, as above.
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

    def __init__(self, scales=(1, 2, 4), method="average", join=True, **kwargs):
        _check_scales(scales)
        check_choice("method", method, "turns a window into one step", tuple(METHODS))
        check_flag("join", join, "puts the views side by side on the channel axis")
        super().__init__(**kwargs)
        self.scales = scales
        self.method = method
        self.join = join
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if self._is_mask(inputs):
            return self._masks_of_views(inputs)
        steps = ops.cast(inputs, self.compute_dtype)
        valid = valid_steps(inputs, mask)
        if mask is not None:
            steps = zero_where_masked(steps, valid)
            shift = steps_before_first(valid)
            steps, aligned = rotate(steps, shift), rotate(valid, shift)
        else:
            aligned = valid
        views = [self._view(steps, aligned, scale) for scale in self.scales]
        if not self.join:
            return views
        joined = self._side_by_side(views, ops.shape(inputs)[1])
        if mask is not None:
            joined = zero_where_masked(rotate(joined, -shift), valid)
        return joined

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None or inputs is previous_mask:
            return None
        if self.join:
            return previous_mask
        if isinstance(previous_mask, keras.KerasTensor):
            # By a layer, since Keras puts what is done to a symbolic mask into the
            # model: one node, not dozens.
            return MultiScale(self.scales, self.method, join=False)(previous_mask)
        return self._masks_of_views(ops.cast(previous_mask, "bool"))

    def compute_output_shape(self, input_shape):
        batch, time, *channels = input_shape
        if self.join:
            return (batch, time, channels[0] and channels[0] * len(self.scales))
        return [
            (batch, None if time is None else math.ceil(time / scale), *channels)
            for scale in self.scales
        ]

    def compute_output_spec(self, inputs, mask=None):
        if self._is_mask(inputs):
            dtype = "bool"
        else:
            dtype = self.compute_dtype
            warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        if self.join:
            return keras.KerasTensor(shape, dtype=dtype)
        return [keras.KerasTensor(view, dtype=dtype) for view in shape]

    def get_config(self):
        return {
            **super().get_config(),
            "scales": self.scales,
            "method": self.method,
            "join": self.join,
        }

    def _is_mask(self, inputs):
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

    def _masks_of_views(self, mask):
        aligned = rotate(mask, steps_before_first(mask))
        return [ops.any(windows(aligned, s), axis=2) for s in self.scales]

    def _view(self, steps, valid, scale):
        valid = ops.expand_dims(windows(valid, scale), -1)
        return METHODS[self.method](windows(steps, scale), valid)

    def _side_by_side(self, views, time):
        pairs = zip(views, self.scales, strict=True)
        repeated = [ops.repeat(view, s, axis=1)[:, :time] for view, s in pairs]
        return ops.concatenate(repeated, axis=-1)


def _check_scales(scales):
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
