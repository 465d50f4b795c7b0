"""Words of like company near each other; the loss, its gradient and each draw."""

import sys

import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.data import word_vectors
from keras_trainkit.data._skip_gram import (
    Adam,
    Words,
    batches_of_pairs,
    negative_sampling,
    skip_gram,
    subsampled,
    with_negatives,
)
from keras_trainkit.models import bilstm_attention

TEXTS = ["red wine", "white wine", "red car", "white car"] * 10


def language(sentences=300):
    """Sentences of ids in which two sets of three words take turns: 2 to 4 with 5 to 7,
    or 8 to 10 with 11 to 13. Between any two words stands 14, which tells nothing.
    """
    random = np.random.default_rng(3)
    turns = np.tile([2, 5], 4)
    found = np.full((sentences, 16), 14)
    for sentence, kind in zip(found, random.integers(0, 2, sentences), strict=True):
        sentence[::2] = random.integers(0, 3, 8) + turns + 6 * kind
    return found


def cosines(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T / (lengths * lengths.T)


def test_words_of_like_company_come_out_near_each_other():
    """Words of a set never stand near each other; 14 stands near all of them."""
    given = {"window": 2, "subsampling": 1, "batch_size": 128, "epochs": 8}
    given["learning_rate"] = 0.01
    vectors = word_vectors(language(), 21, 12, **given)
    found = cosines(vectors[2:14])
    alike = np.kron(np.eye(4), np.ones((3, 3))) > 0
    others = alike & ~np.eye(12, dtype=bool)
    # 0.55 apart; 0.26 if negatives are drawn from ids too small by 2, 0 without any.
    assert found[others].min() > found[~alike].max() + 0.42


def test_rows_are_those_of_the_vocabulary_and_fit_the_model():
    vectorization = keras.layers.TextVectorization()
    vectorization.adapt(TEXTS)
    vectors = word_vectors(TEXTS, vectorization, 6, epochs=2)
    assert vectors.dtype == "float32"
    assert vectors.shape == (6, 6)
    assert vectorization.vocabulary_size() == 6
    model = bilstm_attention(
        (None,), 1, (4,), vocabulary_size=6, embedding_units=6, embedding_matrix=vectors
    )
    np.testing.assert_array_equal(
        model.get_layer("embedding").get_weights()[0], vectors
    )


def test_strings_give_what_their_ids_give():
    vectorization = keras.layers.TextVectorization()
    vectorization.adapt(TEXTS)
    ids = ops.convert_to_numpy(vectorization(TEXTS))
    expected = word_vectors(TEXTS, vectorization, 6, epochs=2, seed=5)
    found = word_vectors(np.pad(ids, [(0, 0), (0, 3)]), 6, 6, epochs=2, seed=5)
    np.testing.assert_array_equal(found, expected)


def test_padding_is_0_and_words_without_a_text_are_the_mean_of_the_others():
    vectors = word_vectors([[2, 3, 0], [3, 4]], 7, 5, epochs=3)
    assert not vectors[0].any()
    mean = vectors[2:5].mean(axis=0)
    for unseen in (1, 5, 6):
        np.testing.assert_allclose(vectors[unseen], mean, rtol=1e-5, atol=1e-7)
    assert np.linalg.norm(vectors[2] - vectors[3]) > 1e-3


def test_the_seed_decides_the_vectors_and_nothing_else_is_drawn():
    keras.utils.set_random_seed(1)
    first = word_vectors(language(20), 21, 4, epochs=2, seed=8)
    drawn = keras.random.uniform((3,))
    keras.utils.set_random_seed(1)
    expected = keras.random.uniform((3,))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(drawn), ops.convert_to_numpy(expected)
    )
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(
        word_vectors(language(20), 21, 4, epochs=2, seed=8), first
    )
    assert not np.array_equal(
        word_vectors(language(20), 21, 4, epochs=2, seed=9), first
    )


def test_the_global_policy_changes_nothing():
    expected = word_vectors(TEXTS_AS_IDS, 6, 4, epochs=2)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = word_vectors(TEXTS_AS_IDS, 6, 4, epochs=2)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(found, expected)


TEXTS_AS_IDS = [[2, 3], [4, 3], [2, 5], [4, 5]] * 10


def reference_loss(signs, logits):
    """Of equation 4 of the paper, the minus of what is maximized, in float64."""
    terms = np.where(signs == 0, 0, np.log(1 + np.exp(-signs * logits)))
    return terms.sum(axis=1)


SIGNS = np.array([[1, -1, -1], [1, 0, -1], [0, 0, 0]], "float32")


