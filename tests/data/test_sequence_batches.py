import itertools
import re

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from comparing import assert_equal

from keras_trainkit.data import SequenceBatches, pad_sequences

RNG = np.random.default_rng(4)
LENGTHS = RNG.integers(1, 30, size=150)
# The first step names the row.
SEQUENCES = [np.arange(row, row + length) + 1 for row, length in enumerate(LENGTHS)]


def batches_of(sequences=SEQUENCES, targets=None, *others, **arguments):
    arguments = {"batch_size": 16, "num_lengths": 4, **arguments}
    return SequenceBatches(sequences, targets, *others, **arguments)


def order(batches):
    return [(x[:, 0] - 1).tolist() for (x,) in batches]


def steps_of(batches):
    return sum(x.shape[1] for (x,) in batches)


# What an epoch consists of


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_has_every_row_once_and_one_smaller_batch(shuffle):
    batches = batches_of(shuffle=shuffle)
    assert (len(batches), batches.num_rows) == (10, 150)
    sizes = sorted(len(x) for (x,) in batches)
    assert sizes == [6] + [16] * 9
    assert sorted(itertools.chain(*order(batches))) == list(range(150))


def test_every_sequence_comes_whole_with_padding_behind_it():
    for (x,) in batches_of(value=-7):
        for row in x:
            expected = SEQUENCES[row[0] - 1]
            assert_equal(row[: len(expected)], expected)
            assert (row[len(expected) :] == -7).all()


def test_padding_may_stand_before_a_sequence():
    for (x,) in batches_of(padding="pre"):
        for row in x:
            valid = row[row > 0]
            assert_equal(valid, SEQUENCES[valid[0] - 1])
            assert_equal(row[-len(valid) :], valid)


@pytest.mark.parametrize("num_lengths", [1, 3, 8])
def test_shapes_are_as_few_as_asked_for_and_the_same_in_every_epoch(num_lengths):
    batches = batches_of(num_lengths=num_lengths)
    shapes = set()
    for batches.epoch in range(20):
        shapes |= {x.shape for (x,) in batches}
    assert len({time for _, time in shapes}) <= num_lengths
    assert len(shapes) <= num_lengths + 1  # the small batch


def test_the_longest_batch_is_as_long_as_the_longest_sequence():
    assert max(x.shape[1] for (x,) in batches_of()) == LENGTHS.max()


@pytest.mark.parametrize("num_lengths", [1, 2, 3, 5])
def test_groups_have_the_fewest_steps_of_all_ways_to_cut_them(num_lengths):
    lengths = np.sort(RNG.integers(1, 40, size=27))
    batches = batches_of(
        [np.ones(n, int) for n in lengths], batch_size=4, num_lengths=num_lengths
    )
    longest = lengths[
        [2, 6, 10, 14, 18, 22, 26]
    ]  # of batches of sorted rows: 3, 4, ...
    ways = []
    for groups in range(num_lengths):
        for cuts in itertools.combinations(range(1, 7), groups):
            parts = np.split(longest, cuts)
            ways.append(sum(len(part) * part[-1] for part in parts))
    assert steps_of(batches) == min(ways)


def test_many_lengths_are_cut_at_some_places_of_all_rows():
    lengths = np.arange(1, 4001)
    batches = batches_of(
        [np.zeros(n, "int8") for n in lengths], batch_size=4, num_lengths=2
    )
    # Two halves: 500 batches of 2000 steps and 500 of 4000.
    assert steps_of(batches) == pytest.approx(3_000_000, rel=0.01)


@pytest.mark.parametrize("seed", [0, 7])
def test_seed_and_epoch_alone_decide_the_order(seed):
    first, again = batches_of(seed=seed), batches_of(seed=seed)
    for epoch in (0, 1, 2, 1):
        first.epoch = again.epoch = epoch
        assert order(first) == order(again)


def test_other_seeds_and_epochs_make_other_batches():
    orders = []
    for seed in (0, 1, None, None):
        batches = batches_of(seed=seed)
        for batches.epoch in (0, 1):
            orders.append({frozenset(batch) for batch in order(batches)})
    for number, one in enumerate(orders):
        assert not any(one & other for other in orders[:number])


def test_batches_of_all_lengths_are_mixed():
    batches = batches_of(num_lengths=8)
    times = []
    for batches.epoch in range(40):
        times.append([x.shape[1] for (x,) in batches])
    means = np.mean(times, axis=0)
    # The mean of 40 draws has the deviation std / sqrt(40): four of them.
    assert np.abs(means - np.mean(times)).max() < np.std(times) * 4 / np.sqrt(40)


def test_without_shuffling_rows_come_in_their_order():
    batches = batches_of(shuffle=False)
    assert list(itertools.chain(*order(batches))) == list(range(150))


def test_there_is_no_batch_beyond_the_last():
    with pytest.raises(IndexError, match="10 batches. Received: 10"):
        batches_of()[10]


# What is in a batch


