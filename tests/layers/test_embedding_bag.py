import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops

from keras_trainkit.layers import EmbeddingBag

IDS = np.array([[5, 7, 7, 0], [0, 0, 0, 3], [0, 0, 0, 0]])
VECTORS = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")


def bag(mode, **given):
    return EmbeddingBag(9, 4, mode, weights=VECTORS, **given)


def test_the_vectors_of_all_tokens_are_added_up():
    expected = [VECTORS[5] + 2 * VECTORS[7], VECTORS[3], np.zeros(4)]
    assert_close(bag("sum")(IDS), expected, atol=1e-6)


def test_or_averaged_over_what_is_no_padding():
    expected = [(VECTORS[5] + 2 * VECTORS[7]) / 3, VECTORS[3], np.zeros(4)]
    assert_close(bag("mean")(IDS), expected, atol=1e-6)


def test_masked_tokens_count_as_padding():
    mask = np.array([[True, False, True, True], [False] * 4, [True] * 4])
    expected = [(VECTORS[5] + VECTORS[7]) / 2, np.zeros(4), np.zeros(4)]
    assert_close(bag("mean")(IDS, mask=mask), expected, atol=1e-6)


def test_it_is_dense_of_the_counts_of_each_token():
    counts = np.zeros((3, 9), "float32")
    for row, ids in enumerate(IDS):
        np.add.at(counts[row], ids[ids > 0], 1)
    dense = keras.layers.Dense(4, use_bias=False)
    dense.build((None, 9))
    dense.set_weights([VECTORS])
    assert_close(bag("sum")(IDS), dense(counts), atol=1e-6)


def test_sums_of_half_precision_are_exact_to_its_last_place():
    vectors = np.ones((2, 1), "float32")
    many = EmbeddingBag(2, 1, weights=vectors, dtype="mixed_float16")
    found = many(np.ones((1, 3001), int))  # added up in float16 it stays at 2048
    assert abs(float(ops.convert_to_numpy(found)[0, 0]) - 3001) <= 2


def test_it_trains_and_comes_back_from_its_file(tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, EmbeddingBag(9, 1, name="bag")(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = ops.convert_to_numpy(model.get_layer("bag").embeddings)
    model.fit(IDS, np.ones((3, 1)), verbose=0)
    changed = ops.convert_to_numpy(model.get_layer("bag").embeddings) != before
    assert np.flatnonzero(changed[:, 0]).tolist() == [3, 5, 7]
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(copy(IDS), model(IDS))
    assert model.output_shape == (None, 1)


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="`mode` says what becomes .*mode='max'"):
        EmbeddingBag(9, 4, "max")
