"""Whether a layer has learned what it computes with."""

import numpy as np

from keras_trainkit.layers._values_now import values_now


def learned(layer, weight, purpose, how="adapt(data)"):
    """True if `weight` holds numbers, None where nothing can be seen yet.

    A weight that no data and no file has filled is NaN, which raises.
    """
    values = values_now(weight)
    if values is None:
        return None
    built_in_this_trace = values.size == 0  # TensorFlow fills the weight later
    if built_in_this_trace or np.isnan(values).any():
        raise ValueError(
            f"{layer.name} {purpose}: call `{how}`, or load weights, before any other "
            "call. Received: neither."
        )
    return True
