"""NumPy's comparisons for tensors of any backend, with or without gradients."""

import keras
import numpy as np
from keras import ops

BITS = {"bfloat16": 8, "float16": 11, "float32": 24}  # of the significand


def rounding(dtype, count=1):
    """The relative error of `count` roundings to the nearest number of a format."""
    return count * 2.0 ** -BITS[dtype]


def rounding_of_sum(dtype, terms):
    """The error of a sum of rounded products, on a processor that rounds each step.

    `terms` are at least as large as the products. Each has two rounded factors; the
    partial sums, none larger than all terms together, are rounded up as often as
    down, so that the error of n of them grows as the square root of n.
    """
    size = np.abs(terms)
    return rounding(dtype, 2 + len(size) ** 0.5) * size.sum(axis=0)


def in_one(call):
    """`call` in one program on JAX, which else compiles each operation by itself.

    For what changes no variable; masks that Keras attaches to outputs are not kept.
    """
    if keras.backend.backend() != "jax":
        return call
    import jax

    return jax.jit(call)


def assert_close(came, expected, **tolerances):
    np.testing.assert_allclose(_array(came), _array(expected), **tolerances)


def assert_equal(came, expected):
    np.testing.assert_array_equal(_array(came), _array(expected))


def _array(x):
    return np.asarray(x if isinstance(x, list) else ops.convert_to_numpy(x))
