import numpy as np
import pytest

from keras_trainkit.layers import RobustScaling

TRAIN = np.array([[1.0], [2.0], [3.0], [5.0], [1000.0]])  # quartiles 2, 3, 5


def adapted(data=TRAIN, **kwargs):
    scaling = RobustScaling(**kwargs)
    scaling.adapt(data)
    return scaling


def test_median_and_quartiles_by_hand():
    outputs = adapted(clip=None)(np.array([[3.0], [6.0], [-3.0]]))
    np.testing.assert_allclose(outputs, [[0], [1], [-2]], rtol=1e-6)


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        (0.0, 0.0),
        (1.5, 1.2),  # 1.5 / sqrt(1 + 0.75^2) = 1.5 / 1.25
        (-2.0, -2 / np.sqrt(2)),  # at the bound: bound / sqrt(2)
        (1e30, 2.0),
        (-np.inf, -2.0),
    ],
)
def test_smooth_clip_of_two(z, expected):
    outputs = adapted(clip=2.0)(np.array([[3 + 3 * z]]))
    np.testing.assert_allclose(outputs, [[expected]], rtol=1e-6)


def test_equal_quartiles_fall_back_to_the_range():
    mostly_seven = np.array([[7.0]] * 9 + [[27.0]])
    outputs = adapted(mostly_seven, clip=None)(np.array([[7.0], [17.0]]))
    np.testing.assert_allclose(outputs, [[0], [0.5]], rtol=1e-6)


def test_inverse_undoes_the_bend():
    values = np.array([[-40.0], [2.5], [90.0]])  # z up to 29
    scaling = adapted()
    np.testing.assert_allclose(scaling.inverse(scaling(values)), values, rtol=1e-4)


def test_the_bound_itself_comes_from_infinity():
    back = adapted(clip=2.0).inverse(np.array([[2.0], [-2.0], [2.5]]))
    np.testing.assert_array_equal(back, [[np.inf], [-np.inf], [np.inf]])


@pytest.mark.parametrize("clip", [0, -3.0, np.inf, True, "3"])
def test_rejects_a_bound_that_is_none(clip):
    with pytest.raises(ValueError, match="bound that outputs approach .* above 0"):
        RobustScaling(clip=clip)
