"""Layers that multiply read integers and bools as the floats they are equal to."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit import layers

WHOLE = np.arange(60).reshape(4, 5, 3) % 4
CASES = {
    "additive": lambda: layers.AttentionPooling(),
    "multiplicative": lambda: layers.AttentionPooling("multiplicative"),
    "dot": lambda: layers.AttentionPooling("dot"),
    "learned query": lambda: layers.AttentionPooling(query="learned"),
    "windows": lambda: layers.MultiScale(),
    "largest of windows": lambda: layers.MultiScale(method="max"),
    "convolution": lambda: layers.MaskedConv1D(2, 3),
    "mean of steps": lambda: layers.SequenceMean(),
    "last steps": lambda: layers.LastSteps(7),
    "means of parts": lambda: layers.PiecewiseMean(2),
    "recurrent": lambda: layers.VariationalLSTM(2),
    "swish": lambda: layers.LearnableSwish(),
    "members": lambda: layers.MemberDense(2),
    "mean of logits": lambda: layers.MemberMean("logits"),
    "mean of binary logits": lambda: layers.MemberMean("binary_logits"),
}


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("case", CASES)
def test_whole_numbers_are_read_as_floats(case, dtype):
    layer, x = CASES[case](), WHOLE.astype(dtype)
    expected = ops.convert_to_numpy(layer(x.astype("float32")))
    for sent in (x, ops.convert_to_tensor(x)):
        found = ops.convert_to_numpy(layer(sent))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    inputs = keras.Input((5, 3), dtype=dtype)
    assert layer(inputs).dtype == "float32"


def test_members_of_bools_differ():
    adapter = layers.MemberAdapter(2)
    x = WHOLE[:, 0].astype("bool")
    expected = ops.convert_to_numpy(adapter(x.astype("float32")))
    np.testing.assert_array_equal(ops.convert_to_numpy(adapter(x)), expected)


def test_a_query_of_whole_numbers_is_read_as_floats():
    layer = layers.AttentionPooling()
    query = WHOLE[:, 1]
    expected = ops.convert_to_numpy(layer([WHOLE * 1.0, query * 1.0]))
    found = ops.convert_to_numpy(layer([WHOLE, query]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
