"""Columns of every type that users bring are read as what they mean."""

import datetime
import decimal
import zoneinfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_trainkit.layers import StandardScaling, TableEncoder

NAN, NAT = float("nan"), pd.NaT
NUMBERS = [4.0, NAN, -2.0]
UTC = datetime.UTC
DAYS = [datetime.date(1970, 1, 2), None, datetime.date(1969, 12, 31)]
DAY_TYPES = [pa.date32(), pa.date64()]


def arrow(values, kind):
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def plain(column, kind=None):
    """The column as read, and what it was taken for."""
    encoder = TableEncoder(kinds={"x": kind} if kind else None)
    encoder.adapt({"x": column})
    return encoder.plain_columns({"x": column})["x"]


@pytest.mark.parametrize(
    "column",
    [
        np.array(NUMBERS, "float16"),
        np.array([4, None, decimal.Decimal(-2)], object),
        [np.float32(4), pd.NA, -2],
        (4, NAN, -2),
        pd.Series([4, None, -2], dtype="Int64"),
        pd.Series([4, None, -2], dtype="Float32"),
        pd.Series([4, None, -2], dtype=object),
        pd.Series([4, None, -2], index=[9, 9, 9]),
        pd.arrays.SparseArray(NUMBERS),
        pd.Series(pd.arrays.SparseArray(NUMBERS, fill_value=-2.0)),
        np.ma.array([4, 77, -2], mask=[False, True, False]),
        [decimal.Decimal(4), decimal.Decimal("sNaN"), -2],
        arrow([4, None, -2], pa.int8()),
        arrow([4, None, -2], pa.float64()),
        arrow(["4", None, "-2"], pa.decimal128(5, 1)),
        pa.array([4, None, -2]),
        pa.chunked_array([[4, None], [-2]]),
    ],
    ids=lambda column: f"{type(column).__name__} {getattr(column, 'dtype', '')}",
)
def test_numbers(column):
    read = plain(column)
    assert read.dtype == "float64"
    np.testing.assert_array_equal(read, NUMBERS)


