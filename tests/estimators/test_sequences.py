"""Sequences of any container are read alike: rank, lengths, gaps, types."""

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_trainkit.estimators import SequenceClassifier
from keras_trainkit.estimators._sequences import PADDING, read_sequences

LONG = [[1, 2], [3, 4], [5, 6]]
SHORT = [[7, 8]]


def of_polars():
    polars = pytest.importorskip("polars")
    return polars.Series([LONG, SHORT])


def of_pyarrow(steps):
    return pa.table(dict(zip("ab", np.transpose(steps), strict=True)))


def of_objects():
    found = np.empty(2, object)
    found[:] = [np.array(LONG), np.array(SHORT, "float16")]
    return found


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "data",
    [
        lambda: [LONG, SHORT],
        lambda: (np.array(LONG, "int8"), np.array(SHORT, "float16")),
        lambda: [pd.DataFrame(LONG), np.array(SHORT, object)],
        lambda: pd.Series([np.array(LONG), np.array(SHORT)], index=[7, 7]),
        of_objects,
        of_polars,
        lambda: pa.array([LONG, SHORT]),
        lambda: pa.chunked_array([[LONG], [SHORT]]),
        lambda: [of_pyarrow(LONG), of_pyarrow(SHORT)],
        lambda: [of_pyarrow(LONG).to_batches()[0], SHORT],
    ],
)
def test_sequences_of_any_container_and_length_are_read(data):
    found = read_sequences(data())
    assert (found.rows, found.channels) == (2, 2)
    assert found.lengths().tolist() == [3, 1]
    assert [steps.tolist() for steps in found.steps] == [LONG, SHORT]
    assert {steps.dtype for steps in found.steps} == {np.dtype("float32")}


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "data",
    [
        lambda: np.array([[1.0, 2], [3, 4]]),
        lambda: [[True, 2], [3, 4]],
        lambda: pd.DataFrame({"a": [1, 3], "b": [2, 4]}),
        lambda: pa.record_batch({"a": [1, 3], "b": [2, 4]}),
        lambda: [pd.Series([1, 2]), np.array([3, 4])],
        lambda: np.array([[1, 2], [3, 4]], object),
    ],
)
def test_rows_of_numbers_have_one_channel(data):
    found = read_sequences(data())
    assert np.stack(found.steps).tolist() == [[[1], [2]], [[3], [4]]]


@pytest.mark.backend_free
def test_tables_that_have_not_read_their_rows_are_refused():
    lazy = pytest.importorskip("polars").DataFrame({"a": [1, 2]}).lazy()
    for data in (lazy, [lazy, lazy]):
        with pytest.raises(ValueError, match="`X` .*collect.*Received: LazyFrame"):
            read_sequences(data)


def test_tensors_are_read():
    tensor = keras.ops.convert_to_tensor(np.ones((2, 3, 4), "float32"))
    assert read_sequences(tensor).steps[1].shape == (3, 4)
    assert read_sequences([tensor[0], tensor[1, :2]]).lengths().tolist() == [3, 2]


def test_tensors_of_another_library_and_of_half_precision_are_read():
    torch = pytest.importorskip("torch")
    kept = torch.tensor([[1.5], [2.0]], requires_grad=True)
    half = torch.tensor([[3.5]], dtype=torch.bfloat16)
    found = read_sequences([kept, half])
    assert [steps.tolist() for steps in found.steps] == [[[1.5], [2.0]], [[3.5]]]
    tensor = keras.ops.cast([[[1.5], [2.0]]], "bfloat16")
    assert read_sequences(tensor).steps[0].tolist() == [[1.5], [2.0]]


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "data",
    [
        lambda: np.array([[[1.0, np.nan]]]),
        lambda: [[[1, None]]],
        lambda: np.array([[[1, pd.NA]]], object),
        lambda: np.ma.MaskedArray([[[1, 2]]], [[[False, True]]]),
        lambda: [np.ma.MaskedArray([[1, 2]], [[False, True]])],
    ],
)
def test_gaps_of_any_kind_are_missing_values(data):
    found = read_sequences(data())
    assert found.has_missing() and found.without_value() == [1]
    np.testing.assert_array_equal(found.steps[0], [[1, np.nan]])


@pytest.mark.backend_free
def test_padding_goes_behind_and_longer_rows_are_cut():
    found = read_sequences([[1, 2, 3], [4]])
    padded = found.cut(2, "end").padded(2)[..., 0]
    assert padded.tolist() == [[2, 3], [4, PADDING]]
    padded = found.cut(2, "start").padded(2)[..., 0]
    assert padded.tolist() == [[1, 2], [4, PADDING]]


