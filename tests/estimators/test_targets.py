"""Targets keep their type; what is no target is refused in three parts."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.exceptions import DataConversionWarning

from keras_trainkit.estimators._targets import (
    check_resolution,
    read_classes,
    read_numbers,
    read_target,
    read_weights,
    relative_weights,
    weights_of_classes,
)

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (pd.Series(["b", "a", "b"], dtype="category"), ["a", "b"]),
        (pa.chunked_array([["b", "a", "b"]]), ["a", "b"]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.record_batch({"y": [3, -1, 3]})["y"], [-1, 3]),
        ([3, -1, 3], [-1, 3]),
        (pd.array([3, -1, 3], dtype="Int64"), [-1, 3]),
        (np.array([3, -1, 3], dtype=object), [-1, 3]),
        (np.array([3, -1, 3], ">i8"), [-1, 3]),
        (np.array(["b", "a", "b"], np.dtypes.StringDType()), ["a", "b"]),
        ([True, False, True], [False, True]),
        ([2.0, 0.0, 2.0], [0.0, 2.0]),
    ],
)
def test_classes_are_sorted_and_keep_their_type(y, classes):
    found, codes = read_classes(read_target(y, 3, "X"))
    assert found.tolist() == classes
    assert [type(name) for name in found.tolist()] == [type(c) for c in classes]
    assert codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize("names", [["a", "a"], [0, 0], [("a", 1), ("a", 2)]])
def test_names_of_several_outputs_do_not_matter(names):
    rows = [[1.0, 2.0], [3.0, 5.0], [4.0, 7.0]]
    assert read_target(pd.DataFrame(rows, columns=names), 3, "X").tolist() == rows


@pytest.mark.parametrize(
    "y",
    [
        pa.chunked_array([pa.array(["b", "a", None]).dictionary_encode()]),
        pa.table({"y": pa.array(["b", "a", None]).dictionary_encode()}),
    ],
)
def test_a_null_of_arrows_dictionary_is_missing(y):
    with pytest.raises(ValueError, match="must miss none .*Received: 1 missing"):
        read_target(y, 3, "X")


def test_targets_that_have_not_been_read_are_refused():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="`y` .*collect.*Received: LazyFrame"):
        read_target(polars.DataFrame({"y": [1, 2, 3]}).lazy(), 3, "X")


def test_integers_of_128_bits_are_integers():
    polars = pytest.importorskip("polars")
    y = polars.Series([3, -1, 3], dtype=polars.Int128)
    assert read_target(y, 3, "X").tolist() == [3, -1, 3]


def test_a_column_of_classes_is_read_with_scikit_learns_warning():
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        assert read_classes(np.array([[1], [2]]))[1].tolist() == [0, 1]


def test_classes_that_only_their_spelling_tells_apart_are_told():
    y = np.array(["yes", "no", "yes", "Yes", "no ", "no"], object)
    with pytest.warns(
        UserWarning,
        match="`y` takes 'yes' and 'Yes' .and 1 more. for different classes",
    ):
        classes, codes = read_classes(read_target(y, 6, "X"))
    assert classes.tolist() == ["Yes", "no", "no ", "yes"]
    assert codes.tolist() == [3, 1, 3, 0, 2, 1]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (["a", float("nan"), "b"], "must miss none.*Received: 1 missing"),
        ([1, "a", 1], "of one type. Received: y with .* int, str"),
        ([0.5, 1.0, 2.0], "continuous numbers"),
        ([0.0, np.inf, 2.0], "infinite"),
        ([1, 1, 1], "two classes or more. Received: one class, 1"),
        (np.array([1, "a", 1], object), "of one type. Received: y with .* int, str"),
        (np.zeros((3, 2)), r"a class for each row.*\(3, 2\)"),
        (np.array(["2020", "2021", "2020"], "datetime64[D]"), "values of date"),
        (np.array([2**63, 1, 1], "uint64"), f"of 64 bits .*texts.*Received: {2**63}"),
        ([2**70, 1, -(2**70)], f"of 64 bits .*Received: -{2**70} and 1 more"),
        (["a", "b\ud800", "a"], r"texts of whole characters.*Received: 'b.ud800'"),
    ],
)
def test_what_names_no_classes_is_refused(y, words):
    with pytest.raises(ValueError, match=f"^`y` is what .*{words}"):
        read_classes(read_target(y, 3, "X"))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (None, "this X estimator requires y to be passed, but the target y is None"),
        ([1, 2], r"for each of the 3 rows .*\(2,\)"),
        ([1.0, np.nan, 2.0], "miss none .*1 missing"),
        (["a", None, None], "miss none .*2 missing"),
        (pd.array([1, None, 2], dtype="Int64"), "miss none .*1 missing"),
    ],
)
def test_a_target_that_is_missing_is_refused(y, words):
    with pytest.raises(ValueError, match=f"^`y` is what .*{words}"):
        read_target(y, 3, "X")


@pytest.mark.parametrize("name", ["nan", "", " ", "<NA>", "?", "NaT"])
def test_classes_that_stand_for_missing_values_are_told(name):
    with pytest.warns(UserWarning, match=f"^`y` has the class {re.escape(repr(name))}"):
        classes, _ = read_classes(np.array(["a", name, "a"]))
    assert sorted(classes) == sorted(["a", name])


def test_a_class_of_none_is_no_missing_value():
    classes, _ = read_classes(np.array(["none", "mild", "None of these"]))
    assert len(classes) == 3


def test_numbers_have_an_axis_of_outputs():
    assert read_numbers(np.array([1, 2])).tolist() == [[1.0], [2.0]]
    assert read_numbers(np.array([[1, 2]])).tolist() == [[1.0, 2.0]]


def test_decimals_are_numbers():
    y = np.array([Decimal("1.5"), 2], object)
    assert read_numbers(y).tolist() == [[1.5], [2.0]]


@pytest.mark.parametrize(
    "y", [["a", "b"], ["1", "2"], [1.0, np.inf], [1e39, 0.0], [10**400, 1]]
)
def test_what_is_no_finite_number_is_refused(y):
    with pytest.raises(ValueError, match="^`y` .*finite numbers"):
        read_numbers(np.array(y))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, 2], r"3 finite numbers .*\(2,\)"),
        ([1, -0.5, 2], "Received: the lowest -0.5"),
        ([1, np.nan, 2], "finite numbers"),
        ([0, 0, 0], "weights that are all zero"),
        ("abc", "Received: 'abc'"),
        ([1, 10**400, 2], "3 finite numbers .*Received: 1 NaN or infinite"),
        (["1", "2", "3"], r"3 finite numbers .*Received: \['1', '2', '3'\]"),
        (np.ones(3, "M8[s]"), r"3 finite numbers .*Received: array"),
        (np.ones(3) + 1j, r"3 finite numbers .*1\.\+1\.j"),
        ([1e-300, 1, 2], "at least 1e-30 of the largest.*Received: 1e-300 beside 2"),
        ([1e-180, 0, 1e180], "at least 1e-30 .*Received: 1e-180 beside 1e\\+180"),
    ],
)
def test_weights_that_do_not_count_are_refused(weights, words):
    with pytest.raises(ValueError, match=f"^`sample_weight` says .*{words}"):
        read_weights(weights, 3)


@pytest.mark.parametrize("unit", [1.0, 1e308, 1e-310, 5e-324])
def test_the_ratios_of_weights_stay_in_any_unit(unit):
    """None of them, and no sum of them, is infinite or 0 behind it."""
    weights = read_weights(np.array([unit, 0, unit]), 3)
    assert 0.5 <= weights[0] <= 1
    assert weights.tolist() == [weights[0], 0, weights[0]]


def test_numbers_of_any_type_weigh_rows():
    assert read_weights([Decimal("0.5"), 1, np.float32(0.25)], 3).tolist() == [
        0.25,
        0.5,
        0.125,
    ]


def test_weights_of_classes_that_float32_loses_are_refused():
    given = {"a": 1e-20, "b": 1e20}
    with pytest.raises(ValueError, match="^`class_weight` .*1e-20 beside 1e"):
        weights_of_classes(given, np.array(["a", "b"]), np.array([0, 1]))


def test_weights_of_rows_times_those_of_classes_may_be_large():
    weights = np.array([0.5, 0.5, 1.0]) * np.array([1e308, 1e308, 1e300])
    found = relative_weights(weights, np.arange(3))
    np.testing.assert_allclose(found, [1.5, 1.5, 3e-8], rtol=1e-6)


def test_weights_far_from_the_mean_of_the_training_rows_are_refused():
    for weights in ([1.0, 1.0, 1e-40], [1.0, 1e-40, 1e-40]):
        with pytest.raises(ValueError, match="times that of its class, or from 1e-30"):
            relative_weights(np.array(weights), np.array([1, 2]))


def test_balanced_classes_weigh_the_same_in_all():
    codes = np.array([0, 0, 0, 1])
    weights = weights_of_classes("balanced", np.array(["a", "b"]), codes)
    assert weights.tolist() == [4 / 2 / 3, 4 / 2 / 1]
    assert weights[codes].sum() == 4


def test_classes_that_a_dict_leaves_out_weigh_one():
    weights = weights_of_classes({"b": 3}, np.array(["a", "b"]), np.array([0, 1]))
    assert weights.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"c": 1}, r"classes of \['a', 'b'\]. Received: \['c'\]"),
        ({"a": -1}, "Received: -1 for 'a'"),
        ("equal", "Received: class_weight='equal'"),
    ],
)
def test_class_weights_that_name_no_class_are_refused(given, words):
    with pytest.raises(ValueError, match=f"^`class_weight` says .*{words}"):
        weights_of_classes(given, np.array(["a", "b"]), np.array([0, 1]))


def test_the_unit_of_weights_does_not_matter():
    weights, training = np.array([2.0, 0.0, 4.0, 9.0]), np.array([0, 2])
    expected = [2 / 3, 0, 4 / 3, 3]
    np.testing.assert_allclose(relative_weights(weights, training), expected)
    np.testing.assert_allclose(relative_weights(weights / 1e6, training), expected)


def test_training_rows_of_no_weight_are_refused():
    with pytest.raises(ValueError, match="^`sample_weight` .*0 in all training rows"):
        relative_weights(np.array([0.0, 1.0]), np.array([0]))


def test_a_frame_of_integers_of_128_bits_is_a_target():
    polars = pytest.importorskip("polars")
    y = polars.Series([5, 2**100, 7], dtype=polars.Int128)
    frame = polars.DataFrame({"y": y})
    assert read_target(frame, 3, "X").tolist() == [[5], [2**100], [7]]


def test_integers_that_floats_would_merge_stay_apart():
    y = read_target([2**63, 2**63 + 1, 5], 3, "X")
    assert len(set(y.tolist())) == 3


def test_texts_with_nul_are_no_classes():
    with pytest.raises(ValueError, match="without NUL"):
        read_target(np.array(["x\0", "x", "y"], object), 3, "X")


@pytest.mark.parametrize("unit", [1e-38, 1e-39, 1e-60, 1e-200, 1e-320])
@pytest.mark.parametrize("numbers", [[-3, 2, 4], [3, 3, 3]])
def test_targets_that_are_all_but_0_in_float32_are_refused(unit, numbers):
    small = np.array(numbers)[:, None] * unit
    with pytest.raises(ValueError, match="`y` .*reach further than 1e-35.*smaller"):
        check_resolution(small)
    with pytest.raises(ValueError, match=f"numbers from {small.min():.3g} to"):
        check_resolution(np.hstack([np.array([[1.0], [2.0], [3.0]]), small]))
    check_resolution(small / unit * 1e-34)
    check_resolution(np.zeros((3, 1)))


def test_targets_that_differ_less_than_float32_shows_are_refused():
    """1e9 + 1 is 1e9 in float32, whose steps are of 64 there."""
    spread = np.array([[0.0], [1.0], [2.0]])
    with pytest.raises(ValueError, match="`y` .*float32.*0.816 beside 1e"):
        check_resolution(1e9 + spread)
    check_resolution(1e9 + 1e5 * spread)
    check_resolution(np.full((3, 1), 1e9))


def test_integers_beyond_float64_that_differ_by_little_are_refused():
    """2^60 and 2^60 + 1 are one number as floats, of which no spread is left."""
    y = np.array([[2**60], [2**60 + 1], [2**60 + 2]])
    with pytest.raises(ValueError, match="`y` .*float32.*0 beside 1.15e"):
        check_resolution(y)


def test_a_constant_target_is_not_lost_by_the_rounding_of_its_mean():
    assert np.full(1000, 0.1).std() > 0
    check_resolution(np.full((1000, 1), 0.1))


def masked(values, rows=(1,)):
    mask = np.zeros(len(values), bool)
    mask[list(rows)] = True
    return np.ma.array(values, mask=mask)


@pytest.mark.parametrize(
    "values",
    [
        [1.5, -99.0, 2.5],
        [0, -9, 1],
        ["a", "?", "b"],
        [True, False, True],
        np.array(["2020", "1900", "2021"], "datetime64[Y]"),
    ],
)
def test_a_masked_target_is_missing(values):
    with pytest.raises(ValueError, match="^`y` .*must miss none.*Received: 1 missing"):
        read_target(masked(values), 3, "X")
    rows = list(masked(values))  # the constant `np.ma.masked` among values
    with pytest.raises(ValueError, match="^`y` .*must miss none.*Received: 1 missing"):
        read_target(rows, 3, "X")


def test_masked_rows_of_targets_are_missing():
    rows = [np.ma.array([1.0, 2.0], mask=[0, 1]), np.ma.array([3.0, 4.0])]
    with pytest.raises(ValueError, match="must miss none.*Received: 1 missing"):
        read_target(rows, 2, "X")


def test_masks_that_hide_nothing_change_nothing():
    y = read_target(np.ma.array([3, 1, 2]), 3, "X")
    assert (type(y), y.tolist(), y.dtype.kind) == (np.ndarray, [3, 1, 2], "i")


@pytest.mark.parametrize("weights", [[1.0, 5.0, 1.0], [1, 5, 1]])
def test_a_masked_weight_is_refused_as_nan_is(weights):
    with pytest.raises(ValueError, match="^`sample_weight` .*Received: 1 NaN"):
        read_weights(masked(weights), 3)


@pytest.mark.parametrize("unit", ["ns", "us", "D"])
@pytest.mark.parametrize("kind", ["M8", "m8"])
def test_dates_and_durations_are_no_targets(kind, unit):
    """Those of nanoseconds too, of which NumPy makes integers."""
    y = np.arange(6).astype(f"{kind}[{unit}]")
    with pytest.raises(
        ValueError, match="^`y` .* must be classes: .*values of dates or"
    ):
        read_classes(y)
    with pytest.raises(ValueError, match="^`y` .* must be finite numbers.*of dtype "):
        read_numbers(y)
    with pytest.raises(ValueError, match="^`y` .* must be finite numbers"):
        read_numbers(np.array(list(y), object))
    with pytest.raises(ValueError, match="^`y` .* must be classes"):
        read_classes(np.array(list(y), object))


def test_a_class_of_a_hundred_thousand_letters_is_a_mistake():
    y = np.array(["a" * 100_001, "b"])
    with pytest.raises(ValueError, match="at most 100,000 characters.* of 100,001"):
        read_classes(y)
    assert len(read_classes(np.array(["a" * 100_000, "b"]))[0]) == 2
