import numpy as np

from keras_trainkit._statistics import Extremes, Moments

ROWS = np.array([[1.0, 50.0], [3.0, np.nan], [8.0, 90.0]])


def test_mean_and_deviation_by_hand_with_a_missing_value():
    moments = Moments()
    moments.update(ROWS)
    np.testing.assert_array_equal(moments.count, [3, 2])
    np.testing.assert_allclose(moments.mean, [4, 70])
    np.testing.assert_allclose(moments.deviation, [np.sqrt(26 / 3), 20])


def test_portions_equal_the_whole():
    parts, whole = Moments(), Moments()
    parts.update(ROWS[:1])
    parts.update(ROWS[1:])
    whole.update(ROWS)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(parts.squares, whole.squares, rtol=1e-14)


def test_a_portion_without_rows_changes_nothing():
    moments = Moments()
    moments.update(ROWS)
    moments.update(ROWS[:0])
    np.testing.assert_allclose(moments.mean, [4, 70])


def test_a_small_spread_on_a_large_offset_keeps_its_digits():
    offsets = np.array([-5.0, -1.0, 2.0, 4.0])  # mean 0, squares 46
    moments = Moments()
    for offset in offsets:
        moments.update(np.array([[1e8 + offset]]))
    np.testing.assert_allclose(moments.squares, [46], rtol=1e-7)


def test_extremes_skip_missing_values():
    extremes = Extremes()
    extremes.update(ROWS[:2])
    extremes.update(ROWS[2:])
    np.testing.assert_array_equal(extremes.lowest, [1, 50])
    np.testing.assert_array_equal(extremes.highest, [8, 90])
