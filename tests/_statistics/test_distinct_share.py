"""Share of different values, counted where they are few and estimated beyond."""

import numpy as np
import pytest

from keras_trainkit._statistics import DistinctShare


def share_of(*portions):
    distinct = DistinctShare()
    for values in portions:
        distinct.update(np.asarray(values, "float64"))
    return distinct.share


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5, 5, 5, 5], 0.25),
        ([1, 2, 3, 1], 0.75),
        (range(1000), 1.0),
        ([0.0, -0.0], 0.5),  # equal numbers
        ([], 0.0),
    ],
)
def test_few_different_values_are_counted(values, expected):
    assert share_of(values) == expected


def test_portions_do_not_matter():
    values = np.random.default_rng(3).integers(0, 3000, 20_000)
    assert share_of(values) == share_of(*np.array_split(values, 7))


@pytest.mark.parametrize(("different", "rows"), [(5000, 50_000), (40_000, 40_000)])
def test_many_different_values_are_estimated(different, rows):
    values = np.random.default_rng(3).permutation(np.arange(rows) % different)
    assert share_of(values) == pytest.approx(different / rows, rel=0.1)
