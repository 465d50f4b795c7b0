"""Layers inside `tf.data.Dataset.map`, where Keras runs on another backend."""

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def call_in_data_map(
    call: Callable, layer: Any, inputs: Any, *args: Any, **kwargs: Any
) -> Any:
    """Calls with `inputs`; with a tensor of TensorFlow's graph by way of NumPy.

    On JAX and torch the graph of a data set holds tensors that their operations cannot
    take. It then asks the layer batch by batch: values are those of the layer, and the
    data set runs in this process alone.
    """
    if keras.config.backend() == "tensorflow" or "tensorflow" not in sys.modules:
        return call(inputs, *args, **kwargs)
    import tensorflow as tf

    if not tf.is_tensor(inputs) or not tf.is_symbolic_tensor(inputs):
        return call(inputs, *args, **kwargs)
    if not layer.built:
        layer.build(tuple(inputs.shape))
    given = {name: value for name, value in kwargs.items() if value is not None}
    spec = layer.compute_output_spec(
        keras.KerasTensor(tuple(inputs.shape), dtype=inputs.dtype.name)
    )

    def outside(values: np.ndarray, *others: Any) -> np.ndarray:
        made = call(values, *args, **dict(zip(given, others, strict=True)))
        return ops.convert_to_numpy(made)

    outputs = tf.numpy_function(outside, [inputs, *given.values()], spec.dtype)
    outputs.set_shape(spec.shape)
    return outputs