def test_targets_and_weights_stand_beside_their_rows():
    targets = {"row": np.arange(150), "half": np.arange(150) / 2}
    for x, y, weights in batches_of(SEQUENCES, targets, np.arange(150) * 3):
        rows = x[:, 0] - 1
        assert_equal(y["row"], rows)
        assert_equal(y["half"], rows / 2)
        assert_equal(weights, rows * 3)
        assert y["half"].dtype == weights.dtype == keras.config.floatx()


def test_features_keep_their_axis_and_become_the_float_of_keras():
    sequences = [np.full((n, 3), n, "float64") for n in (1, 2, 5, 6)]
    batches = batches_of(sequences, batch_size=2, value=-1e9, shuffle=False)
    assert [x.shape for (x,) in batches] == [(2, 2, 3), (2, 6, 3)]
    (x,) = batches[0]
    assert_equal(x, [[[1] * 3, [-1e9] * 3], [[2] * 3] * 2])
    assert x.dtype == keras.config.floatx()


@pytest.mark.parametrize("padding", ["post", "pre"])
def test_a_padded_array_with_lengths_gives_what_its_sequences_give(padding):
    padded, lengths = pad_sequences(SEQUENCES, padding=padding, value=-1)
    given = batches_of(padded, lengths=lengths, padding=padding, value=-1)
    expected = batches_of(padding=padding, value=-1)
    for (x,), (same,) in zip(given, expected, strict=True):
        assert_equal(x, same)


def test_an_array_without_lengths_counts_whole():
    (x,) = batches_of(np.zeros((3, 7), "int32"))[0]
    assert_equal(x, np.zeros((3, 7)))


@pytest.mark.parametrize(
    ("truncating", "expected"), [("pre", [[1, 5], [8, 0]]), ("post", [[4, 1], [8, 0]])]
)
def test_longer_sequences_are_cut_at_the_end_asked_for(truncating, expected):
    batches = batches_of([[4, 1, 5], [8]], max_length=2, truncating=truncating)
    assert sorted(batches[0][0].tolist()) == sorted(expected)


def test_sequences_without_steps_are_padding():
    batches = batches_of([[], [3], []], batch_size=2, shuffle=False)
    assert [x.tolist() for (x,) in batches] == [[[0], [3]], [[0]]]


# In Keras


@pytest.mark.parametrize("seed", range(6))
def test_the_first_two_batches_differ_in_length_for_keras_to_see_that_it_varies(seed):
    batches = batches_of([[1]] * 90 + [[1, 2]] * 6, seed=seed)
    assert {batches[0][0].shape[1], batches[1][0].shape[1]} == {1, 2}


@pytest.mark.parametrize(
    ("lengths", "times"), [([1, 1, 1, 3], [1, 3, 1, 3]), ([3, 3, 1, 1], [3, 4, 1, 1])]
)
def test_without_shuffling_the_second_batch_is_padded_to_differ(lengths, times):
    sequences = [np.ones(n, int) for n in lengths]
    batches = batches_of(sequences, batch_size=1, shuffle=False)
    assert [x.shape[1] for (x,) in batches] == times


def counting_model():
    """Predicts the sum of a sequence's steps."""
    inputs = keras.Input((None, 1))
    outputs = keras.layers.Lambda(lambda x: keras.ops.sum(x, axis=1))(inputs)
    return keras.Model(inputs, outputs)


def test_predictions_come_in_the_order_of_the_rows():
    sequences = [np.full((n, 1), 2.0) for n in [1] * 40 + LENGTHS.tolist()]
    batches = batches_of(sequences, shuffle=False)
    found = counting_model().predict(batches, verbose=0)
    assert_equal(found[:, 0], np.append(np.full(40, 2), 2 * LENGTHS))


def test_evaluation_counts_every_row_once():
    sequences = [np.full((n, 1), 1.0) for n in LENGTHS]
    model = counting_model()
    model.compile(loss="mae")
    loss = model.evaluate(batches_of(sequences, np.zeros(150)), verbose=0)
    assert loss == pytest.approx(LENGTHS.mean(), rel=1e-6)


