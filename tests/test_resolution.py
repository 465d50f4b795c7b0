import numpy as np
import pytest

from keras_trainkit._resolution import (
    Spread,
    changes,
    check_finite,
    check_spread,
    small_features,
    weights_as,
)

pytestmark = pytest.mark.backend_free

FAR = 1e9 + np.array([[0.0, 0.0], [1.0, 1e6], [2.0, 2e6], [5.0, 5e6]])


def spread_of(*portions):
    spread = Spread()
    for portion in portions:
        spread.update(portion)
    return spread


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_differences_that_float32_loses_are_refused_however_rows_are_cut(cut):
    """1e9 + 1 is 1e9 in float32, whose steps are of 64 there; deviation by hand."""
    with pytest.raises(ValueError, match=r"^It must differ.*of 1\.87 beside 1e\+09"):
        spread_of(FAR[:cut], FAR[cut:]).check("It")
    spread_of(FAR[:cut, 1:], FAR[cut:, 1:]).check("It")


def test_rows_that_differ_between_portions_alone_are_seen():
    with pytest.raises(ValueError, match="of 0 beside"):
        spread_of(np.array([[2**60]]), np.array([[2**60 + 1]])).check("It")


def test_whole_numbers_pass_that_float32_tells_apart():
    """Numbers of classes: all up to 2^24 are floats of their own."""
    whole = spread_of(np.array([[10**7], [10**7 + 1]]))
    check_spread(whole, "It", "float32", True)
    with pytest.raises(ValueError, match="^It must differ"):
        check_spread(whole, "It", "float32", False)
    with pytest.raises(ValueError, match="^It must differ"):
        larger = spread_of(np.array([[10**8], [10**8 + 1]]))
        check_spread(larger, "It", "float32", True)


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("numbers", [[-3.0, 2.0, 4.0], [3.0, 3.0, 3.0]])
def test_numbers_that_are_all_but_0_in_float32_are_refused(numbers, cut):
    """Processors take numbers below 1.2e-38, which are not normal, for 0."""
    beside = np.array([[1.0], [2.0], [3.0]])
    for unit in (1e-38, 1e-60, 1e-200, 1e-320):
        rows = np.hstack([beside, np.array(numbers)[:, None] * unit])
        words = f"^It must reach further than 1e-35.* from {rows[:, 1].min():.3g} to"
        with pytest.raises(ValueError, match=words):
            spread_of(rows[:cut], rows[cut:]).check("It")
    rows[:, 1] = np.array(numbers) * 1e-34
    spread_of(rows[:cut], rows[cut:]).check("It")
    rows[:, 1] = 0
    spread_of(rows[:cut], rows[cut:]).check("It")


def test_features_that_are_all_but_0_are_found_whatever_is_missing():
    steps = [
        np.array([[1.0, 1e-60, 1e-60, np.nan, 0.0], [2.0, 2e-60, 1e-60, np.nan, 0]])
    ]
    assert small_features(steps) == [1]
    assert small_features([steps[0] * [1, 1e30, 1, 1, 1]]) == []


def test_float64_keeps_what_float32_loses():
    check_spread(spread_of(FAR), "It", "float64", False)
    check_finite(np.array([1e300]), "It", "float64")


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, -1e300])
def test_numbers_that_become_infinite_are_refused(value):
    with pytest.raises(ValueError, match="^It must be finite. Received: 2 infinite"):
        check_finite(np.array([value, 1.0, value]), "It", "float32")
    check_finite(np.array([np.nan, 3.4e38]), "It", "float32")


def test_weights_that_would_vanish_are_refused():
    with pytest.raises(ValueError, match="^It must be 0, or large.*1 that become 0"):
        weights_as("float32", np.array([0.0, 1e-300, 1.0]), "It")
    assert weights_as("float32", np.array([0, 3]), "It").tolist() == [0, 3]


def test_changes_between_sequences_do_not_count():
    """Both sequences have steps of 1, which float32 loses in the second."""
    wide = np.array([[0.0], [1.0], [2.0], [1e9], [1e9 + 1]])
    found, lost = changes(wide, wide.astype("float32"), [3])
    assert (found.tolist(), lost.tolist()) == ([3], [1])
