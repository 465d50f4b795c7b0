import math

import keras
import numpy as np
import pytest
from backend_gradients import gradients
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.layers import PiecewiseLinearEmbedding

rng = np.random.default_rng(0)
# many values; three values, one of them frequent; constant
ROWS = np.stack(
    [rng.normal(size=90), np.repeat([-1.0, 0.0, 2.0], [10, 60, 20]), np.full(90, 0.7)],
    axis=1,
)
# below, inside and beyond the data; the last feature was constant
QUERIES = np.array(
    [[-4.0, -2.5, -3.0], [-0.3, -0.25, 0.7], [0.6, 1.5, 0.7], [4.0, 3.0, 5.0]]
)


def adapted(bins=7, units=5, data=ROWS, **kwargs):
    layer = PiecewiseLinearEmbedding(bins, units, **kwargs)
    layer.adapt(data)
    layer.kernel.assign(np.random.default_rng(1).normal(size=layer.kernel.shape))
    return layer


def edges_of(column, bins):
    """The rows of rank 0, n / bins, 2 n / bins, ...; all values where they are few."""
    distinct, rows = np.unique(column), np.sort(column)
    if len(distinct) <= bins + 1:
        return distinct
    ranks = [max(math.ceil(t * len(rows) / bins), 1) for t in range(bins + 1)]
    return rows[np.array(ranks) - 1]


def encoding(x, edges):
    """Equation 1 of the paper, for one number."""
    last = len(edges) - 1
    shares = []
    for t in range(1, last + 1):
        share = (x - edges[t - 1]) / (edges[t] - edges[t - 1])
        if x < edges[t - 1] and t > 1:
            share = 0.0
        if x >= edges[t] and t < last:
            share = 1.0
        shares.append(share)
    return np.array(shares)


def by_hand(layer, queries, data=ROWS):
    slope, bias, kernel = (
        ops.convert_to_numpy(w).astype("float64")
        for w in (layer.slope, layer.bias, layer.kernel)
    )
    outputs = queries[:, :, None] * slope + bias
    for feature in range(data.shape[1]):
        edges = edges_of(data[:, feature], layer.bins)
        for row, x in enumerate(queries[:, feature]):
            shares = encoding(x, edges)
            outputs[row, feature] += shares @ kernel[feature, : len(shares)]
    return outputs


@pytest.mark.parametrize("bins", [1, 2, 7])
def test_equals_the_formula_of_the_paper_inside_and_beyond_the_data(bins):
    layer = adapted(bins)
    assert_close(layer(QUERIES), by_hand(layer, QUERIES), rtol=1e-5, atol=1e-5)
    assert_close(layer(ROWS), by_hand(layer, ROWS), rtol=1e-5, atol=1e-5)


def test_shares_are_the_encoding_of_the_paper():
    layer = adapted(3)
    found = keras.ops.convert_to_numpy(layer.shares(QUERIES))
    assert found.shape == (4, 3, 3)
    for feature in range(3):
        edges = edges_of(ROWS[:, feature], 3)
        for row, x in enumerate(QUERIES[:, feature]):
            expected = np.zeros(3)
            expected[: len(edges) - 1] = encoding(x, edges)
            assert_close(found[row, feature], expected, atol=1e-6)


def test_shares_are_not_told_before_adapt():
    layer = PiecewiseLinearEmbedding()
    layer.build((None, 3))
    with pytest.raises(ValueError, match="cuts the range of each feature as it learns"):
        layer.shares(QUERIES)


def test_one_feature_with_round_numbers():
    layer = adapted(2, 1, np.array([[0.0], [1.0], [5.0]]))  # bins [0, 1] and [1, 5]
    layer.slope.assign([[0.5]])
    layer.bias.assign([[10.0]])
    layer.kernel.assign([[[2.0], [8.0]]])
    outputs = layer(np.array([[-1.0], [0.5], [1.0], [3.0], [9.0]]))
    # 10 + x / 2, then 2 and 8 times the shares of the bins
    expected = [9.5 - 2, 10.25 + 1, 10.5 + 2, 11.5 + 2 + 4, 14.5 + 2 + 16]
    assert_close(ops.reshape(outputs, (-1,)), expected, rtol=1e-6)


def test_starts_as_a_linear_embedding():
    layer = PiecewiseLinearEmbedding(7, 5)
    layer.adapt(ROWS)
    linear = QUERIES[:, :, None] * ops.convert_to_numpy(layer.slope)
    assert_close(layer(QUERIES), linear + ops.convert_to_numpy(layer.bias), rtol=1e-5)


def test_a_frequent_value_takes_one_edge_and_leaves_the_bins_to_the_rest():
    # 0 in 90 rows of 100, then 1 to 10 once each: 0 counts as 2.5 rows, a quarter of
    # the others. Edges after 0, 2.5, 5, 7.5, 10 and 12.5 rows.
    column = np.concatenate([np.zeros(90), np.arange(1, 11)])[:, None]
    layer = adapted(5, data=np.random.default_rng(2).permutation(column))
    assert np.unique(ops.convert_to_numpy(layer.edges)).tolist() == [0, 3, 5, 8, 10]


