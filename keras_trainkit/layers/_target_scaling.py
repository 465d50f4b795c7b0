"""Which layers may scale the targets of a model."""

import keras

from keras_trainkit.layers.min_max_scaling import MinMaxScaling
from keras_trainkit.layers.robust_scaling import RobustScaling

_PURPOSE = "`target_scaling` brings the targets to unit size and must be"


def check_target_scaling(scaling):
    """None, or a layer that takes any target, and whose `inverse` any value."""
    if scaling is None:
        return
    if not isinstance(scaling, keras.layers.Layer) or not hasattr(scaling, "inverse"):
        raise ValueError(
            f"{_PURPOSE} an adapted layer with `inverse`, or None. "
            f"Received: target_scaling={scaling!r}."
        )
    if scaling.compute_dtype in ("float16", "bfloat16"):
        raise ValueError(
            f"{_PURPOSE} with all digits of a loss, which half precision has not: "
            f'`{type(scaling).__name__}(dtype="float32")`. '
            f"Received: {scaling!r}, which computes in {scaling.compute_dtype}."
        )
    if isinstance(scaling, RobustScaling) and scaling.clip is not None:
        raise ValueError(
            f"{_PURPOSE} without a bound, beyond which its inverse is infinite: "
            "`RobustScaling(clip=None)`. "
            f"Received: RobustScaling(clip={scaling.clip})."
        )
    if isinstance(scaling, MinMaxScaling) and scaling.outside == "clip":
        raise ValueError(
            f"{_PURPOSE} without a bound, beyond which targets are not told apart: "
            '`MinMaxScaling(outside="extend")`. '
            f"Received: MinMaxScaling(outside={scaling.outside!r})."
        )
