"""`models.bilstm_attention` with word vectors that the caller brings."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit.models import bilstm_attention

MATRIX = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")
TOKENS = np.array([[5, 3, 9, 1, 0, 0], [2, 0, 0, 0, 0, 0], [4, 4, 8, 1, 7, 6]])


def tokens(matrix=MATRIX, **arguments):
    arguments = {"vocabulary_size": 12, "embedding_units": 5, **arguments}
    return bilstm_attention((None,), 3, (4,), embedding_matrix=matrix, **arguments)


def vectors_of(model):
    return ops.convert_to_numpy(model.get_layer("embedding").embeddings)


@pytest.mark.parametrize(
    "given",
    [MATRIX, MATRIX.tolist(), MATRIX.astype("float64"), ops.convert_to_tensor(MATRIX)],
    ids=["array", "list", "float64", "tensor"],
)
def test_vectors_are_those_given(given):
    assert np.array_equal(vectors_of(tokens(given)), MATRIX)


def test_vectors_of_half_precision_are_widened():
    given = ops.cast(MATRIX, "bfloat16")
    expected = ops.convert_to_numpy(ops.cast(given, "float32"))
    assert np.array_equal(vectors_of(tokens(given)), expected)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    "is_trained", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_training_changes_them_or_not(is_trained):
    model = tokens(train_embedding=is_trained, dropout=0.0)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(TOKENS, np.ones((3, 3)))
    changed = (vectors_of(model) != MATRIX).any(axis=1)
    words = np.isin(np.arange(12), TOKENS[TOKENS > 0])
    assert np.array_equal(changed, words & is_trained)  # padding's never


def test_the_callers_array_is_not_trained_with_them():
    given = MATRIX.copy()
    model = tokens(given)
    model.get_layer("embedding").embeddings.assign(np.zeros((12, 5)))
    assert np.array_equal(given, MATRIX)


def test_a_file_has_them_once(tmp_path):
    large = np.random.default_rng(0).normal(size=(5000, 20)).astype("float32")
    sizes = {"vocabulary_size": 5000, "embedding_units": 20}
    model = tokens(large, train_embedding=False, **sizes)
    model.save(tmp_path / "model.keras")
    size = (tmp_path / "model.keras").stat().st_size
    assert large.nbytes < size < 1.5 * large.nbytes
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(vectors_of(loaded), large)
    assert loaded.get_layer("embedding").trainable is False


NAN, HUGE = MATRIX.copy(), MATRIX.astype("float64")
NAN[3, 1], HUGE[[4, 7], 1] = np.nan, 1e300


@pytest.mark.parametrize(
    ("matrix", "arguments", "message"),
    [
        (MATRIX[1:], {}, r"here \(12, 5\)\. Received: float32 of the shape \(11, 5\)"),
        (MATRIX.T, {}, r"the shape \(vocabulary_size, embedding_units\), here"),
        (MATRIX, {"embedding_units": 128}, r"here \(12, 128\)"),
        (MATRIX[0], {}, r"of the shape \(5,\)"),
        (MATRIX.astype(str), {}, "must be numbers of the shape"),
        (MATRIX > 0, {}, "must be numbers .*Received: bool"),
        ([[1.0], [2.0, 3.0]], {}, "Received: lists of unequal lengths"),
        ("glove", {}, "`embedding_matrix` holds the vectors of the token ids"),
        (NAN, {}, "must be finite.*1 rows .*such as row 3"),
        (HUGE, {}, "must be finite.*2 rows .*beyond float32, such as row 4"),
        (MATRIX, {"train_embedding": 0}, "`train_embedding` lets training .*True or"),
        (None, {"train_embedding": False}, "must be True without `embedding_matrix`"),
    ],
)
def test_refuses(matrix, arguments, message):
    with pytest.raises(ValueError, match=message):
        tokens(matrix, **arguments)


def test_refuses_vectors_for_floats():
    with pytest.raises(ValueError, match="must be None without `vocabulary_size`"):
        bilstm_attention((None, 2), 3, embedding_matrix=MATRIX)
