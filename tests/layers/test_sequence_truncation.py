import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.layers import AttentionPooling, SequenceTruncation

FLOAT64 = pytest.param(
    "float64",
    marks=pytest.mark.skipif(
        keras.backend.backend() == "jax", reason="JAX is left at 32 bits"
    ),
)
ROWS = np.array(
    [
        [5, 6, 7, 8, 9, 0, 0],  # padding after, too long
        [5, 6, 0, 0, 0, 0, 0],  # padding after, short
        [0, 0, 5, 6, 7, 8, 9],  # padding before, too long
        [0, 0, 0, 0, 0, 5, 6],  # padding before, short
        [5, 0, 7, 8, 0, 0, 0],  # a hole
        [0, 5, 6, 7, 8, 9, 0],  # both sides
        [5, 6, 7, 8, 9, 3, 4],  # none
    ],
    "int32",
)
KEPT = {
    "start": [
        [5, 6, 7],
        [5, 6, 0],
        [5, 6, 7],
        [0, 5, 6],
        [5, 0, 7],
        [5, 6, 7],
        [5, 6, 7],
    ],
    "end": [
        [7, 8, 9],
        [5, 6, 0],
        [7, 8, 9],
        [0, 5, 6],
        [0, 7, 8],
        [7, 8, 9],
        [9, 3, 4],
    ],
}
both_ends = pytest.mark.parametrize("keep", ["start", "end"])


class Probe(keras.layers.Layer):
    """Keeps the mask that Keras hands to the next layer."""

    supports_masking = True

    def call(self, inputs, mask=None):
        self.seen = mask
        return inputs


def mask_of(output):
    probe = Probe()
    probe(output)
    return None if probe.seen is None else ops.convert_to_numpy(probe.seen)


@both_ends
def test_valid_steps_are_kept_before_padding(keep):
    cut = SequenceTruncation(3, keep)(ROWS, mask=ROWS != 0)
    assert_equal(cut, KEPT[keep])
    assert keras.backend.standardize_dtype(cut.dtype) == "int32"


@both_ends
def test_the_mask_follows(keep):
    cut = SequenceTruncation(3, keep)(ROWS, mask=ROWS != 0)
    assert_equal(mask_of(cut), np.array(KEPT[keep]) != 0)


@both_ends
def test_features_are_cut_as_ids_are(keep):
    x = np.stack([ROWS, ROWS * 10], axis=-1).astype("float32")
    cut = ops.convert_to_numpy(SequenceTruncation(3, keep)(x, mask=ROWS != 0))
    assert_equal(cut[..., 0], KEPT[keep])
    assert_equal(cut[..., 1], np.array(KEPT[keep]) * 10)


@pytest.mark.parametrize(("keep", "kept"), [("start", slice(3)), ("end", slice(4, 7))])
def test_without_a_mask_the_axis_is_cut(keep, kept):
    cut = SequenceTruncation(3, keep)(ROWS)
    assert_equal(cut, ROWS[:, kept])
    assert mask_of(cut) is None


@both_ends
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("time", [0, 1, 2, 3])
def test_what_fits_passes_unchanged(keep, batch, time):
    x = np.ones((batch, time, 4), "float32")
    mask = np.zeros((batch, time), bool)
    assert_equal(SequenceTruncation(3, keep)(x), x)
    cut = SequenceTruncation(3, keep)(x, mask=mask)
    assert_equal(cut, x)
    assert_equal(mask_of(cut), mask)


@both_ends
@pytest.mark.parametrize("batch", [0, 2])
def test_rows_without_a_valid_step_stay_masked(keep, batch):
    x = np.full((batch, 5, 2), np.nan, "float32")
    cut = SequenceTruncation(3, keep)(x, mask=np.zeros((batch, 5), bool))
    assert_equal(mask_of(cut), np.zeros((batch, 3), bool))


@pytest.mark.parametrize("dtype", ["float16", "float32", FLOAT64, "int32"])
def test_mixed_precision_leaves_ids_and_features_alone(dtype):
    ids = np.array([[2049, 3, 4, 7]], dtype)  # float16 would round the first
    cut = SequenceTruncation(2, dtype="mixed_float16")(ids)
    assert keras.backend.standardize_dtype(cut.dtype) == dtype
    assert_equal(cut, ids[:, :2])


