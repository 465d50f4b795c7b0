import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.layers import MemberAdapter

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def test_each_member_scales_the_features_in_its_own_way():
    layer = MemberAdapter(3)
    outputs = layer(X)
    scale = ops.convert_to_numpy(layer.scale)
    expected = np.stack([X * scale[member] for member in range(3)], axis=1)
    assert_close(outputs, expected, rtol=1e-6)
    assert layer.compute_output_shape((None, 5)) == (None, 3, 5)
    assert len(np.unique(scale)) == 15


def test_scales_start_equal_within_a_group_and_trained_apart():
    layer = MemberAdapter(4, groups=[2, 1, 2])
    layer.build((None, 5))
    scale = ops.convert_to_numpy(layer.scale)
    assert (scale[:, 0] == scale[:, 1]).all() and (scale[:, 3] == scale[:, 4]).all()
    assert len(np.unique(scale)) == 4 * 3
    assert layer.count_params() == 4 * 5


def test_scales_start_as_standard_normal_draws():
    layer = MemberAdapter(50)
    layer.build((None, 200))
    scale = ops.convert_to_numpy(layer.scale)
    assert scale.mean() == pytest.approx(0, abs=0.03)
    assert scale.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("shape", [(None, None), (None, 5, 3)])
def test_refuses_inputs_that_are_no_features(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, features\), features known"):
        MemberAdapter(2).build(shape)


def test_refuses_groups_that_leave_features_over():
    with pytest.raises(ValueError, match=r"sum to the 5 features.*groups=\[2, 2\]"):
        MemberAdapter(2, groups=[2, 2])(X)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"members": 0}, "`members` is the number of members .* at least 1"),
        ({"members": 2, "groups": [2, 0]}, r"`groups\[1\]` .* start alike .* 1"),
        ({"members": 2, "groups": 5}, "`groups` gives .* groups=5"),
        ({"members": 2, "groups": []}, r"`groups` gives .* groups=\[\]"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        MemberAdapter(**arguments)
