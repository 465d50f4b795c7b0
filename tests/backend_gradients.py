"""Gradients the same way on every backend, for tests."""

import contextlib
from unittest import mock

import keras
import numpy as np
from keras import ops


def gradients(function, arguments):
    """`d function(*arguments) / d argument` for each; the function gives a number."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(a) for a in arguments]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        found = tape.gradient(value, tensors)
    elif backend == "jax":
        import jax

        every = tuple(range(len(arguments)))
        found = jax.jit(jax.grad(function, argnums=every))(*arguments)
    else:
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arguments]
        found = torch.autograd.grad(function(*tensors), tensors)
    return [np.asarray(keras.ops.convert_to_numpy(f)) for f in found]


@contextlib.contextmanager
def float64():
    """Inside, float64 stays float64 also in Keras' tanh and on JAX."""
    with contextlib.ExitStack() as stack:
        if keras.config.backend() == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        # Keras 3.15: `ops.tanh` computes in float32 on JAX.
        stack.enter_context(mock.patch.object(ops, "tanh", _tanh))
        yield


def _tanh(x):
    return 2 * ops.sigmoid(2 * x) - 1