def test_loss_is_that_of_the_paper():
    logits = np.array([[0.3, -1.2, 2.0], [-0.7, 9.0, 0.0], [3.0, 4.0, 5.0]])
    found = ops.convert_to_numpy(negative_sampling(SIGNS, logits.astype("float32")))
    np.testing.assert_allclose(found, reference_loss(SIGNS, logits), rtol=1e-5)
    by_hand = np.log(1 + np.exp(-0.3)) + np.log(1 + np.exp(-1.2))
    assert found[0] == pytest.approx(by_hand + np.log(1 + np.exp(2.0)), rel=1e-5)
    assert found[2] == 0


def test_a_step_goes_down_the_gradient_of_the_mean_loss():
    model = skip_gram(7, 4, np.random.default_rng(2))
    random = np.random.default_rng(4)
    words, neighbours = random.normal(size=(2, 7, 4)).astype("float32")
    model.get_layer("words").set_weights([words])
    model.get_layer("neighbours").set_weights([neighbours])
    centres, others = (
        np.array([[2], [3], [0]]),
        np.array([[5, 6, 2], [4, 4, 1], [0] * 3]),
    )
    model.compile(keras.optimizers.SGD(0.1), negative_sampling)
    model.train_on_batch([centres, others], SIGNS)

    v, u = words.astype("float64"), neighbours.astype("float64")
    dv, du = np.zeros_like(v), np.zeros_like(u)
    for (c,), row, signs in zip(centres, others, SIGNS, strict=True):
        for o, sign in zip(row, signs, strict=True):
            slope = -sign / (1 + np.exp(sign * v[c] @ u[o])) / len(SIGNS)
            dv[c] += slope * u[o]
            du[o] += slope * v[c]
    found = model.get_layer("words").get_weights()[0]
    np.testing.assert_allclose(found, v - 0.1 * dv, rtol=1e-4, atol=1e-6)
    found = model.get_layer("neighbours").get_weights()[0]
    np.testing.assert_allclose(found, u - 0.1 * du, rtol=1e-4, atol=1e-6)


def test_adam_squares_the_sum_for_a_word_that_a_batch_has_twice():
    """The first step of Adam moves each number by the rate, whatever its gradient."""
    model = skip_gram(5, 3, np.random.default_rng(2))
    model.get_layer("neighbours").set_weights([np.ones((5, 3), "float32")])
    before = model.get_layer("words").get_weights()[0]
    model.compile(Adam(0.02), negative_sampling)
    centres, others = np.array([[2], [2], [2], [3]]), np.array([[4], [1], [4], [4]])
    model.train_on_batch([centres, others], np.ones((4, 1), "float32"))
    moved = model.get_layer("words").get_weights()[0] - before
    np.testing.assert_allclose(moved[[2, 3]], 0.02, rtol=1e-3)
    np.testing.assert_allclose(moved[[0, 1, 4]], 0, atol=1e-9)


def words_of(*texts):
    numbers = np.concatenate(texts).astype("int32")
    lengths = [len(text) for text in texts]
    return Words(numbers, np.repeat(np.arange(len(texts)), lengths))


def pairs_of(words, window, batch_size, seed=0):
    batches = batches_of_pairs(words, window, batch_size, np.random.default_rng(seed))
    shares, centres, neighbours = zip(*batches, strict=True)
    assert {len(c) for c in centres} == {len(n) for n in neighbours} == {batch_size}
    assert list(shares) == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] < 1
    found = np.stack([np.concatenate(centres), np.concatenate(neighbours)], 1)
    filled = (found == 0).any(axis=1)
    assert (found[filled] == 0).all()
    assert not filled[: len(found) - batch_size + 1].any()
    return [tuple(pair) for pair in found[~filled].tolist()]


def test_pairs_of_window_1_are_the_words_side_by_side_in_a_text():
    found = pairs_of(words_of([2, 3, 4], [5], [6, 7]), 1, 4)
    assert sorted(found) == [(2, 3), (3, 2), (3, 4), (4, 3), (6, 7), (7, 6)]


def test_a_neighbour_at_distance_d_is_taken_by_the_share_of_windows_that_reach_it():
    text = np.arange(1, 4001)
    pairs = np.array(pairs_of(words_of(text), 4, 64))
    distances = np.abs(pairs[:, 0] - pairs[:, 1])
    shares = np.bincount(distances, minlength=6)[1:] / (2 * len(text))
    np.testing.assert_allclose(shares, [1, 0.75, 0.5, 0.25, 0], atol=0.04)


def test_negatives_follow_the_counts_to_the_power_of_three_quarters():
    counts = np.array([0, 0, 1, 16, 81, 0, 256])
    neighbours = np.full(20_000, 2, "int32")
    others, signs = with_negatives(neighbours, counts, 3, np.random.default_rng(0))
    assert others.shape == signs.shape == (20_000, 4)
    shares = np.bincount(others[:, 1:].ravel(), minlength=7) / 60_000
    expected = np.array([0, 0, 1, 8, 27, 0, 64]) / 100
    np.testing.assert_allclose(shares, expected, atol=0.01)
    assert not shares[expected == 0].any()


