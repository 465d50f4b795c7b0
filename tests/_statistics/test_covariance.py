import numpy as np

from keras_trainkit._statistics import Covariance

ROWS = 1e8 + np.random.default_rng(0).normal(size=(40, 3)) @ [
    [4, 1, 0],
    [0, 2, 0],
    [0, 0, 7.0],
]


def of(*blocks):
    covariance = Covariance()
    for rows in blocks:
        covariance.update(rows)
    return covariance


def test_equals_numpy_on_a_large_offset():
    covariance = of(ROWS[:7], ROWS[7:])
    np.testing.assert_allclose(covariance.mean - 1e8, (ROWS - 1e8).mean(0), atol=1e-7)
    expected = np.cov(ROWS - 1e8, rowvar=False)
    np.testing.assert_allclose(covariance.products / 39, expected, rtol=1e-6, atol=1e-6)


def test_portions_equal_the_whole():
    parts, whole = of(ROWS[:9], ROWS[9:], ROWS[:0]), of(ROWS)
    assert parts.count == 40
    np.testing.assert_allclose(parts.products, whole.products, rtol=1e-7, atol=1e-6)


def test_a_row_with_a_missing_value_is_left_out():
    holes = np.concatenate([ROWS, [[np.nan, 1e8, 1e8]]])
    assert of(holes).count == 40
    np.testing.assert_array_equal(of(holes).products, of(ROWS).products)
