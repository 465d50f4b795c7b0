import numpy as np

from keras_trainkit._statistics import Extremes, Moments

ROWS = np.array([[1.0, 50.0], [3.0, np.nan], [8.0, 90.0]])


def test_mean_and_deviation_by_hand_with_a_missing_value():
    moments = Moments()
    moments.update(ROWS)
    np.testing.assert_array_equal(moments.count, [3, 2])
    np.testing.assert_allclose(moments.mean, [4, 70])
    np.testing.assert_allclose(moments.deviation, [np.sqrt(26 / 3), 20])


def test_merged_parts_equal_the_whole():
    left, right, whole = Moments(), Moments(), Moments()
    left.update(ROWS[:1])
    right.update(ROWS[1:])
    left.merge(right)
    whole.update(ROWS)
    np.testing.assert_allclose(left.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(left.squares, whole.squares, rtol=1e-14)


def test_merging_with_one_that_has_seen_nothing_changes_nothing():
    moments = Moments()
    moments.update(ROWS)
    moments.merge(Moments())
    np.testing.assert_allclose(moments.mean, [4, 70])


def test_a_small_spread_on_a_large_offset_keeps_its_digits():
    offsets = np.array([-5.0, -1.0, 2.0, 4.0])  # mean 0, squares 46
    moments = Moments()
    for offset in offsets:
        moments.update(np.array([[1e8 + offset]]))
    np.testing.assert_allclose(moments.squares, [46], rtol=1e-7)


def test_extremes_skip_missing_values_and_merge():
    left, right = Extremes(), Extremes()
    left.update(ROWS[:2])
    right.update(ROWS[2:])
    left.merge(right)
    np.testing.assert_array_equal(left.lowest, [1, 50])
    np.testing.assert_array_equal(left.highest, [8, 90])