def test_a_range_is_a_column():
    assert plain(range(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "column",
    [
        [True, None, False],
        np.array([np.True_, NAN, False], object),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([True, None, False]),
        arrow([True, None, False], pa.bool_()),
    ],
    ids=lambda column: f"{type(column).__name__} {getattr(column, 'dtype', '')}",
)
def test_booleans(column):
    read = plain(column)
    assert read.dtype == "int32"
    assert read.tolist() == [1, -1, 0]


def test_booleans_without_a_gap():
    assert plain(np.array([True, False])).tolist() == [1, 0]


@pytest.mark.parametrize(
    "column",
    [
        ["ü", None, "b"],
        [b"\xc3\xbc", NAN, "b"],
        np.array(["ü", "", "b"]),
        np.array(["ü".encode(), b"", b"b"]),
        np.array(["ü", pd.NA, np.str_("b")], object),
        pd.Series(["ü", None, "b"]),
        pd.Series(["ü", None, "b"], dtype="string"),
        pd.Series(["ü", None, "b"], dtype=object),
        pd.Series(["ü", None, "b"], dtype="category"),
        pd.Categorical(["ü", None, "b"]),
        arrow(["ü", None, "b"], pa.string_view()),
        pa.array(["ü", None, "b"], pa.string_view()),
        pa.array(["ü".encode(), None, b"b"], pa.binary_view()),
        pa.RunEndEncodedArray.from_arrays([1, 2, 3], pa.array(["ü", None, "b"])),
        np.array(["ü", np.nan, "b"], np.dtypes.StringDType(na_object=np.nan)),
        pa.array(["ü", None, "b"]).dictionary_encode(),
        pa.chunked_array([["ü", None, "b"]]).dictionary_encode(),
        arrow(["ü".encode(), None, b"b"], pa.binary()),
        np.array([np.bytes_("ü".encode()), None, np.str_("b")], object),
    ],
    ids=lambda column: f"{type(column).__name__} {getattr(column, 'dtype', '')}",
)
def test_texts(column):
    assert plain(column).tolist() == ["ü", "", "b"]


@pytest.mark.parametrize(
    "column",
    [
        np.array(["1970-01-02", "NaT", "1969-12-31"], "datetime64[D]"),
        np.array(["1970-01-02", "NaT", "1969-12-31"], "datetime64[ns]"),
        [datetime.date(1970, 1, 2), None, datetime.datetime(1969, 12, 31)],
        [pd.Timestamp("1970-01-02"), NAT, np.datetime64("1969-12-31")],
        [datetime.datetime(1970, 1, 2, tzinfo=UTC), None, datetime.date(1969, 12, 31)],
        pd.to_datetime(pd.Series(["1970-01-02", None, "1969-12-31"])),
        pd.to_datetime(
            pd.Series(["1970-01-02T01", None, "1969-12-31T01"])
        ).dt.tz_localize("Europe/Berlin"),
        *(arrow(DAYS, kind) for kind in DAY_TYPES),
        pd.array(DAYS, dtype=pd.ArrowDtype(pa.date32())),
        pa.array(DAYS),
        pa.chunked_array([DAYS[:1], DAYS[1:]]),
    ],
    ids=lambda column: f"{type(column).__name__} {getattr(column, 'dtype', '')}",
)
def test_datetimes(column):
    np.testing.assert_array_equal(plain(column), [86400.0, NAN, -86400.0])


@pytest.mark.parametrize("kind", DAY_TYPES)
def test_arrow_days_may_come_in_chunks_and_be_missing_in_some(kind):
    encoder = TableEncoder(scaling=None, missing="fill")
    encoder.adapt([{"x": arrow([None, None], kind)}, {"x": arrow(DAYS, kind)}])
    encoded = encoder({"x": arrow([None, DAYS[0]], kind)})["numeric"]
    assert encoded[:, 0].tolist() == [0, 1]  # the median of -1 and 1, then 1
    assert encoder({"x": arrow([None], kind)})["numeric"][0, 0] == 0
    with pytest.raises(ValueError, match="'x' .*drop the column"):
        TableEncoder().adapt({"x": arrow([None], kind)})


def test_moments_at_the_ends_of_the_calendar_are_read():
    early = datetime.timezone(datetime.timedelta(hours=14))
    first = datetime.datetime(1, 1, 1, tzinfo=early)  # still in the year 0 in UTC
    last = datetime.datetime(9999, 12, 31, 23, 59, 59)
    days = [-719_162 - 14 / 24, 2_932_896 + 1 - 1 / 86400]  # since 1970, proleptic
    np.testing.assert_allclose(plain([first, last]) / 86400, days, rtol=1e-15)


class _NoOffset(datetime.tzinfo):
    def utcoffset(self, moment):
        return None


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
HOUR = 3600.0
AT = datetime.datetime(1970, 1, 1, 12)
MOMENTS = [  # and seconds since 1970, by hand
    (AT.replace(tzinfo=BERLIN), 11 * HOUR),
    (pd.Timestamp(AT, tz="Europe/Berlin"), 11 * HOUR),
    (pd.Timestamp(AT, tz="UTC").as_unit("s"), 12 * HOUR),
    (pd.Timestamp("1969-12-31 23:59:59.999999999", tz="UTC"), -1e-6),  # as without zone
    (AT.replace(tzinfo=_NoOffset()), 12 * HOUR),  # Python takes it for none
    (AT, 12 * HOUR),
    (AT.date(), 0.0),
    (np.datetime64(AT), 12 * HOUR),
    # The hour that is there twice when summer time ends, at 1 UTC.
    (datetime.datetime(1990, 9, 30, 2, 30, tzinfo=BERLIN), (7577 * 24 + 0.5) * HOUR),
    (
        datetime.datetime(1990, 9, 30, 2, 30, tzinfo=BERLIN, fold=1),
        (7577 * 24 + 1.5) * HOUR,
    ),
]


def test_moments_of_any_zone_are_read_in_utc_in_one_column():
    moments, expected = zip(*MOMENTS, (None, NAN), strict=True)
    np.testing.assert_array_equal(plain(list(moments)), expected)


def test_a_year_that_int64_cannot_count_is_infinite():
    column = np.array(["300000-01-01", "2020-01-01"], "datetime64[D]")
    with pytest.raises(ValueError, match="'x' .* before the year 290,000"):
        TableEncoder().adapt({"x": column})


def test_levels_are_those_of_the_adapted_rows_alone():
    """pandas keeps the levels of the rows that were cut off."""
    frame = pd.DataFrame({"t": pd.Categorical(["a", "b", "a", "test only"])})
    train = frame.iloc[:3]
    assert "test only" in train["t"].cat.categories
    encoder = TableEncoder()
    encoder.adapt(train)
    assert encoder.levels("t") == ("a", "b")
    assert encoder(frame)["categorical"].ravel().tolist() == [2, 3, 2, 1]


def test_a_pandas_category_of_numbers_is_categorical():
    encoder = TableEncoder()
    encoder.adapt({"x": pd.Series([5, 3, 5, None], dtype="category")})
    assert encoder.levels("x") == (5, 3)
    assert encoder({"x": np.array([3, 5, 4])})["categorical"].tolist() == [
        [3],
        [2],
        [1],
    ]


@pytest.mark.parametrize(
    ("values", "unused", "levels"),
    [
        ([1, 2, None], "unknown", (1, 2)),
        (["a", "b", None], 7, ("a", "b")),
        (["a", "b", None], 1j, ("a", "b")),
        ([None, None, 3], "unknown", (3,)),
    ],
)
def test_a_category_that_does_not_occur_decides_nothing(values, unused, levels):
    table = {"x": pd.Categorical(values, categories=[unused, *levels])}
    encoder = TableEncoder()
    encoder.adapt(table)
    assert encoder.levels("x") == levels
    codes = [0 if value is None else 2 + levels.index(value) for value in values]
    assert encoder(table)["categorical"].ravel().tolist() == codes
    with pytest.raises(ValueError, match="'x'"):
        occurs = pd.Categorical([*values, unused], categories=[unused, *levels])
        TableEncoder().adapt({"x": occurs})


def test_a_column_may_be_all_missing_later_whatever_type_that_has():
    encoder = TableEncoder(scaling=None, missing="fill")
    encoder.adapt({"n": [1.0, 5.0], "t": ["a", "b"]})
    for gaps in ([None], np.array([NAN]), pd.Series([pd.NA]), np.array([""])):
        encoded = encoder({"n": gaps, "t": gaps})
        assert (encoded["numeric"].tolist(), encoded["categorical"].tolist()) == (
            [[3]],
            [[0]],
        )


def test_texts_that_differ_in_ends_and_newlines_are_different_levels():
    texts = ["a", "a ", "a\n", "a\0", "[UNK]"]
    encoder = TableEncoder()
    with pytest.warns(UserWarning, match=r"'a' and 'a\\n' .and 1 more. for different"):
        encoder.adapt({"t": texts})
    assert sorted(encoder.levels("t")) == sorted(texts)
    assert sorted(encoder({"t": texts})["categorical"].ravel()) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([1.0, "a"], "one kind .*Received: number beside text in 'x'"),
        ([True, 2], "one kind .*Received: boolean beside number in 'x'"),
        ([1.0, [2.0]], "Received: list in 'x'"),
        (np.ones((2, 2)), r"one value per row. .*\(2, 2\) for 'x'"),
        (3.0, r"one value per row. .*float of shape \(\) for 'x'"),
        (np.ones(2, "complex64"), "Received: dtype=complex64 for 'x'"),
        (np.ones(2, "timedelta64[s]"), "'x' .*total_seconds.* Received: timedelta"),
        ([{1}, None], r"astype\(str\).* Received: set in 'x'"),
        ([10**400, 1], "'x' .*below 1.8e308.* Received: an infinite number"),
        ([decimal.Decimal("-1e400"), 1], "'x' .* Received: an infinite number"),
        (["1"] * 200 + [np.inf], "'x' .* Received: an infinite number"),
        (["1"] * 200 + [10**400], "'x' .* Received: an infinite number"),
    ],
)
def test_what_is_no_column_is_refused_by_name(column, words):
    with pytest.raises(ValueError, match=words):
        TableEncoder().adapt({"x": column})


