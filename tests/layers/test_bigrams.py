import sys
import tracemalloc

import keras
import numpy as np
import pytest
from comparing import assert_equal
from keras import ops

from keras_trainkit.layers import Bigrams

ROWS = np.array(
    [
        [2, 3, 2, 3, 0],
        [0, 0, 0, 2, 3],  # padding before
        [3, 0, 2, 0, 0],  # two runs
        [2, 9, 1, 0, 0],  # an id that is not known
        [0, 0, 0, 0, 0],
    ]
)
SIZE = 4
bigrams_module = sys.modules[Bigrams.__module__]


def numbers_by_hand(row, pairs, size=SIZE):
    """Numbers of a row, by sets and loops; `pairs` in the order of their numbers."""
    ids = [0, *(1 if token >= size else token for token in row), 0]
    found = set(ids) | {
        size + pairs.index(pair)
        for pair in zip(ids[:-1], ids[1:], strict=True)
        if pair in pairs
    }
    return sorted(found - {0})


def numbers_of(layer, rows, **given):
    found = ops.convert_to_numpy(layer(rows, **given))
    assert found.shape == (len(rows), 2 * rows.shape[1] + 1)
    return [row[row > 0].tolist() for row in found]


def adapted(num_bigrams=20, rows=ROWS, size=SIZE):
    layer = Bigrams(size, num_bigrams)
    layer.adapt(rows)
    return layer


def pairs_of(layer):
    return list(map(tuple, ops.convert_to_numpy(layer.bigrams).astype(int).tolist()))


def test_words_and_pairs_are_numbered():
    layer = adapted(7, ROWS[:1])
    # (0, 2), (2, 3), (3, 0), (3, 2) fill the last places: numbers 4 + 3 to 4 + 6.
    assert pairs_of(layer)[3:] == [(0, 2), (2, 3), (3, 0), (3, 2)]
    found = layer(np.array([[2, 3, 2, 3, 0], [3, 3, 0, 0, 0]]))
    places = [[0] * 5 + [2, 3, 7, 8, 9, 10], [0] * 7 + [3, 0, 9, 0]]
    assert numbers_of(layer, ROWS[:1]) == [[2, 3, 7, 8, 9, 10]]
    assert_equal(np.sort(ops.convert_to_numpy(found)), np.sort(places))


def test_any_text_has_the_numbers_that_loops_find():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 12, size=(40, 9))
    layer = adapted(30, rows[:20], size=10)
    pairs = pairs_of(layer)
    assert len(set(pairs)) == 30
    expected = [numbers_by_hand(row, pairs, 10) for row in rows]
    assert numbers_of(layer, rows) == expected


def test_padding_does_not_count_wherever_it_stands():
    layer = adapted()
    before, behind = numbers_of(layer, np.array([[0, 0, 2, 3], [2, 3, 0, 0]]))
    assert before == behind
    mask = np.array([[True, True, False, False]])
    assert numbers_of(layer, np.array([[2, 3, 3, 2]]), mask=mask) == [behind]


def test_the_pairs_that_most_rows_have_are_kept():
    rows = np.array([[2, 3, 2, 3, 2, 3], [4, 5, 0, 0, 0, 0], [4, 5, 2, 0, 0, 0]])
    # Of rows, not of places: (4, 5) is in two, as (0, 4); then the lowest ids.
    assert pairs_of(adapted(3, rows, 6)) == [(0, 2), (0, 4), (4, 5)]


def test_it_learns_afresh_at_every_call():
    layer = adapted(5)
    layer.adapt(ROWS[2:3])
    assert set(pairs_of(layer)) == {(0, 0), (0, 2), (0, 3), (2, 0), (3, 0)}


def test_texts_without_a_word_leave_no_pair():
    layer = adapted(2, np.zeros((3, 4), int))
    assert numbers_of(layer, np.array([[2, 3]])) == [[2, 3]]
    assert numbers_of(layer, np.zeros((2, 0), int)) == [[], []]
    assert numbers_of(layer, np.zeros((0, 3), int)) == []


def test_the_largest_vocabulary_has_pairs_of_their_own():
    last = 46_339
    rows = np.array([[last, last], [last, last - 1]])
    layer = adapted(9, rows, 46_340)
    both, other = numbers_of(layer, rows)
    assert len(set(both) & set(other)) == 2  # the word, and that it is the first
    with pytest.raises(ValueError, match="at most 46340. Received: vocabulary_size"):
        Bigrams(46_341)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_ids_that_32_bits_do_not_hold_are_unknown_words(dtype):
    if (keras.config.backend(), dtype) == ("jax", "int64"):
        pytest.skip("JAX makes them int32 before any layer")
    # 2**32 + 2 in the last 32 bits is 2; 2**40 is 0, which would be padding.
    rows = np.array([[2**32 + 2, 3], [2**40, 3]], dtype)
    expected = numbers_of(adapted(), np.array([[1, 3], [1, 3]]))
    assert numbers_of(adapted(), rows) == expected


def test_pairs_of_many_texts_are_counted_in_little_memory(monkeypatch):
    monkeypatch.setattr(bigrams_module, "COUNTED_AT_ONCE", 10_000)
    rows = np.full((20_000, 50), 2, "int32")  # 4 MB
    layer = Bigrams(SIZE, 20)
    layer.adapt(rows[:1])
    tracemalloc.start()
    layer.adapt(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8e6
    assert set(pairs_of(layer)) == {(0, 0), (0, 2), (2, 0), (2, 2)}


def test_half_precision_keeps_the_numbers():
    rows = np.array([[3001, 3002, 3003]])
    layer = Bigrams(4000, 9, dtype="float16")
    layer.adapt(rows)
    assert numbers_of(layer, rows)[0][:3] == [3001, 3002, 3003]
    assert len(numbers_of(layer, rows)[0]) == 7


def test_it_comes_back_from_its_file(tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, adapted()(inputs))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy(ROWS), model(ROWS))
    assert copy.output.dtype == "int32"


def test_it_is_refused_before_it_is_adapted():
    with pytest.raises(ValueError, match=r"pairs of words .* call `adapt\(data\)`"):
        Bigrams(9)(np.array([[2, 3]]))


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (np.zeros((2, 3)), "float64 of the shape"),
        (np.zeros(3, int), r"shape \(3,\)"),
        (np.zeros((0, 3), int), r"shape \(0, 3\)"),
        (np.array([[1, -2]]), "an id of -2"),
        (np.array([[True]]), "bool of the shape"),
        ([[1, 2], [3]], "lists of different lengths"),
    ],
)
def test_what_are_no_ids_is_refused(data, received):
    with pytest.raises(ValueError, match=f"`data` holds the words .*{received}"):
        Bigrams(9).adapt(data)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vocabulary_size": 1}, "`vocabulary_size` is the number of token ids"),
        ({"vocabulary_size": 9.0}, "`vocabulary_size` is the number of token ids"),
        ({"vocabulary_size": 9, "num_bigrams": 0}, "`num_bigrams` is the most pairs"),
    ],
)
def test_arguments_out_of_range_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        Bigrams(**given)
