"""Processes that train one model together, on one machine or on several."""

from typing import Any

import keras
import numpy as np


def train_together() -> bool:
    """True if `keras.distribution` spreads the model over several processes."""
    distribution = keras.distribution.distribution()
    is_jax = keras.config.backend() == "jax"
    return is_jax and distribution is not None and distribution.num_processes > 1


def is_first() -> bool:
    """True in one of the processes, and where there is only one."""
    if not train_together():
        return True
    import jax

    return jax.process_index() == 0


def broadcast(data: bytes) -> bytes:
    """The bytes of the first process, in all of them. Each of them must call this."""
    from jax.experimental import multihost_utils

    size = multihost_utils.broadcast_one_to_all(np.array(len(data), "int32"))
    sent = np.zeros(int(size), "uint8")
    if is_first():
        sent[:] = np.frombuffer(data, "uint8")
    return np.asarray(multihost_utils.broadcast_one_to_all(sent), "uint8").tobytes()


def replicated(values: np.ndarray) -> Any:
    """The tensor of the same values on all devices of all processes, not compared."""
    import jax

    distribution: Any = keras.distribution.distribution()
    axes = [None] * values.ndim
    layout = keras.distribution.TensorLayout(axes, distribution.device_mesh)
    return jax.make_array_from_callback(
        values.shape, layout.backend_layout, values.__getitem__
    )
