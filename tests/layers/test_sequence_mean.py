import keras
import numpy as np
import pytest
from backend_gradients import gradients
from comparing import assert_close, assert_equal, rounding
from keras import ops
from step_masks import MIXED

from keras_trainkit.layers import SequenceMean

X = np.random.default_rng(1).normal(size=(5, 7, 3)).astype("float32") - 1


def reference(x, mask):
    """Row by row, in float64."""
    rows = [row[kept].astype("float64") for row, kept in zip(x, mask, strict=True)]
    means = [r.mean(axis=0) if len(r) else np.zeros(x.shape[2]) for r in rows]
    return np.array(means).reshape(len(x), x.shape[2])


def test_means_are_those_of_the_valid_steps():
    assert_close(SequenceMean()(X, mask=MIXED), reference(X, MIXED), atol=1e-6)
    every = np.ones_like(MIXED)
    assert_close(SequenceMean()(X), reference(X, every), atol=1e-6)
    own = keras.layers.GlobalAveragePooling1D()(X, mask=every)
    assert_close(SequenceMean()(X), own, atol=1e-6)


@pytest.mark.parametrize("garbage", [1e30, np.nan, np.inf])
def test_masked_steps_have_no_influence(garbage):
    spoilt = np.where(MIXED[..., None], X, np.float32(garbage))
    assert_equal(SequenceMean()(spoilt, mask=MIXED), SequenceMean()(X, mask=MIXED))


def test_gradients_are_shared_by_the_valid_steps():
    x = np.where(MIXED[..., None], X, np.float32(np.nan))
    (by_x,) = gradients(lambda x: ops.sum(SequenceMean()(x, mask=MIXED)), [x])
    shares = MIXED / np.maximum(MIXED.sum(axis=1, keepdims=True), 1)
    assert_close(by_x, np.repeat(shares[..., None], 3, axis=2), atol=1e-6)


@pytest.mark.parametrize(("batch", "time"), [(0, 0), (0, 3), (2, 0), (2, 1)])
def test_short_sequences_and_empty_batches(batch, time):
    x = X[:batch, :time]
    for mask in (np.ones((batch, time), bool), np.zeros((batch, time), bool)):
        found = SequenceMean()(x, mask=mask)
        assert found.shape == (batch, 3)
        assert_close(found, reference(x, mask), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_many_steps_are_added_up_in_float32(dtype):
    x = ops.cast(np.full((1, 3000, 1), 40.0), dtype)  # float16 ends at 65,504
    found = SequenceMean(dtype=f"mixed_{dtype}")(x)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    assert_close(ops.cast(found, "float32"), [[40.0]], atol=40 * rounding(dtype, 1))


def test_the_mask_of_an_embedding_is_used_and_ends():
    tokens = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(10, 2, mask_zero=True)
    mean = SequenceMean()(embedding(tokens))
    assert tuple(mean.shape) == (None, 2)
    assert getattr(mean, "_keras_mask", None) is None
    model = keras.Model(tokens, mean)
    found = model(np.array([[5, 6, 0, 0], [0, 0, 0, 0]]))
    vectors = ops.convert_to_numpy(embedding.embeddings)
    assert_close(found, [vectors[[5, 6]].mean(axis=0), [0, 0]], atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5, 6)])
def test_refuses_inputs_of_other_shapes(shape):
    with pytest.raises(ValueError, match="expected ndim=3"):
        SequenceMean()(keras.Input(batch_shape=shape))