@pytest.mark.parametrize(
    "column",
    [
        [2**53, 2**53 + 1],
        np.array([-(2**53), 1]),
        pd.Series([2**60, 1], dtype="category"),
        [decimal.Decimal(2**53 + 1), 1],
    ],
)
def test_codes_that_float64_does_not_tell_apart_are_refused(column):
    with pytest.raises(ValueError, match=r"'x' .* below 2\^53 \(longer ones as texts"):
        TableEncoder(categories=["x"]).adapt({"x": column})
    encoder = TableEncoder(categories=["x"])
    encoder.adapt({"x": [2**53 - 1, 2**53 - 2]})
    sent = {"x": [2**53 - 1, 2**53 - 2, 2**53, 10**400]}
    with pytest.warns(UserWarning, match="1 in 'x'"):
        encoded = encoder(sent)["categorical"]
    assert encoded.ravel().tolist() == [3, 2, 1, 0]


def test_texts_that_are_no_numbers_are_refused_where_numbers_are_asked_for():
    with pytest.raises(ValueError, match="'x' .* each be a number.* such as 'many'"):
        plain(["1", "?", "many"], kind="numeric")
    with pytest.raises(ValueError, match="'x' .* each be a datetime in ISO 8601"):
        plain(["1.2.2020"], kind="datetime")


