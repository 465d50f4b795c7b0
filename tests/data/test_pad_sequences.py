import keras
import numpy as np
import pytest

from keras_trainkit.data import SequenceBatches, pad_sequences

IDS = [[3, 1], [4, 1, 5, 9], [2]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[3, 1, 0, 0], [4, 1, 5, 9], [2, 0, 0, 0]]),
        ({"padding": "pre"}, [[0, 0, 3, 1], [4, 1, 5, 9], [0, 0, 0, 2]]),
        ({"max_length": 3}, [[3, 1, 0], [1, 5, 9], [2, 0, 0]]),
        (
            {"max_length": 3, "truncating": "post"},
            [[3, 1, 0], [4, 1, 5], [2, 0, 0]],
        ),
        ({"max_length": 3, "value": 7}, [[3, 1, 7], [1, 5, 9], [2, 7, 7]]),
        (
            {"max_length": 5, "padding": "pre"},
            [[0, 0, 0, 3, 1], [0, 4, 1, 5, 9], [0, 0, 0, 0, 2]],
        ),
    ],
)
def test_ids_are_padded_and_cut_on_the_sides_asked_for(arguments, expected):
    padded, _ = pad_sequences(IDS, **arguments)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == "int32"


def test_lengths_count_what_is_left_after_the_cut():
    _, lengths = pad_sequences(IDS, 3)
    np.testing.assert_array_equal(lengths, [2, 3, 1])
    assert lengths.dtype == "int32"


def test_features_keep_their_axis_and_become_the_float_of_keras():
    padded, lengths = pad_sequences([np.ones((1, 2)), np.full((3, 2), 5.5)], value=-1)
    expected = [[[1, 1], [-1, -1], [-1, -1]], [[5.5, 5.5]] * 3]
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == keras.config.floatx()
    np.testing.assert_array_equal(lengths, [1, 3])


def test_a_fraction_among_whole_numbers_is_not_cut_off():
    padded, _ = pad_sequences([[1, 2], [0.9]])
    np.testing.assert_array_equal(padded, np.array([[1, 2], [0.9, 0]], "float32"))


def test_numbers_beyond_int32_are_kept():
    padded, _ = pad_sequences([[2**31], [1, 2]])
    np.testing.assert_array_equal(padded, [[2**31, 0], [1, 2]])
    assert padded.dtype == "int64"


@pytest.mark.parametrize("empty", [[], np.zeros((0, 2))])
def test_a_sequence_without_steps_becomes_padding_only(empty):
    padded, lengths = pad_sequences([empty, [[1.5, 2.5]]], value=9)
    np.testing.assert_array_equal(padded, [[[9, 9]], [[1.5, 2.5]]])
    np.testing.assert_array_equal(lengths, [0, 1])


def test_a_generator_is_read_once():
    padded, lengths = pad_sequences(range(n) for n in (1, 3))
    np.testing.assert_array_equal(padded, [[0, 0, 0], [0, 1, 2]])
    np.testing.assert_array_equal(lengths, [1, 3])


@pytest.mark.parametrize("sequences", [[], [[], []]])
def test_refuses_nothing_to_pad(sequences):
    with pytest.raises(ValueError, match="at least one must have a step"):
        pad_sequences(sequences)


@pytest.mark.parametrize(
    "broken",
    [
        [[1, 2], [3]],  # ragged features
        ["a", "b"],
        "text",
        7,
        [1, None],
    ],
)
def test_refuses_what_is_no_array_of_numbers(broken):
    with pytest.raises(ValueError, match=r"numbers, time first.*Received: seq.*\[1\]="):
        pad_sequences([[1, 2], broken])


@pytest.mark.parametrize("nothing", [None, 7])
def test_refuses_what_holds_no_sequences(nothing):
    with pytest.raises(ValueError, match="are what is padded and must be a list"):
        pad_sequences(nothing)


def test_refuses_steps_of_unequal_shape():
    with pytest.raises(ValueError, match=r"same shape.*\(2,\), \(3,\)"):
        pad_sequences([np.ones((4, 2)), np.ones((4, 3))])


def test_refuses_a_fraction_as_padding_of_whole_numbers():
    with pytest.raises(ValueError, match="must be a whole number.*value=0.5"):
        pad_sequences(IDS, value=0.5)


def test_refuses_whole_numbers_that_no_integer_holds():
    with pytest.raises(ValueError, match="must fit into int64"):
        pad_sequences([np.array([2**64 - 1], "uint64")])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_length": 0}, "number of steps of the result.*at least 1"),
        ({"max_length": 2.0}, "number of steps of the result.*an integer"),
        ({"padding": "right"}, "side that is filled.*'post', 'pre'"),
        ({"truncating": "end"}, "end that is cut.*'pre', 'post'"),
        ({"value": float("nan")}, "fills the padding"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        pad_sequences(IDS, **arguments)


def test_masked_values_are_nan_and_not_what_lies_below_the_mask():
    masked = np.ma.array([1.5, -99999.0], mask=[False, True])
    padded, _ = pad_sequences([masked, np.ma.array([-9, 4], mask=[True, False])])
    np.testing.assert_array_equal(padded, [[1.5, np.nan], [np.nan, 4]])
    steps = [np.ma.array([1.0, -9.0], mask=[False, True])] * 2
    padded, _ = pad_sequences([steps])
    np.testing.assert_array_equal(padded, [[[1, np.nan]] * 2])


@pytest.mark.parametrize("value", [1e39, -1e300, np.inf])
def test_numbers_that_are_infinite_in_the_float_of_keras_are_refused(value):
    with pytest.raises(ValueError, match="^`sequences` .*finite. Received: 1 infinite"):
        pad_sequences([[0.5, value], [2]])


def test_padding_that_is_infinite_in_the_float_of_keras_is_refused():
    with pytest.raises(ValueError, match="^`value` .*finite in float32.*value=1e.39"):
        pad_sequences([[0.5], [2.0, 3.0]], value=1e39)


def test_steps_that_the_float_of_keras_does_not_tell_apart_are_refused():
    """Seconds since 1970: float32 has steps of 128 there."""
    times = [1.6e9 + np.arange(5.0), 1.7e9 + np.arange(3.0)]
    with pytest.raises(ValueError, match="^`sequences` .*float32.*in feature .0"):
        pad_sequences(times)
    padded, _ = pad_sequences([steps - steps[0] for steps in times])
    np.testing.assert_array_equal(padded, [[0, 1, 2, 3, 4], [0, 1, 2, 0, 0]])
    pad_sequences([[1e9], [1e9 + 1]])  # between sequences nothing changes


def test_sequences_that_are_all_but_0_in_float32_are_refused():
    steps = [np.array([[1.0, 3e-60], [2.0, 1e-60]]), np.array([[3.0, 2e-60]])]
    with pytest.raises(ValueError, match=r"reach further than 1e-35.*in feature \[1\]"):
        pad_sequences(steps)


def test_frames_have_the_same_columns_in_the_same_order():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"u": [1.0, 2.0], "v": [3.0, 4.0]})
    padded, _ = pad_sequences([frame, frame[:1], np.array([[5.0, 6.0]])])
    assert padded[:, 0].tolist() == [[1, 3], [1, 3], [5, 6]]
    for other in (frame[["v", "u"]], frame.rename(columns={"v": "w"})):
        with pytest.raises(ValueError, match=r"same columns .*in sequences\[2\]"):
            pad_sequences([frame, frame, other])
        with pytest.raises(ValueError, match=r"same columns .*in sequences\[1\]"):
            SequenceBatches([frame, other], batch_size=1)