def test_fit_goes_on_to_another_order_after_each_epoch():
    batches = batches_of(SEQUENCES[:40], np.arange(40) % 2)
    validation = batches_of(SEQUENCES[40:60], np.arange(20) % 2)
    model = keras.Sequential(
        [
            keras.layers.Embedding(180, 2, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    history = model.fit(batches, epochs=2, validation_data=validation, verbose=0)
    assert batches.epoch == 2
    assert np.isfinite(history.history["val_loss"]).all()


def test_batches_made_anew_go_on_with_the_order_of_the_state():
    batches = batches_of()
    batches.epoch = 3
    again = batches_of()
    again.set_state(batches.get_state())
    assert order(again) == order(batches) != order(batches_of())
    with pytest.raises(ValueError, match="`epoch` is in the state and must be"):
        again.set_state({"epoch": -1})


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` is the number of rows per batch and must be"),
        ({"num_lengths": 0}, "`num_lengths` is the number of padded lengths and must"),
        ({"max_length": 0}, "`max_length` is the most steps of a batch and must be"),
        ({"padding": "left"}, "`padding` is the side that is filled and must be"),
        ({"truncating": "end"}, "`truncating` is the end that is cut and must be"),
        ({"value": np.nan}, "`value` fills the padding and must be"),
        ({"shuffle": 1}, "`shuffle` draws the order of the rows and must be"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable and must be"),
        ({"sequences": []}, "at least one must have a step. Received: 0 sequences"),
        ({"sequences": [["a"]]}, "must be an array or a nested list of numbers"),
        ({"sequences": [[1.5]], "value": 0.5, "targets": [1, 2]}, "each of the 1 seq"),
        ({"value": 0.5}, "must be a whole number where the sequences hold integers"),
        ({"targets": [[1], [1, 2], [1]]}, "`targets` stands beside the sequences and"),
        ({"targets": {"y": [1, 2]}}, "`targets['y']` stands beside the sequences and"),
        ({"targets": ["a", "b", "c"]}, "must be an array of numbers with one entry"),
        ({"sample_weight": [1, 1, 1]}, "must be None without targets"),
        (
            {"targets": [1, 2, 3], "sample_weight": [1, -1, 1]},
            "`sample_weight` weighs the rows in the loss and must be finite numbers",
        ),
        ({"lengths": [1, 1, 1]}, "must be a padded array (rows, time, ...)"),
        (
            {"sequences": np.ones((2, 3)), "lengths": [4, 1]},
            "must be integers from 0 to 3, one for each of the 2 rows",
        ),
        (
            {"sequences": np.ones((2, 3)), "lengths": [1]},
            "must be integers from 0 to 3, one for each of the 2 rows",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    arguments = {"sequences": [[1], [2, 3], [4]], **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        SequenceBatches(**arguments)


MASKED = np.ma.array([1.0, -9.0, 2.0], mask=[False, True, False])


@pytest.mark.parametrize(
    "missing",
    [
        MASKED,
        [1.0, np.nan, 2.0],
        [1, None, 2],
        pd.Series([1, None, 2], dtype="Int64"),
        pl.Series([1, None, 2]),
    ],
)
def test_missing_targets_and_weights_are_refused(missing):
    sequences = [[1], [2, 3], [4]]
    with pytest.raises(ValueError, match="`targets` is what .* with 1 of 3 missing"):
        SequenceBatches(sequences, missing)
    with pytest.raises(ValueError, match=r"`targets\['y'\]` .* with 1 of 3 missing"):
        SequenceBatches(sequences, {"y": missing})
    with pytest.raises(ValueError, match="`sample_weight` .* with 1 of 3 missing"):
        SequenceBatches(sequences, [1, 2, 3], missing)


def test_masked_steps_are_nan():
    (x,) = SequenceBatches([MASKED, [5.0]], shuffle=False)[0]
    assert_equal(x, [[1, np.nan, 2], [5, 0, 0]])
    padded = np.ma.array([[1.5, -9], [3, 4]], mask=[[0, 1], [0, 0]])
    (x,) = SequenceBatches(padded, lengths=[2, 1], shuffle=False)[0]
    assert_equal(x, [[1.5, np.nan], [3, 0]])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"targets": [1.0, np.inf, 2.0]}, "`targets` .*finite. Received: 1 infinite"),
        ({"targets": [[1e39], [1.0], [2.0]]}, "`targets` .*finite. Received: 1 inf"),
        ({"targets": [1e9, 1e9 + 1, 1e9 + 2]}, "`targets` .*must differ.*float32"),
        ({"targets": [2**60, 2**60 + 1, 2**60]}, "`targets` .*must differ.*float32"),
        ({"sample_weight": [1, 1e39, 1]}, "`sample_weight` .*finite. Received: 1 inf"),
        ({"sample_weight": [1, 1e-300, 1]}, "`sample_weight` .*1 that become 0"),
        ({"sequences": [[1e39], [2, 3], [4]]}, "`sequences` .*finite. Received: 1 inf"),
        ({"sequences": [[0.5], [2, 3], [4]], "value": 1e39}, "value=1e.39"),
    ],
)
def test_numbers_that_the_float_of_keras_does_not_hold_are_refused(arguments, words):
    arguments = {"sequences": [[1], [2, 3], [4]], "targets": [1, 2, 3], **arguments}
    with pytest.raises(ValueError, match=words):
        SequenceBatches(**arguments)


def test_numbers_of_classes_and_steps_beside_each_other_pass():
    """Float32 holds both exactly, and targets of steps differ along the steps."""
    SequenceBatches([[1], [2]], [10**7, 10**7 + 1])
    SequenceBatches([[1], [2]], np.array([[[0.5], [1e7]], [[0.5], [1e7 + 1]]]))


def test_labels_of_the_sequences_in_another_order_are_refused():
    sequences = pd.Series([[1], [2, 3], [4]])
    back = pd.Series([1, 2, 3], index=[2, 1, 0])
    with pytest.raises(ValueError, match="^`targets` belongs .* `sequences`"):
        SequenceBatches(sequences, back)
    with pytest.raises(ValueError, match="^`sample_weight` belongs .* `sequences`"):
        SequenceBatches(sequences, [1, 2, 3], back)
