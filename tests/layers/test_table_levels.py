"""Categories of intervals, dates, durations and the like have a level each."""

import datetime

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_trainkit.layers import TableEncoder

DAYS = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]
OTHERS = {
    "intervals": (
        [pd.Interval(0, 2), pd.Interval(2, 5)],
        ["(0, 2]", "(2, 5]"],
    ),
    "periods": (
        [pd.Period("2020-01", "M"), pd.Period("2020-02", "M")],
        ["2020-01", "2020-02"],
    ),
    "durations": (
        list(pd.to_timedelta([24, 36], unit="h")),
        ["1 day, 0:00:00", "1 day, 12:00:00"],
    ),
    "times": (
        [datetime.time(8), datetime.time(9, 30)],
        ["08:00:00", "09:30:00"],
    ),
    "tuples": ([("a", 1), ("b", None)], ["('a', 1)", "('b', None)"]),
    "dates": (DAYS, ["2020-01-01", "2020-01-02"]),
    "moments": (
        [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02 03:04:05")],
        ["2020-01-01", "2020-01-02T03:04:05"],
    ),
    "moments with a zone": (
        [
            pd.Timestamp("2020-01-01 01:00", tz="CET"),
            pd.Timestamp("2020-01-02", tz="CET"),
        ],
        ["2020-01-01", "2020-01-01T23:00:00"],
    ),
}


def frame_of(first, second, missing=None):
    """The first twice, and as pandas reads a list of them."""
    rows = pd.Series([first, first, second, missing], dtype=object)
    return pd.DataFrame({"x": rows.astype("category")})


@pytest.mark.parametrize("name", OTHERS)
def test_each_category_is_a_level_by_its_text(name, tmp_path):
    values, texts = OTHERS[name]
    encoder = TableEncoder()
    encoder.adapt(frame_of(*values))
    assert encoder.levels("x") == tuple(texts)
    assert encoder.plain_columns(frame_of(*values))["x"].tolist() == [
        *(texts[0], texts[0], texts[1], "")
    ]
    expected = [[2], [2], [3], [0]]
    assert encoder(frame_of(*values))["categorical"].tolist() == expected
    keras.saving.save_model(encoder, tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    objects = pd.Series([values[1], values[0], None], dtype=object)
    assert loaded({"x": objects})["categorical"].tolist() == [[3], [2], [0]]
    assert loaded({"x": [texts[1], "else"]})["categorical"].tolist() == [[3], [1]]


def test_cuts_of_numbers_are_levels():
    bins = pd.cut(pd.Series([1.0, 2.0, 7.0, None]), [0.5, 1.5, 9.0])
    encoder = TableEncoder()
    encoder.adapt({"x": bins})
    assert encoder.levels("x") == ("(1.5, 9]", "(0.5, 1.5]")
    beyond = pd.cut(pd.Series([1.0, 100.0]), [0.5, 1.5, 900.0])
    assert encoder({"x": beyond})["categorical"].ravel().tolist() == [3, 1]


def test_a_gap_which_turns_bounds_to_floats_leaves_the_level():
    with_gap = pd.cut(pd.Series([1, 4, None]), [0, 2, 5], right=False)
    encoder = TableEncoder()
    encoder.adapt({"x": with_gap.astype(object).astype("category")})
    assert encoder.levels("x") == ("[0, 2)", "[2, 5)")
    whole = pd.Series([pd.Interval(2, 5, closed="left")], dtype="category")
    assert encoder({"x": whole})["categorical"].tolist() == [[3]]


def test_intervals_stand_beside_a_word_for_none_of_them():
    bins = pd.cut(pd.Series([1, None]), [0, 2]).cat.add_categories("unknown")
    encoder = TableEncoder()
    encoder.adapt({"x": bins.fillna("unknown")})
    assert set(encoder.levels("x")) == {"(0, 2]", "unknown"}
    whole = encoder.get_build_config()
    chunks = [{"x": bins.fillna("unknown").iloc[rows]} for rows in ([1], [0])]
    encoder.adapt(chunks)  # the first chunk holds the word alone
    assert encoder.get_build_config() == whole


@pytest.mark.parametrize(
    "column",
    [
        DAYS,
        np.array(DAYS, "datetime64[D]"),
        pd.Series(DAYS, dtype=pd.ArrowDtype(pa.date32())),
        pd.Series(pd.to_datetime(DAYS)),
    ],
    ids=["list", "NumPy", "Arrow", "pandas"],
)
def test_named_dates_are_levels_whatever_type_has_them(column):
    for arguments in ({"categories": ["x"]}, {"kinds": {"x": "categorical"}}):
        encoder = TableEncoder(**arguments)
        encoder.adapt({"x": column})
        assert encoder.levels("x") == ("2020-01-01", "2020-01-02")
        assert encoder({"x": DAYS[1:]})["categorical"].tolist() == [[3]]


def test_microseconds_tell_levels_apart():
    moments = np.array(["2020-01-01", "2020-01-01T00:00:00.000001"], "datetime64[us]")
    encoder = TableEncoder(categories=["x"])
    encoder.adapt({"x": moments})
    assert encoder.levels("x") == ("2020-01-01", "2020-01-01T00:00:00.000001")


@pytest.mark.parametrize("name", ["intervals", "periods", "durations", "tuples"])
def test_such_values_without_a_category_are_refused_with_the_remedy(name):
    column = pd.Series(OTHERS[name][0], dtype=object)
    with pytest.raises(ValueError, match=r"'x' .* `categories=\['x'\]`"):
        TableEncoder().adapt({"x": column})
    encoder = TableEncoder(categories=["x"])
    encoder.adapt({"x": column})
    assert encoder.levels("x") == tuple(OTHERS[name][1])


def test_dates_and_intervals_are_no_levels_of_a_column_of_texts():
    encoder = TableEncoder()
    encoder.adapt({"x": ["Ulm", "Aue"]})
    with pytest.raises(ValueError, match="'x' .* are texts.* Received: datetimes"):
        encoder({"x": DAYS})
    with pytest.raises(ValueError, match="'x' .* are texts.* Received: Interval"):
        encoder({"x": [pd.Interval(0, 1)]})


def test_numbers_beside_texts_are_refused_with_the_remedy():
    mixed = pd.Series([1, "a"], dtype=object).astype("category")
    with pytest.raises(ValueError, match=r"astype\(str\).* number beside text in 'x'"):
        TableEncoder().adapt({"x": mixed})


@pytest.mark.tensorflow_only
def test_a_graph_gives_their_codes_by_their_texts():
    import tensorflow as tf

    bins = pd.cut(pd.Series([1.0, 1.0, 7.0, None]), [0.5, 1.5, 9.0])
    encoder = TableEncoder(categories=["day"])
    frame = pd.DataFrame({"x": bins, "day": pd.to_datetime([*DAYS, None, DAYS[1]])})
    encoder.adapt(frame)
    plain = encoder.plain_columns(frame)
    came = encoder({name: tf.constant(values) for name, values in plain.items()})
    assert came["categorical"].numpy().tolist() == [[2, 3], [2, 2], [3, 0], [0, 2]]
    np.testing.assert_array_equal(came["categorical"], encoder(frame)["categorical"])
