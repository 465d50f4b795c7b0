"""NumPy's comparisons for tensors of any backend, with or without gradients."""

import numpy as np
from keras import ops


def assert_close(came, expected, **tolerances):
    np.testing.assert_allclose(_array(came), _array(expected), **tolerances)


def assert_equal(came, expected):
    np.testing.assert_array_equal(_array(came), _array(expected))


def _array(x):
    return np.asarray(x if isinstance(x, list) else ops.convert_to_numpy(x))