def model_on_ids(keep="end"):
    """Truncation of embedded tokens, then a layer that needs the mask."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 4, mask_zero=True)(tokens)
    x = SequenceTruncation(3, keep)(x)
    return keras.Model(tokens, AttentionPooling("dot")(x))


@both_ends
@pytest.mark.parametrize("execution", ["call", "predict"])
def test_a_model_sees_the_valid_steps_only(keep, execution):
    model = model_on_ids(keep)
    run = model if execution == "call" else (lambda x: model.predict(x, verbose=0))
    kept = [[t for t in row if t] for row in KEPT[keep]]
    pooled = ops.convert_to_numpy(run(ROWS))
    for row, ids in zip(pooled, kept, strict=True):
        alone = ops.convert_to_numpy(model(np.array([ids], "int32")))[0]
        assert_close(row, alone, atol=1e-6)


def test_a_mask_computed_in_the_model_is_obeyed_and_saved(tmp_path):
    tokens = keras.Input((None,), dtype="int32")
    cut = SequenceTruncation(3, "end")(tokens, mask=ops.not_equal(tokens, 0))
    assert tuple(cut.shape) == (None, None)
    assert cut.dtype == "int32"
    model = keras.Model(tokens, cut)
    assert_equal(model(ROWS), KEPT["end"])
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy(ROWS), KEPT["end"])


@both_ends
def test_a_model_comes_back_from_its_file(keep, tmp_path):
    model = model_on_ids(keep)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy(ROWS), model(ROWS))


def test_the_mask_adds_one_node_to_a_model_at_most():
    names = [type(operation).__name__ for operation in model_on_ids().operations]
    layers = ["InputLayer", "Embedding", "SequenceTruncation", "AttentionPooling"]
    # Keras 3.15 makes nodes of masks, that of the embedding too, and Keras 3.16 none.
    of_masks = [] if "NotEqual" not in names else ["NotEqual", "SequenceTruncation"]
    assert sorted(names) == sorted(layers + of_masks)


@pytest.mark.first_quick
@pytest.mark.tensorflow_only
@both_ends
def test_an_exported_model_still_masks(keep, tmp_path):
    import tensorflow as tf

    model = model_on_ids(keep)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    for ids in (ROWS, ROWS[:, :2], ROWS[:1], ROWS[:0], ROWS[:, :0]):
        expected = model(ids)
        assert_close(loaded.serve(ids), expected, atol=1e-6)


@pytest.mark.not_torch
@pytest.mark.slow
def test_trains_with_jit():
    model = model_on_ids()
    model.compile("adam", "mse", jit_compile=True)
    history = model.fit(ROWS, np.ones((7, 8)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize(("time", "expected"), [(None, None), (2, 2), (3, 3), (900, 3)])
def test_declared_time_is_the_shorter_of_both(time, expected):
    declared = SequenceTruncation(3)(keras.Input((time, 4)))
    assert tuple(declared.shape) == (None, expected, 4)


@pytest.mark.parametrize("shape", [(3, 2), (2, 4), (3, 4, 1)])
def test_refuses_a_mask_of_other_shape(shape):
    with pytest.raises(ValueError, match=r"of what it masks.*mask.shape=\(\d, "):
        SequenceTruncation(2)(np.ones((3, 4)), mask=np.ones(shape, bool))


def test_refuses_a_vector_per_row():
    with pytest.raises(ValueError, match="min_ndim=2"):
        SequenceTruncation()(np.ones(3))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_length": 0}, "number of steps to keep.*at least 1"),
        ({"max_length": 2.5}, "number of steps to keep.*an integer"),
        ({"keep": "post"}, "end that survives.*'start', 'end'"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        SequenceTruncation(**arguments)


def test_a_short_sequence_does_not_put_its_mask_on_the_tensor_it_was_given():
    tokens = ops.convert_to_tensor(np.array([[5, 6, 0]], "int32"))
    cut = SequenceTruncation(4)(tokens, mask=ops.not_equal(tokens, 0))
    assert_equal(cut, [[5, 6, 0]])
    assert_equal(cut._keras_mask, [[True, True, False]])
    assert getattr(tokens, "_keras_mask", None) is None