NUMBERS = "must hold numbers, NaN where one is missing"


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros(3), r"must be an array \(rows, time, channels\).*shape \(3,\)"),
        (np.zeros((2, 2, 2, 2)), r"shape \(2, 2, 2, 2\)"),
        ([1.0, 2.0], r"must be an array .*X\[0\] of shape \(\)"),
        ([np.zeros((2, 2, 2))], r"X\[0\] of shape \(2, 2, 2\)"),
        (None, "must be an array .*X=None"),
        ({"a": [1]}, "must be an array .*X={'a'"),
        ("abc", "must be an array .*X='abc'"),
        ([[[1, 2], [3]]], r"as many channels in each step. Received: X\[0\]="),
        ([[[1, 2]], [[1]]], r"the same channels in each. Received: \[1, 2\] channels"),
        ([[[1]], np.zeros((0, 1))], r"a step and a channel .*X\[1\] of shape \(0, 1\)"),
        ([[1], []], r"a step and a channel .*X\[1\] of shape \(0, 1\)"),
        (np.zeros((2, 3, 0)), r"a step and a channel .*X\[0\] of shape \(3, 0\)"),
        ([], "at least one. Received: n_samples=0"),
        (np.zeros((0, 3)), "at least one. Received: n_samples=0"),
        ([[1, np.inf]], r"finite .*1 infinite ones, or over 3.4e38, in X\[0\]"),
        (np.array([[1.0, 1e39], [-np.inf, 0]]), "2 infinite ones, .* in X"),
        ([[1, 10**400]], r"finite .*1 infinite ones, or over 3.4e38, in X\[0\]"),
        (["so good", "bad"], rf"{NUMBERS}.*X\[0\]='so good'"),
        ([["a", "b"]], rf"{NUMBERS}.*X\[0\]="),
        (np.array([["a"]]), f"{NUMBERS}.*X="),
        ([[1, "a"]], rf"{NUMBERS}.*X\[0\]="),
        (np.array([[1, "a"]], object), f"{NUMBERS}.*'a' in X"),
        ([np.array(["2020"], "datetime64[D]")], rf"{NUMBERS}.*X\[0\]="),
        ([[1j]], rf"{NUMBERS}.*X\[0\]="),
        ([[[0, 1], [PADDING, PADDING]]], r"steps of -1e\+09, which is padding"),
    ],
)
def test_what_are_no_sequences_is_refused(data, words):
    with pytest.raises(ValueError, match=f"^`X` holds the sequences, .*{words}"):
        read_sequences(data)


@pytest.mark.backend_free
def test_padding_in_one_channel_is_a_measurement():
    assert read_sequences([[[PADDING, 1]]]).rows == 1


def test_frames_with_other_columns_are_refused():
    """Channels are told apart by position, so these two would be swapped."""
    frames = [
        pd.DataFrame({"u": [1.0], "v": [2.0]}),
        pd.DataFrame({"v": [1.0], "u": [2.0]}),
    ]
    with pytest.raises(ValueError, match="^`X` .*same columns in the same order"):
        read_sequences(frames)
    assert read_sequences([frames[0], frames[0].to_numpy()]).channels == 2


@pytest.mark.parametrize("as_list", [False, True])
def test_changes_that_float32_loses_are_refused_before_training(as_list):
    """Unix time near 1.7e9: one step of float32 is 128 seconds there."""
    rng = np.random.default_rng(0)
    clock = np.cumsum(rng.uniform(0.1, 2, (30, 20)), axis=1)
    start = 1.7e9 + 1e6 * np.arange(30)[:, None]  # rows differ, steps do not
    x = np.stack([rng.normal(size=(30, 20)), start + clock], axis=2)
    x = list(x) if as_list else x
    assert list(read_sequences(x).lost) == [1]
    words = r"changes in channel \[1\]\.$"
    with pytest.raises(ValueError, match=f"times take those since.*{words}"):
        SequenceClassifier(epochs=1).fit(x, np.arange(30) % 2)


@pytest.mark.parametrize(
    "x",
    [
        np.full((4, 6, 1), 1.7e9),  # constant
        5 + 1e-15 * np.random.default_rng(0).normal(size=(4, 6, 1)),  # rounding
        np.random.default_rng(0).normal(1000, 1, (4, 6, 1)),
        (1.7e9 + 1000 * np.arange(24.0)).reshape(4, 6, 1),  # hours
        np.arange(24).reshape(4, 6, 1) + 2**20,
        np.full((4, 6, 1), np.nan),
        np.ones((4, 1, 1)),  # one step
    ],
)
def test_channels_that_float32_holds_are_taken(x):
    assert list(read_sequences(x).lost) == list(read_sequences(x).small) == []


@pytest.mark.parametrize("unit", [1e-37, 1e-39, 1e-60, 1e-320])
@pytest.mark.parametrize("as_list", [False, True])
def test_channels_that_are_all_but_0_in_float32_are_refused_before_training(
    unit, as_list
):
    x = np.random.default_rng(0).normal(size=(30, 6, 2)) * [1, unit]
    x[3, 1, 1] = np.nan
    x = list(x) if as_list else x
    words = r"^`X` .*reach further than 1e-35 .*smaller numbers in channel \[1\]"
    with pytest.raises(ValueError, match=words):
        SequenceClassifier(epochs=1).fit(x, np.arange(30) % 2)
