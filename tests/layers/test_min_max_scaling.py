import numpy as np
import pytest

from keras_trainkit.layers import MinMaxScaling

TRAIN = np.array([[2.0, -40.0], [12.0, 60.0]])
LATER = np.array([[-3.0, 10.0], [7.0, 160.0], [np.nan, np.inf]])


def adapted(**kwargs):
    scaling = MinMaxScaling(**kwargs)
    scaling.adapt(TRAIN)
    return scaling


@pytest.mark.parametrize(
    ("outside", "expected"),
    [
        ("clip", [[-1, 0.5], [0.5, 2], [np.nan, 2]]),
        ("extend", [[-2.5, 0.5], [0.5, 5], [np.nan, np.inf]]),
    ],
)
def test_values_inside_and_outside_the_training_data(outside, expected):
    scaling = adapted(range=(-1, 2), outside=outside)
    np.testing.assert_allclose(scaling(LATER), expected, rtol=1e-6)


def test_the_ends_are_met_exactly():
    np.testing.assert_array_equal(adapted()(TRAIN), [[0, 0], [1, 1]])


def test_what_was_cut_off_comes_back_as_the_nearer_end():
    scaling = adapted(outside="clip")
    back = scaling.inverse(scaling(LATER[:2]))
    np.testing.assert_allclose(back, [[2, 10], [7, 60]], rtol=1e-6)


def test_inverse_goes_on_in_a_straight_line():
    back = adapted(range=(0, 10)).inverse(np.array([[20.0, -5.0]]))
    np.testing.assert_allclose(back, [[22, -90]], rtol=1e-6)


@pytest.mark.parametrize(
    ("ends", "expected"), [((0, 1), 0), ((-1, 2), 0), ((3, 5), 3), ((-5, -3), -3)]
)
def test_a_constant_gives_the_number_of_the_range_nearest_to_zero(ends, expected):
    scaling = MinMaxScaling(range=ends)
    scaling.adapt(np.full((4, 1), 9.0))
    np.testing.assert_array_equal(scaling(np.array([[9.0], [10.0]])), [[expected]] * 2)


@pytest.mark.parametrize(
    "ends", [(1, 1), (2, 1), (0,), 5, (0, np.inf), (np.nan, 1), (False, 1), ("a", "b")]
)
def test_rejects_a_range_that_is_none(ends):
    with pytest.raises(ValueError, match=r"`range.* mapped to and must be a"):
        MinMaxScaling(range=ends)


def test_rejects_an_unknown_word_for_outside():
    with pytest.raises(ValueError, match="one of 'clip', 'extend'. Received: outside"):
        MinMaxScaling(outside="keep")