@pytest.mark.parametrize(
    "column",
    [
        [b"\xff", "a"],
        np.array([b"\xff", b"a"]),
        pd.Series([b"\xff", b"a"], dtype="category"),
        arrow([b"\xff", None], pa.binary()),
        ["\ud800", "a"],
    ],
    ids=lambda column: f"{type(column).__name__} {getattr(column, 'dtype', '')}",
)
def test_a_level_that_utf8_cannot_hold_is_refused(column):
    with pytest.raises(ValueError, match="'x' is served as texts in UTF-8"):
        plain(column)
    with pytest.raises(ValueError, match="'x' is served as texts in UTF-8"):
        frequent = {"x": ["a", "a"]}
        TableEncoder(max_categories=1).adapt([frequent, {"x": column}])


def test_infinite_numbers_beside_texts_are_missing_afterwards():
    encoder = TableEncoder(scaling=None)
    encoder.adapt({"x": ["1", 2, "3", "?"]})
    sent = {"x": ["3", np.inf, -(10**400), decimal.Decimal("1e400")]}
    expected = [[3, 0], [2, 1], [2, 1], [2, 1]]
    with pytest.warns(UserWarning, match="3 in 'x'"):
        assert encoder(sent)["numeric"].tolist() == expected
    assert encoder.plain_columns(sent)["x"].tolist() == ["3.0", "", "", ""]


def test_texts_that_utf8_cannot_hold_are_unseen_afterwards():
    encoder = TableEncoder(missing_values=[])
    encoder.adapt({"x": ["a", "?", "\ufffd"]})
    sent = {"x": np.array(["a", b"\xff", "\ud800"], object)}
    assert encoder(sent)["categorical"].ravel().tolist() == [3, 1, 1]
    plain_texts = encoder.plain_columns(sent)["x"]
    assert plain_texts[0] == "a"
    assert all(text.decode("utf-8", "replace") not in "a?" for text in plain_texts[1:])
    assert encoder({"x": plain_texts})["categorical"].ravel().tolist() == [3, 1, 1]