def test_bins_hold_as_many_rows_each_but_for_frequent_values():
    rng = np.random.default_rng(4)
    column = np.concatenate([np.full(5000, 0.3), rng.normal(size=2000)])
    edges = np.unique(ops.convert_to_numpy(adapted(21, data=column[:, None]).edges))
    assert np.float32(0.3) in edges and len(edges) == 22
    rows, _ = np.histogram(column[column != 0.3].astype("float32"), edges)
    assert (np.abs(rows - 2000 / 20) <= 60).all() and np.median(rows) == 100


def test_a_feature_of_few_values_has_a_bin_between_each():
    layer = adapted(30)
    edges = ops.convert_to_numpy(layer.edges)
    assert np.unique(edges[1]).tolist() == [-1, 0, 2]
    assert np.unique(edges[2]).tolist() == [np.float32(0.7)]
    assert_close(layer(QUERIES), by_hand(layer, QUERIES), rtol=1e-5, atol=1e-5)


def test_a_constant_feature_keeps_the_linear_part_alone():
    layer = adapted()
    before = ops.convert_to_numpy(layer(QUERIES))
    layer.kernel.assign(0 * layer.kernel)
    after = ops.convert_to_numpy(layer(QUERIES))
    assert_equal(before[:, 2], after[:, 2])
    assert not np.allclose(before[:, :2], after[:, :2])


def test_nan_stays_nan_in_its_feature_and_is_skipped_by_adapt():
    holes = np.concatenate([ROWS, [[np.nan] * 3] * 5])
    layer = adapted(data=holes)
    assert_equal(layer.edges, adapted().edges)
    outputs = ops.convert_to_numpy(layer(np.array([[np.nan, 1.0, np.nan]])))
    assert np.isnan(outputs[0, [0, 2]]).all() and np.isfinite(outputs[0, 1]).all()


def test_infinite_values_do_not_pass_for_numbers():
    outputs = adapted()(np.array([[np.inf] * 3, [-np.inf] * 3]))
    assert not np.isfinite(ops.convert_to_numpy(outputs)).any()


@pytest.mark.parametrize("portion", [1, 32])
def test_order_and_portions_do_not_matter(portion):
    shuffled = np.random.default_rng(3).permutation(ROWS)
    parts = (shuffled[i : i + portion] for i in range(0, 90, portion))
    assert_equal(adapted(data=parts).edges, adapted().edges)


def test_gradients_are_finite_and_the_edges_are_not_trained():
    layer = adapted()
    assert len(layer.trainable_weights) == 3
    for weight in layer.trainable_weights:
        value = ops.convert_to_numpy(weight)

        def total(values, weight=weight):
            with keras.StatelessScope([(weight, values)]):
                return ops.sum(layer(QUERIES.astype("float32")) ** 2)

        (slope,) = gradients(total, [value])
        assert np.isfinite(slope).all() and slope.any()


def test_half_precision_begins_after_the_shares():
    layer = adapted(dtype="mixed_float16", data=1e5 + ROWS)
    shares = layer(1e5 + ROWS) - layer(1e5 + 0 * ROWS + ROWS.mean(0))
    assert keras.backend.standardize_dtype(shares.dtype) == "float16"
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    layer = adapted(dtype="mixed_float16")
    assert_close(layer(ROWS), by_hand(layer, ROWS), rtol=0.01, atol=0.02)


def test_comes_back_from_a_file_with_its_bins(tmp_path):
    inputs = keras.Input((3,), name="features")
    model = keras.Model(inputs, adapted()(inputs))
    expected = model.predict(QUERIES, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded.predict(QUERIES, verbose=0), expected, rtol=1e-6)


def test_call_before_adapt_gives_an_error_or_nan_but_never_numbers():
    words = r"cuts the range of each feature .* call `adapt\(data\)`, or load weights"
    with pytest.raises(ValueError, match=words):
        PiecewiseLinearEmbedding()(QUERIES)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, PiecewiseLinearEmbedding(3, 2)(inputs))
    if keras.config.backend() == "jax":  # cannot raise in a compiled step
        assert np.isnan(model.predict(QUERIES, verbose=0)).all()
    else:
        with pytest.raises(ValueError, match=words):
            model.predict(QUERIES, verbose=0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "must be one array|at least one row|real numbers"),
        (iter(()), "at least one row. Received: none"),
        ([[1.0, np.nan], [2.0, np.nan]], "only NaN in feature 1 of the last axis"),
        ([[1.0, np.inf], [2.0, 3.0]], "infinite values in feature 1"),
        ([[1.0, 2e38], [2.0, 3.0]], "within 1.7e38. Received: larger ones in .* 1"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "built for 3 .* data with 4 features"),
    ],
)
def test_refuses_data_without_bins(data, words):
    with pytest.raises(ValueError, match=words):
        PiecewiseLinearEmbedding().adapt(data)


@pytest.mark.parametrize("shape", [(None, None), (None, 5, 3), (None, 0)])
def test_refuses_inputs_that_are_no_features(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, features\), features known"):
        PiecewiseLinearEmbedding().build(shape)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bins": 0}, "`bins` is the most bins per feature .* at least 1"),
        ({"units": 2.0}, "`units` is the length of the vector .* units=2.0"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        PiecewiseLinearEmbedding(**arguments)
