import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal, rounding
from keras import ops

from keras_trainkit.layers import CategoricalEmbedding


def test_few_codes_are_one_hot():
    layer = CategoricalEmbedding([3, 2], one_hot_up_to=3)
    outputs = layer(np.array([[2, 0], [0, 1]]))
    assert_equal(outputs, [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
    assert layer.weights == [] and layer.widths == [3, 2]


def test_many_codes_are_rows_of_one_table():
    layer = CategoricalEmbedding([4, 6], units=5, one_hot_up_to=3)
    outputs = layer(np.array([[3, 0], [1, 5]]))
    table = ops.convert_to_numpy(layer.vectors)  # 4 rows, then 6
    assert table.shape == (10, 5)
    expected = [[*table[3], *table[4 + 0]], [*table[1], *table[4 + 5]]]
    assert_equal(outputs, expected)
    assert layer.widths == [5, 5]


def test_one_hot_columns_come_first_then_the_vectors():
    layer = CategoricalEmbedding([4, 2, 6, 3], units=5, one_hot_up_to=3)
    outputs = layer(np.array([[3, 1, 2, 0]]))
    table = ops.convert_to_numpy(layer.vectors)
    assert_equal(outputs, [[0, 1, 1, 0, 0, *table[3], *table[4 + 2]]])
    assert layer.widths == [2, 3, 5, 5]
    assert layer.compute_output_shape((None, 4)) == (None, 15)


@pytest.mark.parametrize("code", [-1, 4, 99, -99])
def test_codes_out_of_range_give_zeros(code):
    layer = CategoricalEmbedding([4, 4], units=5, one_hot_up_to=4)
    assert_equal(layer(np.array([[code, code]])), np.zeros((1, 8)))
    layer = CategoricalEmbedding([4, 4], units=5, one_hot_up_to=0)
    assert_equal(layer(np.array([[code, code]])), np.zeros((1, 10)))


def test_codes_given_as_floats_survive_half_precision():
    layer = CategoricalEmbedding([3, 3000], 5, dtype="mixed_bfloat16")
    outputs = layer(np.array([[2.0, 2999.0], [0.0, 257.0]], "float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert_close(
        ops.cast(outputs, "float32")[:, 3:],
        ops.convert_to_numpy(layer.vectors)[[2999, 257]],
        rtol=rounding("bfloat16"),
    )


def test_comes_back_from_a_file(tmp_path):
    inputs = keras.Input((2,), dtype="int32", name="codes")
    model = keras.Model(inputs, CategoricalEmbedding([3, 9])(inputs))
    codes = np.array([[2, 8], [0, 3]])
    expected = model.predict(codes, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(loaded.predict(codes, verbose=0), expected)


def test_a_table_without_such_columns_gives_no_numbers():
    assert CategoricalEmbedding([])(np.zeros((5, 0), int)).shape == (5, 0)


def test_refuses_another_number_of_columns():
    with pytest.raises(ValueError, match=r"shape \(batch, 2\). Received: .*\(5, 3\)"):
        CategoricalEmbedding([3, 4])(np.zeros((5, 3), int))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sizes": {3: 4}}, "number of codes per column and must be a tuple or list"),
        ({"sizes": 3}, "number of codes per column .* sizes=3"),
        ({"sizes": [3, 0]}, r"`sizes\[1\]` is the number of codes .* at least 1"),
        ({"sizes": [3], "units": 0}, "`units` is the length .* at least 1"),
        ({"sizes": [3], "one_hot_up_to": -1}, "`one_hot_up_to` .* at least 0"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        CategoricalEmbedding(**arguments)
