"""Tables of any library are read alike: names, order of rows, gaps, types."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from keras_trainkit._tables.columns import read
from keras_trainkit.estimators._frames import read_table
from keras_trainkit.layers import TableEncoder

pytestmark = pytest.mark.backend_free

ROWS = pa.table({"a": [1, 2]})
DAYS = [datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1)]
COLUMNS = {
    "number": [1.0, None, 3.5],
    "text": ["a", None, "b"],
    "day": DAYS,
    "flag": [True, None, False],
    "kind": ["u", "v", None],
}


def of_pandas():
    frame = pd.DataFrame(COLUMNS, index=[7, 7, 3])
    frame["day"] = pd.to_datetime(frame["day"])
    return frame.astype({"kind": "category"})


def of_pyarrow():
    table = pa.table(COLUMNS)
    return table.set_column(4, "kind", table["kind"].dictionary_encode())


def of_a_batch():
    return of_pyarrow().to_batches()[0]


def of_arrays():
    return {name: of_a_batch()[name] for name in COLUMNS}


def of_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(COLUMNS)
    return frame.with_columns(polars.col("kind").cast(polars.Categorical))


@pytest.mark.parametrize(
    "make",
    [of_pandas, of_pyarrow, of_a_batch, of_arrays, of_polars, lambda: COLUMNS],
)
def test_rows_are_taken_by_number_from_tables_of_any_library(make):
    rows = read_table(make(), "X").take(np.array([2, 0, 1, 1]))
    assert (rows.rows, rows.named, list(rows.columns)) == (4, True, list(COLUMNS))
    encoder = TableEncoder(scaling=None)
    encoder.adapt(rows.columns)
    arrays = encoder(rows.columns)
    assert encoder.numeric_names[0] == "number"
    assert arrays["numeric"][:, 0].tolist() == [3.5, 1, 2.25, 2.25]
    codes = dict(zip(encoder.categorical_names, arrays["categorical"].T, strict=True))
    assert codes["text"].tolist() == [3, 2, 0, 0]
    assert codes["kind"].tolist() == [0, 3, 2, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.array([[1.0, 2.5], [3.0, 4.0]]),
        lambda: [[1, 2.5], [3, 4]],
        lambda: pd.DataFrame([[1, 2.5], [3, 4]]),  # named by numbers
        lambda: np.ma.MaskedArray([[1.0, 2.5], [3.0, 4.0]]),
    ],
)
def test_columns_without_names_are_named_by_position(make):
    table = read_table(make(), "X")
    assert (list(table.columns), table.named) == (["x0", "x1"], False)
    assert np.asarray(table.columns["x1"]).tolist() == [2.5, 4.0]


def test_rows_of_values_of_several_types_keep_them():
    columns = read_table([[1, "a"], [None, "b"]], "X").columns
    assert columns["x0"].tolist() == [1, None]
    assert columns["x1"].tolist() == ["a", "b"]


def test_masked_values_are_missing():
    masked = np.ma.MaskedArray([[1.0], [2.0]], [[False], [True]])
    columns = read_table(masked, "X").take(np.array([1, 0])).columns
    assert columns["x0"].mask.tolist() == [True, False]


def test_columns_without_a_value_are_told_by_the_words_for_missing():
    table = read_table({"a": ["?", " "], "b": [None, np.nan], "c": ["?", "x"]}, "X")
    assert table.without_value(lambda name: ["?"]) == ["a", "b"]
    assert table.without_value(lambda name: []) == ["b"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [1], "b": [1, 2]}, r"equal length. Received: rows {'a': 1, 'b': 2}"),
        ({"a": [1], 3: [1]}, r"names .*Received: columns \['a', 3\]"),
        ({"a": "xy"}, "one value per row. Received: 'xy' for 'a'"),
        ({"a": np.zeros((2, 2))}, r"one value per row. Received: \(2, 2\) for 'a'"),
        ({}, "one column and one row. Received: n_samples=0, 0 columns"),
        (pd.DataFrame({"a": []}), "one row. Received: n_samples=0"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "different names"),
        ([[1, "a"], [2]], "as many values in each row"),
        ([1, 2], r"two axes.*Reshape your data.*Received: X of shape \(2,\)"),
        (pd.Series([1, 2]), r"two axes.*Received: X of shape \(2,\)"),
        (np.zeros((2, 2, 2)), r"two axes.*Received: X of shape \(2, 2, 2\)"),
        (np.zeros(2, [("a", int)]), r"from_records.*shape \(2,\), with the .*\['a'\]"),
        ("a.csv", r"DataFrame, a dict of .* \(rows, columns\). Received: 'a.csv'"),
        (None, "DataFrame, a dict of columns or an array .*Received: NoneType"),
        ((n for n in [1]), "DataFrame, a dict of columns .*Received: generator"),
        ([{"a": 1}, {"a": 2}], r"one table \(`pandas.DataFrame.*a list of dict"),
        ([pd.DataFrame({"a": [1]})], "one table .*concat.*a list of DataFrame"),
        (ROWS.to_batches(), "one table .*from_batches.*a list of RecordBatch"),
        (ROWS.to_reader(), r"DataFrame, .*`.read_all\(\)` of a.*RecordBatchReader"),
        (np.zeros((0, 2)), r"0 sample\(s\)"),  # scikit-learn's words
    ],
)
def test_what_is_no_table_is_refused(data, words):
    with pytest.raises(ValueError, match=f"^`X` is the table.*{words}|0 sample"):
        read_table(data, "X")


@pytest.mark.parametrize("of_table", [False, True])
@pytest.mark.parametrize("packed", ["runs", "views", "dictionary", "any length"])
def test_rows_are_taken_of_texts_in_any_layout(packed, of_table):
    texts = pa.array(["ü", None, "b"])
    column = {
        "runs": pa.RunEndEncodedArray.from_arrays([1, 2, 3], texts),
        "views": texts.cast(pa.string_view()),
        "dictionary": texts.dictionary_encode(),
        "any length": np.array(["ü", "", "b"], np.dtypes.StringDType()),
    }[packed]
    if of_table and packed != "any length":
        table = read_table(pa.table({"a": column}), "X")
    else:
        table = read_table({"a": column}, "X")
    found = read("a", table.take(np.array([2, 1, 0])).columns["a"])
    assert (found.holds, found.values.tolist()) == ("text", ["b", "", "ü"])


@pytest.mark.parametrize("kind", ["csr_array", "dok_array"])
def test_a_sparse_matrix_is_refused(kind):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        read_table(getattr(scipy.sparse, kind)(np.eye(2)), "X")


def test_a_frame_that_has_not_read_its_rows_is_refused():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="collect.*Received: LazyFrame"):
        read_table(polars.DataFrame({"a": [1]}).lazy(), "X")


def test_columns_of_pyarrow_with_equal_values_have_their_own_names():
    table = read_table(pa.table({"a": [1, 2], "b": [1, 2]}), "X")
    assert list(table.columns) == ["a", "b"]


@pytest.mark.parametrize("name", ["collect", "toarray"])
def test_a_column_may_have_any_name(name):
    table = read_table(pd.DataFrame({name: [1, 2]}), "X")
    assert list(table.columns) == [name] and table.rows == 2


def test_categories_in_a_dict_stay_categories():
    table = read_table({"zip": pd.Categorical([1, 2, 1])}, "X")
    taken = table.take(np.array([2, 1])).columns["zip"]
    assert taken.dtype == "category" and taken.tolist() == [1, 2]


def test_integers_of_128_bits_are_a_column():
    polars = pytest.importorskip("polars")
    series = polars.Series([1, None, 5], dtype=polars.Int128)
    table = read_table(polars.DataFrame({"long": series}), "TableRegressor")
    assert table.rows == 3
    assert table.take(np.array([0, 2])).columns["long"].tolist() == [1, 5]
