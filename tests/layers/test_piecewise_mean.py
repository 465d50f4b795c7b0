import numpy as np
import pytest
from comparing import assert_close, assert_equal

from keras_trainkit.layers import PiecewiseMean

ROWS = np.array(
    [
        [5, 7, 1, 3, 0, 0],  # padding after
        [0, 0, 5, 7, 1, 3],  # padding before
        [5, 0, 7, 1, 0, 3],  # holes
        [5, 7, 3, 0, 0, 0],  # a cut through a step
        [5, 0, 0, 0, 0, 0],  # shorter than its parts
        [0, 0, 0, 0, 0, 0],  # nothing
    ]
)
# 17/3 = (5 + 7/2) / 1.5 and 13/3 = (7/2 + 3) / 1.5.
MEANS = [[6, 2], [6, 2], [6, 2], [17 / 3, 13 / 3], [5, 5], [0, 0]]


def test_each_part_of_the_valid_steps_is_averaged():
    x = np.stack([ROWS, ROWS * 10], axis=-1).astype("float32")
    x[ROWS == 0] = np.nan
    means = PiecewiseMean(2)(x, mask=ROWS != 0)
    assert_close(means[..., 0], MEANS, atol=1e-6)
    assert_close(means[..., 1], np.array(MEANS) * 10, atol=1e-5)


@pytest.mark.parametrize(("time", "segments"), [(12, 4), (12, 12), (12, 1), (12, 24)])
def test_without_a_mask_every_step_is_valid(time, segments):
    x = np.random.default_rng(0).normal(size=(3, time, 2)).astype("float32")
    fine = np.repeat(x, segments, axis=1)  # in which no cut goes through a step
    expected = fine.reshape(3, segments, time, 2).mean(axis=2)
    assert_close(PiecewiseMean(segments)(x), expected, atol=1e-6)


@pytest.mark.parametrize(("rows", "time"), [(0, 4), (2, 0)])
def test_no_rows_and_no_steps_give_zeros(rows, time):
    x, mask = np.ones((rows, time, 2)), np.ones((rows, time), bool)
    assert_equal(PiecewiseMean(3)(x, mask=mask), np.zeros((rows, 3, 2)))


def test_segments_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"number of parts of a sequence.*segments=0"):
        PiecewiseMean(0)
