import numpy as np
import pytest

from keras_trainkit._statistics import Quantiles

SHARES = [0.0, 0.1, 0.25, 0.5, 0.75, 1.0]


def gathered(values, limit, portion):
    quantiles = Quantiles(limit)
    for start in range(0, len(values), portion):
        quantiles.update(values[start : start + portion, None])
        quantiles.rank_error  # noqa: B018 (reading it splits what is pending)
    return quantiles


def worst_rank_error(quantiles, values):
    """Distance from the share asked for to the ranks the answer really has."""
    shares = np.linspace(0.01, 0.99, 33)
    answers, ordered = quantiles.quantile(shares)[:, 0], np.sort(values)
    low = np.searchsorted(ordered, answers, side="left") / len(values)
    high = np.searchsorted(ordered, answers, side="right") / len(values)
    return np.maximum(low - shares, shares - high).max()


def test_equal_numpy_up_to_the_limit():
    rows = np.random.default_rng(0).normal(size=(100, 3))
    rows[::7, 1] = np.nan
    quantiles = Quantiles(limit=100)
    quantiles.update(rows[:30])
    quantiles.update(rows[30:])
    expected = np.nanquantile(rows, SHARES, axis=0)
    np.testing.assert_allclose(quantiles.quantile(SHARES), expected, rtol=1e-14)
    np.testing.assert_array_equal(quantiles.rank_error, [0, 0, 0])
    assert [counts.sum() for _, counts in quantiles.distinct()] == [100, 85, 100]


def test_distinct_values_are_counted():
    quantiles = Quantiles(limit=100)
    quantiles.update(np.array([[3.0, 0.5], [-1.0, 0.5], [3.0, np.nan]]))
    (values, counts), (other, times) = quantiles.distinct()
    assert values.tolist() == [-1, 3] and counts.tolist() == [1, 2]
    assert other.tolist() == [0.5] and times.tolist() == [2]


def test_distinct_values_stand_for_all_rows_beyond_the_limit():
    values = np.random.default_rng(0).integers(0, 5, 60_000).astype("float64")
    ((kept, counts),) = gathered(values, limit=600, portion=77).distinct()
    assert kept.tolist() == [0, 1, 2, 3, 4] and counts.sum() == 60_000
    expected = np.bincount(values.astype("int64"))
    np.testing.assert_allclose(counts, expected, rtol=0.05)


@pytest.mark.parametrize("order", ["random", "rising", "falling", "from both ends"])
def test_ranks_beyond_the_limit_are_within_the_stated_error(order):
    values = np.random.default_rng(0).lognormal(size=60_000)
    if order != "random":
        values.sort()
    if order == "falling":
        values = values[::-1]
    if order == "from both ends":
        values = np.stack([values[:30_000], values[:29_999:-1]], axis=1).ravel()
    quantiles = gathered(values, limit=600, portion=77)
    one_rank = 1 / len(values)
    stated = quantiles.rank_error[0]
    assert worst_rank_error(quantiles, values) <= stated + one_rank
    assert stated < 100 / 600


def test_stated_error_for_a_thousand_times_the_limit():
    values = np.random.default_rng(0).normal(size=200_000)
    assert gathered(values, limit=200, portion=150).rank_error[0] * 200 < 100


def test_memory_stays_at_the_limit():
    quantiles = gathered(np.arange(20_000.0), limit=100, portion=500)
    assert sum(map(len, quantiles._columns[0].levels)) <= 100
    assert quantiles.distinct()[0][1].sum() == 20_000


def test_merged_parts_equal_numpy_within_the_limit():
    rows = np.random.default_rng(1).normal(size=(90, 2))
    left, right = Quantiles(limit=100), Quantiles(limit=100)
    left.update(rows[:20])
    right.update(rows[20:])
    left.merge(right)
    np.testing.assert_allclose(
        left.quantile(SHARES), np.quantile(rows, SHARES, axis=0), rtol=1e-14
    )


def test_merged_parts_beyond_the_limit_keep_count_and_stated_error():
    values = np.random.default_rng(2).normal(size=30_000)
    left = gathered(values[:9_000], limit=500, portion=300)
    left.merge(gathered(values[9_000:], limit=500, portion=300))
    assert left.distinct()[0][1].sum() == 30_000
    assert worst_rank_error(left, values) <= left.rank_error[0] + 1 / 30_000


def test_a_feature_without_a_value_gives_nan():
    quantiles = Quantiles()
    quantiles.update(np.array([[np.nan, 4.0]]))
    np.testing.assert_array_equal(quantiles.quantile(0.5), [np.nan, 4])


def test_rejects_a_share_beyond_one():
    with pytest.raises(ValueError, match="`q` is a share .* Received: q=1.5"):
        Quantiles().quantile(1.5)


def test_rejects_a_limit_too_small_to_halve():
    with pytest.raises(ValueError, match="`limit` is the number of values kept"):
        Quantiles(limit=3)


def test_a_median_between_the_ends_of_float64_is_finite():
    quantiles = Quantiles(64)
    quantiles.update(np.array([[-1.7e308], [1.7e308]]))
    assert quantiles.quantile(0.5) == [0.0]
