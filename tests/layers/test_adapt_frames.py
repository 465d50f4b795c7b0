"""Every layer that adapts to arrays reads frames of any types as numbers."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_trainkit.layers import (
    FeatureSelection,
    MinMaxScaling,
    PCAProjection,
    PiecewiseLinearEmbedding,
    RobustScaling,
    StandardScaling,
    TemperatureScaling,
)

NAN = float("nan")
ROWS = 30
X = np.stack(
    [np.arange(ROWS) % 7, np.arange(ROWS) ** 2 / 8, np.arange(ROWS) % 2], axis=1
).astype("float64")
X[3, 0], X[5, 1] = NAN, NAN
Y = (np.arange(ROWS) % 2).astype("int64")


def arrow(values, kind):
    values = [None if v != v else v for v in values]
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def objects(values, kind):
    plain = np.asarray(values).tolist()
    return pd.Series([None if v != v else kind(v) for v in plain], dtype=object)


FRAMES = {
    "nullable": pd.DataFrame(
        {
            "a": pd.array(X[:, 0], "Int64"),
            "b": pd.array(X[:, 1], "Float64"),
            "c": pd.array(X[:, 2] == 1, "boolean"),
        }
    ),
    "Arrow": pd.DataFrame(
        {
            "a": arrow(X[:, 0], pa.int16()),
            "b": arrow(map(decimal.Decimal, X[:, 1]), pa.decimal128(12, 3)),
            "c": arrow(X[:, 2] == 1, pa.bool_()),
        }
    ),
    "mixed": pd.DataFrame(
        {
            "a": pd.array(X[:, 0], "Int64"),
            1: X[:, 1],
            "c": pd.Series(X[:, 2]).astype("category"),
        }
    ),
    "objects": pd.DataFrame(
        {
            "a": objects(X[:, 0], int),
            "b": objects(X[:, 1], decimal.Decimal),
            "c": objects(X[:, 2], bool),
        }
    ),
    "sparse": pd.DataFrame(X, columns=["a", "b", "c"]).astype("Sparse[float]"),
    "a name twice": pd.DataFrame(X, columns=["a", "a", "b"]).astype("Float64"),
    "booleans beside floats": pd.DataFrame(
        {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2] == 1}
    ),
    "object array": np.array([[None if v != v else v for v in row] for row in X]),
    "nested lists": [[None if v != v else v for v in row] for row in X.tolist()],
    "masked": np.ma.array(np.nan_to_num(X, nan=9e9), mask=np.isnan(X)),
}
LAYERS = {
    "StandardScaling": StandardScaling,
    "MinMaxScaling": MinMaxScaling,
    "RobustScaling": RobustScaling,
    "PCAProjection": lambda: PCAProjection(2),
    "PiecewiseLinearEmbedding": lambda: PiecewiseLinearEmbedding(4, 2),
    "FeatureSelection": lambda: FeatureSelection(1),
}


def learned(layer, data):
    """The weights that `adapt` sets."""
    if isinstance(layer, FeatureSelection):
        layer.adapt(data, Y, task="classification")
    else:
        layer.adapt(data)
    return [np.asarray(w) for w in layer.non_trainable_weights]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("frame", FRAMES)
def test_frames_teach_what_their_numbers_teach(layer, frame):
    came = learned(LAYERS[layer](), FRAMES[frame])
    for array, expected in zip(came, learned(LAYERS[layer](), X), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_batches_may_be_frames():
    scaling = StandardScaling()
    scaling.adapt(FRAMES["Arrow"].iloc[i : i + 7] for i in range(0, ROWS, 7))
    whole = StandardScaling()
    whole.adapt(X)
    np.testing.assert_array_equal(scaling.center, whole.center)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["x"] * ROWS, "texts in 'town'"),
        (pd.date_range("2020-01-01", periods=ROWS), "datetimes in 'town'"),
        (pd.cut(np.arange(ROWS), 3), "Interval in 'town'"),
        ([1, "x"] * (ROWS // 2), "texts in 'town'"),
        ([{}] * ROWS, "dict in 'town'"),
        (np.ones(ROWS, "complex64"), "dtype=complex64 for 'town'"),
    ],
)
@pytest.mark.parametrize("layer", ["RobustScaling", "FeatureSelection"])
def test_a_column_of_a_frame_that_holds_no_numbers_is_named(layer, column, words):
    frame = FRAMES["nullable"].assign(town=column)
    with pytest.raises(ValueError, match=f"`data` .* real numbers.* Received: {words}"):
        learned(LAYERS[layer](), frame)


def test_a_feature_of_an_array_that_holds_no_numbers_is_named():
    array = np.array([[1, "x", None, {}]], object)
    with pytest.raises(
        ValueError, match="Received: dtype=object, dict, str in feature 1, 3 of the"
    ):
        StandardScaling().adapt(array)


def test_numbers_beyond_float64_are_infinite():
    with pytest.raises(ValueError, match="infinite values in feature 1"):
        StandardScaling().adapt([[1, 10**400], [2, 3]])


TARGETS = {
    "nullable": pd.array(Y, "Int64"),
    "Arrow": arrow(Y, pa.int8()),
    "Arrow's booleans": arrow(Y == 1, pa.bool_()),
    "decimals": objects(Y, decimal.Decimal),
    "mixed": pd.Series([True, 0.0, 1, 0] * 7 + [1, 0], dtype=object),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_features_are_scored_by_targets_of_any_type(name, task):
    selection, expected = FeatureSelection(1), FeatureSelection(1)
    selection.adapt(X, TARGETS[name], task=task)
    expected.adapt(X, Y, task=task)
    np.testing.assert_array_equal(selection.scores, expected.scores)


@pytest.mark.parametrize("missing", [pd.NA, None, NAN, decimal.Decimal("sNaN"), pd.NaT])
def test_a_missing_target_is_counted_whatever_stands_for_it(missing):
    targets = pd.Series([missing, *Y[1:].tolist()], dtype=object)
    with pytest.raises(ValueError, match="Received: 1 that are not"):
        FeatureSelection(1).adapt(X, targets, task="classification")


def test_targets_of_two_types_are_refused():
    targets = ["a", 1] * (ROWS // 2)
    with pytest.raises(ValueError, match="must be of one type"):
        FeatureSelection(1).adapt(X, np.array(targets, object), task="classification")
    with pytest.raises(
        ValueError, match="`targets` of a regression .* dtype=object, str"
    ):
        FeatureSelection(1).adapt(X, np.array(targets, object), task="regression")


LOGITS = np.array([[2.0, 0.5], [0.25, 1.0], [1.0, 0.5], [0.0, 0.75]])
LABELS = [0, 1, 1, 0]


@pytest.mark.parametrize(
    "kind", ["Float64", pd.ArrowDtype(pa.float64()), object], ids=str
)
@pytest.mark.parametrize(
    "labels",
    [
        pd.array(LABELS, "Int64"),
        arrow(np.array(LABELS) == 1, pa.bool_()),
        objects(LABELS, decimal.Decimal),
        pd.DataFrame({"y": pd.array(LABELS, "boolean")}),
    ],
    ids=["nullable", "Arrow", "decimals", "frame"],
)
def test_the_temperature_is_that_of_the_numbers(kind, labels):
    scaling, expected = TemperatureScaling(), TemperatureScaling()
    scaling.adapt(pd.DataFrame(LOGITS).astype(kind), labels)
    expected.adapt(LOGITS, LABELS)
    assert float(scaling.temperature) == float(expected.temperature)


def test_logits_and_labels_that_are_no_numbers_are_named():
    frame = pd.DataFrame(LOGITS).assign(town="x")
    with pytest.raises(ValueError, match="`logits` .* Received: texts in 'town'"):
        TemperatureScaling().adapt(frame, LABELS)
    with pytest.raises(ValueError, match="`y` .* Received: dtype=object, str"):
        TemperatureScaling().adapt(LOGITS, np.array(["a", 1, 1, 0], object))
    with pytest.raises(ValueError, match="`y` are the labels"):
        TemperatureScaling().adapt(LOGITS, pd.array([0, 1, 1, None], "Int64"))
