"""Values and arrays come back from their two files as they were given."""

import ml_dtypes
import numpy as np
import pytest
from keras import ops

from keras_trainkit._train_state import state_file

VALUES = {
    "bool": np.array([True, False]),
    "none of them": np.zeros((0, 3), "float32"),
    "one": np.array(7, "int64"),
    "bfloat16": np.array([1.5, -2.0], ml_dtypes.bfloat16),
    "every second": np.arange(8, dtype="uint16")[::2],
    "turned": np.arange(6, dtype="float64").reshape(2, 3).T,
}


def read(folder, values, buffers=None):
    state_file.write(folder, state_file.packed(values, buffers))
    return state_file.read(folder)


def assert_same(found, given):
    assert list(found) == list(given)
    for name, array in given.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_arrays_of_all_kinds_come_back(tmp_path):
    assert_same(read(tmp_path, VALUES), VALUES)


def test_tensors_come_back_as_arrays(tmp_path):
    tensor = ops.convert_to_tensor([[1.0, 2.0]], dtype="float32")
    found = read(tmp_path, {"tensor": tensor})
    assert_same(found, {"tensor": np.array([[1, 2]], "float32")})


@pytest.mark.parametrize("change", [{}, {"one": np.arange(5)}, {"more": np.ones(3)}])
def test_buffers_of_a_call_before_change_nothing(tmp_path, change):
    buffers = []
    state_file.packed({k: np.ones_like(a) for k, a in VALUES.items()}, buffers)
    kept = list(buffers)
    values = {**VALUES, **change}
    assert_same(read(tmp_path, values, buffers), values)
    assert [any(one is a for a in kept) for one in buffers].count(False) == len(change)


def test_fewer_arrays_than_before_leave_none_of_them_behind(tmp_path):
    buffers = []
    state_file.packed(VALUES, buffers)
    values = {"bool": np.array([False, True])}
    assert_same(read(tmp_path, values, buffers), values)
