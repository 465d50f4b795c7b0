import keras
import numpy as np
import pytest

from keras_trainkit._arrays import BlockBuffer, as_numpy, class_labels, without_masks


def test_a_tensor_and_a_list_become_the_same_array():
    tensor = as_numpy(keras.ops.convert_to_tensor([1.5, 2.5]))
    np.testing.assert_array_equal(tensor, as_numpy([1.5, 2.5]))
    assert isinstance(tensor, np.ndarray)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.ma.array([1, -9], mask=[False, True]), [1, np.nan]),
        (np.ma.array([True, True], mask=[True, False]), [np.nan, 1]),
        ([np.ma.array([1, -9], mask=[0, 1]), [3, 4]], [[1, np.nan], [3, 4]]),
        ([2.5, np.ma.masked], [2.5, np.nan]),
    ],
)
def test_a_masked_number_is_nan_and_not_what_lies_below_the_mask(values, expected):
    found = as_numpy(values)
    assert found.dtype == "float64"
    np.testing.assert_array_equal(found, expected)


def test_float32_keeps_its_type_and_integers_without_a_masked_one_theirs():
    narrow = np.ma.array(np.float32([1, 2]), mask=[False, True])
    assert as_numpy(narrow).dtype == "float32"
    whole = as_numpy(np.ma.array([2**60 + 1, 2], mask=[False, False]))
    assert whole.tolist() == [2**60 + 1, 2]


def test_a_masked_text_or_date_is_none():
    texts = without_masks(np.ma.array(["a", "b"], mask=[True, False]))
    assert texts.tolist() == [None, "b"]
    days = np.ma.array(np.array(["2020-01-01"], "datetime64[D]"), mask=[True])
    assert without_masks(days).tolist() == [None]


def test_labels_in_a_column_become_whole_numbers():
    labels = class_labels(np.array([[0.0], [2.0]]), rows=2, classes=3)
    assert labels.dtype == "int64"
    assert labels.tolist() == [0, 2]


def test_one_output_tells_two_classes_apart():
    assert class_labels(np.array([True, False]), rows=2, classes=1).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"0 to 1\. Received: int64 .*: \[0 2\]"):
        class_labels(np.array([0, 2]), rows=2, classes=1)


@pytest.mark.parametrize("y", [[0, 1, 2], ["0", "1"], [[0, 1], [1, 0]]])
def test_labels_of_another_shape_or_type_are_refused(y):
    with pytest.raises(ValueError, match="one for each of the 2 rows"):
        class_labels(np.array(y), rows=2, classes=3)


@pytest.mark.parametrize("sizes", [[10], [1] * 10, [3, 0, 6, 1], [7, 3]])
def test_blocks_do_not_depend_on_how_rows_came(sizes):
    buffer, blocks = BlockBuffer(4), []
    for part in np.split(np.arange(10), np.cumsum(sizes)[:-1]):
        blocks += [block.tolist() for block in buffer.add(part)]
    assert blocks == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert buffer.num_rows == 2
    assert buffer.take_rest().tolist() == [8, 9]
    assert buffer.num_rows == 0