def test_integers_with_gaps_keep_their_values():
    for kind in (pa.int64(), pa.uint64()):
        assert plain(pa.array([4, None, 2], kind))[[0, 2]].tolist() == [4, 2]
        assert np.isnan(plain(pa.chunked_array([[4, None], [2]], kind))[1])


def test_a_table_that_has_not_read_its_rows_is_refused():
    lazy = pytest.importorskip("polars").DataFrame({"x": [1.0, 2.0]}).lazy()
    words = "`table` .*collect.*Received: LazyFrame"
    encoder = TableEncoder()
    for table in (lazy, [lazy]):
        with pytest.raises(ValueError, match=words):
            encoder.adapt(table)
    encoder.adapt(lazy.collect())
    with pytest.raises(ValueError, match=words):
        encoder(lazy)
    with pytest.raises(ValueError, match="`data` .*collect.*Received: LazyFrame"):
        StandardScaling().adapt(lazy)


def test_tables_of_pyarrow_are_read_by_their_names():
    encoder = TableEncoder()
    table = pa.table({"size": [1.0, 2.0, 3.0], "town": ["Ulm", "Bonn", "Ulm"]})
    encoder.adapt(table)
    assert encoder.column_names == ("size", "town")
    same = encoder({"size": [1.0, 2.0, 3.0], "town": ["Ulm", "Bonn", "Ulm"]})
    for name, values in encoder(table).items():
        np.testing.assert_array_equal(values, same[name])


@pytest.mark.parametrize(
    ("values", "fill"),
    [
        ([1, 0, 7], 0),
        ([True, False, True], False),
        (["Ulm", "Bonn", "Ulm"], "Ulm"),
        (np.array(["2020-01-01", "NaT", "2020-03-01"], "datetime64[ns]"), None),
    ],
)
def test_sparse_columns_are_read_as_dense_ones(values, fill):
    given = pd.arrays.SparseArray(values, fill_value=fill)
    sparse, dense = TableEncoder(), TableEncoder()
    sparse.adapt(pd.DataFrame({"x": given}))
    dense.adapt({"x": values})
    assert sparse.summary() == dense.summary()
    for name, found in sparse({"x": given}).items():
        np.testing.assert_array_equal(found, dense({"x": values})[name])


LONG = 2**60 + np.arange(40)


def of_polars(kind):
    polars = pytest.importorskip("polars")
    return polars.Series([*LONG.tolist(), None], dtype=getattr(polars, kind))


@pytest.mark.parametrize(
    "column",
    [
        LONG,
        LONG.astype("uint64"),
        pd.array([*LONG, None], "Int64"),
        [*LONG.tolist(), None],
        arrow(LONG, pa.int64()),
        pa.array([*LONG, None]),
        pa.array([*LONG, None]).dictionary_encode(),
        pa.chunked_array([[None], LONG], pa.uint64()),
        pa.array([*map(decimal.Decimal, LONG.tolist()), None]),
        [np.int64(2**60 + 1), None, *LONG],
        of_polars("Int64"),
        of_polars("UInt64"),
        of_polars("Int128"),
        pd.arrays.SparseArray(LONG, fill_value=2**60),
    ],
)
def test_integers_that_float64_rounds_are_told_by_name(column):
    with pytest.warns(UserWarning, match="The column 'number' holds integers beyond"):
        TableEncoder(kinds={"number": "numeric"}).adapt({"number": column})


@pytest.mark.parametrize(
    "column",
    [
        LONG * 1.0,
        np.arange(40) * 2**55,
        np.arange(40),
        [2**52 + 1, 7] * 20,
        pa.array([2**60, 2**53, None]),
        [decimal.Decimal(2**60), decimal.Decimal("NaN"), 2**53],
    ],
)
def test_numbers_that_float64_holds_are_not(column):
    TableEncoder(kinds={"number": "numeric"}).adapt({"number": column})