def test_a_negative_that_is_the_neighbour_and_padding_do_not_count():
    counts = np.array([0, 0, 5, 5])
    neighbours = np.array([2, 3, 0] * 50, "int32")
    others, signs = with_negatives(neighbours, counts, 2, np.random.default_rng(0))
    assert (others[:, 0] == neighbours).all()
    assert (signs[neighbours > 0, 0] == 1).all()
    assert not signs[neighbours == 0].any()
    drawn, of_drawn = others[neighbours > 0, 1:], signs[neighbours > 0, 1:]
    is_same = drawn == neighbours[neighbours > 0, None]
    assert is_same.any()
    np.testing.assert_array_equal(of_drawn, np.where(is_same, 0, -1))


def test_frequent_words_keep_the_root_of_the_share():
    counts = np.array([0, 64_000, 15_000, 1_000])  # shares 0.8, 0.1875, 0.0125
    words = words_of(*(np.full(counts[k], k) for k in (1, 2, 3)))
    kept = subsampled(words, counts, 0.05, np.random.default_rng(0))
    shares = np.bincount(kept.numbers, minlength=4)[1:] / counts[1:]
    expected = [np.sqrt(0.05 / 0.8), np.sqrt(0.05 / 0.1875), 1]
    np.testing.assert_allclose(shares, expected, atol=0.02)
    assert shares[2] == 1
    assert (kept.texts == kept.numbers - 1).all()
    everything = subsampled(words, counts, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(everything.numbers, words.numbers)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"embedding_units": 0}, "`embedding_units` is the number of numbers per word"),
        ({"window": 0}, "`window` is the most words that a neighbour is away"),
        ({"negatives": 1.0}, "`negatives` is the number of words drawn beside"),
        ({"subsampling": 0}, "`subsampling` is the share of all words .* above 0"),
        ({"subsampling": 1.5}, "at most 1. Received: subsampling=1.5"),
        ({"epochs": 0}, "`epochs` is the number of passes"),
        ({"batch_size": 0}, "`batch_size` is the number of pairs"),
        ({"learning_rate": 0}, "`learning_rate` is the learning rate of the first"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable"),
        ({"vocabulary": 1}, "`vocabulary` gives the texts .* integer at least 2"),
        ({"vocabulary": ["a"]}, "`vocabulary` .* or is their number with padding"),
        ({"vocabulary": 5}, r"integers from 0 to 4.*Received: \[2, 5\] at position 2"),
        ({"texts": [[2, 3], [-1]]}, r"integers from 0 to 5.*\[-1\] at position 1"),
        ({"texts": [[2.5, 3]]}, "must be integers from 0 to 5, one sequence per text"),
        ({"texts": [[[2, 3]]]}, r"one sequence per text.*\[\[2, 3\]\] at position 0"),
        ({"texts": TEXTS}, "strings need an adapted `keras.layers.TextVectorization`"),
        ({"texts": "red"}, "`texts` are token ids.* sequences of integers.*'red'"),
        ({"texts": 3}, "`texts` are token ids.*Received: texts=3"),
        ({"texts": []}, "two words in one of them. Received: 0 texts"),
        ({"texts": [[2], [0, 3], []]}, "3 texts, the longest of 1 words"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    given = {"texts": TEXTS_AS_IDS, "vocabulary": 6, "embedding_units": 4} | arguments
    with pytest.raises(ValueError, match=words):
        word_vectors(**given)


def test_a_vectorization_without_words_or_ids_is_refused():
    with pytest.raises(ValueError, match="must be adapted on words.*Received.*2 ids"):
        word_vectors(TEXTS, keras.layers.TextVectorization())
    counting = keras.layers.TextVectorization(output_mode="count")
    counting.adapt(TEXTS)
    with pytest.raises(ValueError, match="Received: output_mode='count'"):
        word_vectors(TEXTS, counting)
    adapted = keras.layers.TextVectorization()
    adapted.adapt(TEXTS)
    with pytest.raises(ValueError, match="`texts` .* must be a list of strings"):
        word_vectors([[2, 3]], adapted)


def test_many_steps_are_compiled_and_give_the_same_vectors(monkeypatch):
    module = sys.modules["keras_trainkit.data.word_vectors"]
    given = {"epochs": 3, "seed": 8, "batch_size": 64}
    expected = word_vectors(language(40), 21, 4, **given)
    monkeypatch.setattr(module, "MANY_STEPS", 0)
    assert_close(word_vectors(language(40), 21, 4, **given), expected, atol=1e-3)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(("steps", "compiled"), [(500, "auto"), (501, True)])
def test_few_steps_are_not_compiled(steps, compiled):
    assert sys.modules["keras_trainkit.data.word_vectors"]._fused(steps) == compiled
