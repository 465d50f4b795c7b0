import keras
import numpy as np
import pytest

from keras_trainkit._statistics import rows, rows_of

DATA = np.arange(12.0).reshape(2, 3, 2)
FLAT = DATA.reshape(6, 2)


class Batches(keras.utils.PyDataset):
    """Two batches `(x, y)`; endless if told so."""

    def __init__(self, endless=False):
        super().__init__()
        self.endless = endless

    @property
    def num_batches(self):
        return None if self.endless else 2

    def __getitem__(self, index):
        return FLAT[3 * index : 3 * index + 3], np.zeros(3)


def read(data, **kwargs):
    return np.concatenate(list(rows_of(data, **kwargs)))


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        DATA.tolist(),
        list(zip(FLAT[:, 0], FLAT[:, 1], strict=True)),  # numbers of NumPy
        [list(row) for row in FLAT],
        DATA.astype("int64"),
        FLAT.astype("float16"),
        keras.ops.convert_to_tensor(DATA),
        [FLAT[:1], FLAT[1:]],
        (batch for batch in (FLAT[:4], FLAT[4:])),
        [(FLAT[:4], "y"), (FLAT[4:], "y", "weight")],
        [[FLAT[:4], np.zeros(4)], [FLAT[4:], np.zeros(2)]],
        Batches(),
    ],
    ids=lambda data: type(data).__name__,
)
def test_every_kind_of_data_gives_the_same_rows(data):
    np.testing.assert_array_equal(read(data), FLAT)


def test_pandas_and_tf_data_give_the_same_rows():
    pandas = pytest.importorskip("pandas")
    tf = pytest.importorskip("tensorflow")
    np.testing.assert_array_equal(read(pandas.DataFrame(FLAT)), FLAT)
    pairs = tf.data.Dataset.from_tensor_slices((FLAT, np.zeros(6))).batch(4)
    np.testing.assert_array_equal(read(pairs), FLAT)


def test_ragged_sequences_give_their_own_steps():
    tf = pytest.importorskip("tensorflow")
    ragged = tf.RaggedTensor.from_row_lengths(FLAT, [1, 0, 5])
    np.testing.assert_array_equal(read(ragged), FLAT)


def test_a_large_array_is_read_in_chunks(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_VALUES", 8)
    assert [len(part) for part in rows_of(FLAT)] == [4, 2]


def test_masked_steps_are_left_out_even_if_infinite():
    data = DATA.copy()
    data[1, 2] = np.inf
    mask = np.array([[True, False, True], [True, True, False]])
    np.testing.assert_array_equal(read(data, mask=mask), FLAT[[0, 2, 3, 4]])


def test_batches_take_one_mask_each():
    masks = [np.array([True, False]), np.array([False, True, True, False])]
    found = read([FLAT[:2], FLAT[2:]], mask=masks)
    np.testing.assert_array_equal(found, FLAT[[0, 3, 4]])


def test_a_step_goes_only_if_all_its_features_equal_the_mask_value():
    found = read(np.array([[7.0, 7.0], [7.0, 2.0]]), mask_value=7)
    np.testing.assert_array_equal(found, [[7, 2]])


@pytest.mark.parametrize(
    ("data", "mask", "words"),
    [
        (np.zeros(3), None, r"must be batched first.* Received: shape=\(3,\)"),
        (np.zeros((3, 0)), None, r"Received: shape=\(3, 0\)"),
        ([["a", "b"]], None, "arrays of real numbers.* Received: dtype=<U1"),
        ([[1.0], [2.0, 3.0]], None, "arrays of real numbers"),
        ((FLAT, FLAT), None, "pass x alone.* Received: a tuple of 2"),
        ([({"a": FLAT}, 0)], None, "Received: dtype=object"),
        ({"a": FLAT}, None, "Received: data of type dict"),
        (5, None, "Received: data of type int"),
        (Batches(endless=True), None, "Received: an endless Batches"),
        (np.array([[1, np.inf], [2, 3]]), None, "infinite values in feature 1 of"),
        (FLAT, np.ones(6), "must hold booleans.* Received: dtype=float64"),
        (FLAT, np.ones(5, bool), r"\(6,\). Received: dtype=bool, shape=\(5,\)"),
        ([FLAT], [], "one array for each batch.* Received: fewer masks"),
        ([FLAT], [np.ones(6, bool)] * 2, "Received: more masks than batches"),
    ],
)
def test_what_cannot_be_read_is_named(data, mask, words):
    with pytest.raises(ValueError, match=words):
        read(data, mask=mask)


def test_a_dataset_without_end_is_refused():
    tf = pytest.importorskip("tensorflow")
    endless = tf.data.Dataset.from_tensors(FLAT).repeat()
    with pytest.raises(ValueError, match="leave `repeat\\(\\)` out"):
        read(endless)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_tensors_in_half_precision_are_read_as_numbers(dtype):
    given = [[0.5, 2.0], [-1.5, 3.0]]
    np.testing.assert_array_equal(read(keras.ops.cast(given, dtype)), given)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_mask_value_is_rounded_as_the_data_are(dtype):
    data = np.array([[0.1, 0.1], [0.1, 2.0]], dtype)
    np.testing.assert_array_equal(read(data, mask_value=0.1), data[1:])


def test_a_mask_value_between_whole_numbers_masks_none():
    assert len(read(np.array([[0, 0], [1, 1]]), mask_value=0.1)) == 2
