"""What the encoder learns from a table and makes of one; values by hand."""

import datetime
import decimal
import warnings

import numpy as np
import pandas as pd
import pytest

from keras_trainkit.layers import RobustScaling, StandardScaling, TableEncoder

TRAIN = {
    "age": [20.0, 30.0, None, 50.0, 90.0],  # median 40, quartiles 27.5 and 60
    "town": ["Ulm", "Bonn", "Ulm", None, "Aue"],
    "member": [True, False, True, None, True],
}


def adapted(table=TRAIN, **arguments):
    encoder = TableEncoder(**arguments)
    encoder.adapt(table)
    return encoder


def test_columns_names_and_sizes_are_offered_to_builders():
    encoder = adapted()
    assert encoder.column_names == ("age", "town", "member")
    assert encoder.numeric_names == ("age", "member", "age_missing", "member_missing")
    assert encoder.numeric_shape == (4,)
    assert encoder.categorical_names == ("town",)
    assert encoder.category_sizes == (5,)  # missing, unseen, three towns
    assert encoder.levels("town") == ("Ulm", "Aue", "Bonn")  # 2, 1, 1; then by name


def test_arrays_by_hand():
    encoded = adapted(scaling=None)(
        {
            "age": [30.0, None],
            "town": ["Bonn", "Ulm"],
            "member": [None, False],
        }
    )
    assert encoded["numeric"].tolist() == [[30, 1, 0, 1], [40, 0, 1, 0]]
    assert encoded["categorical"].tolist() == [[4], [2]]
    assert (encoded["numeric"].dtype, encoded["categorical"].dtype) == (
        np.dtype("float32"),
        np.dtype("int32"),
    )


def test_missing_unseen_and_rare_texts_have_their_codes():
    towns = {"town": ["a"] * 3 + ["b"] * 2 + ["c", "d"]}
    encoder = adapted(towns, max_categories=3)
    assert encoder.levels("town") == ("a", "b", "c")  # of c and d the first
    sent = {"town": ["a", "b", "c", "d", "e", "", None, np.nan]}
    assert encoder(sent)["categorical"].ravel().tolist() == [2, 3, 4, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("scaling", "layer"), [("robust", RobustScaling()), ("standard", StandardScaling())]
)
def test_numbers_are_scaled_as_the_layers_do(scaling, layer):
    values = np.random.default_rng(1).lognormal(2, 2, size=300)
    layer.adapt(values[:200, None])
    encoder = adapted({"x": values[:200]}, scaling=scaling)
    scaled = encoder({"x": values})["numeric"]
    expected = np.asarray(layer(values[:, None].astype("float32")))
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scaling", ["robust", "standard"])
def test_a_constant_column_is_zero_whatever_comes(scaling):
    encoder = adapted({"x": [7.0, 7.0]}, scaling=scaling)
    assert encoder({"x": [7.0, 8.0, None]})["numeric"].tolist() == [[0], [0], [0]]


def test_a_number_missing_first_at_prediction_is_filled_and_not_flagged():
    encoder = adapted({"x": [1.0, 3.0, 8.0]}, scaling=None)
    assert encoder({"x": [None]})["numeric"].tolist() == [[3]]


def test_missing_numbers_may_go_without_a_flag():
    encoder = adapted(missing="fill")
    assert encoder.numeric_names == ("age", "member")


def test_infinite_numbers_are_refused_at_first_and_count_as_missing_later():
    with pytest.raises(ValueError, match="'x' is scaled .* finite .* infinite"):
        adapted({"x": [1.0, -np.inf]})
    encoder = adapted({"x": [1.0, 3.0, None]}, scaling=None)
    with pytest.warns(UserWarning, match="^Infinite numbers .* missing: 2 in 'x'.$"):
        encoded = encoder({"x": [np.inf, -np.inf]})["numeric"]
    assert encoded.tolist() == [[2, 1], [2, 1]]


@pytest.mark.parametrize(
    ("learned", "values", "count"),
    [
        (["1", "2"], ["3", np.inf, -np.inf], 2),  # numbers beside texts
        ([1.0, 2.0], [decimal.Decimal("inf"), None], 1),
        ([1.0, 2.0], [10**400, np.nan], 1),
        (["1", "2"], ["3", "4"], 0),
        ([1.0, 2.0], [np.nan, None], 0),
    ],
)
def test_infinite_numbers_are_told_at_the_line_of_the_call(learned, values, count):
    encoder = adapted({"x": learned, "y": [1.0, 2.0]})
    rows = {"x": values, "y": [1.0] * len(values)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder(rows)
    told = f"Infinite numbers count as missing: {count} in 'x'."
    assert [str(w.message) for w in caught] == [told] * (count > 0)
    assert all(w.filename == __file__ for w in caught)


@pytest.mark.parametrize("scaling", ["robust", "standard", None])
def test_the_largest_numbers_stay_finite(scaling):
    encoder = adapted({"x": [1.0, 2.0, 5.0]}, scaling=scaling)
    encoded = encoder({"x": [1.7e308, -1.7e308]})["numeric"]
    assert np.isfinite(encoded).all()
    assert encoded[0, 0] >= 2.99 and encoded[1, 0] <= -2.99


def test_few_integers_are_numbers_unless_named():
    table = {"rooms": [1, 2, 2, 3], "zip": [70, 70, 10, 20]}
    encoder = adapted(table, categories=["zip"])
    assert (encoder.numeric_names, encoder.levels("zip")) == (("rooms",), (70, 10, 20))
    sent = {"rooms": [2] * 5, "zip": [70.0, 20.0, 30.0, np.nan, np.inf]}
    with pytest.warns(UserWarning, match="1 in 'zip'"):
        encoded = encoder(sent)["categorical"]
    assert encoded.ravel().tolist() == [2, 4, 1, 0, 0]


def test_kinds_read_texts_as_numbers_and_datetimes():
    table = {
        "price": ["1.5", "", "4"],
        "when": ["2020-01-01", "1970-01-03T12:00", ""],
        "flag": [0, 1, 1],
    }
    kinds = {"price": "numeric", "when": "datetime", "flag": "boolean"}
    encoder = adapted(table, kinds=kinds, scaling=None, missing="fill")
    encoded = encoder({"price": ["2"], "when": ["1970-01-02"], "flag": [1]})
    names = encoder.numeric_names
    assert names[:3] == ("price", "when", "flag")
    assert encoded["numeric"][0, :3].tolist() == [2, 1, 1]


def test_datetimes_turn_with_the_cycles_they_went_round():
    hours = np.arange("2020-01-01", "2020-01-15", dtype="datetime64[h]")
    encoder = adapted({"at": hours}, scaling=None)
    assert encoder.numeric_names == (
        "at",
        *("at_day_sin", "at_day_cos", "at_week_sin", "at_week_cos"),
    )
    quarter_past = np.array(["1970-01-01T06:00", "1970-01-08T18:00"], "datetime64[m]")
    encoded = encoder({"at": quarter_past})["numeric"]
    np.testing.assert_allclose(encoded[:, 0], [0.25, 7.75])
    np.testing.assert_allclose(encoded[:, 1:3], [[1, 0], [-1, 0]], atol=1e-6)
    np.testing.assert_allclose(encoded[0, 3], np.sin(2 * np.pi / 28), atol=1e-6)


def test_names_of_cycles_and_flags_differ_from_those_of_columns():
    hours = np.arange("2020-01-01", "2020-01-03", dtype="datetime64[h]")
    columns = ("a", "a_missing", "a_missing_3", "at_day_sin", "a_missing_missing")
    table = dict.fromkeys(columns, [1.0, np.nan] * 24)
    encoder = adapted({**table, "at": hours}, scaling=None)
    flags = ("a_missing_2", "a_missing_missing_2", "a_missing_3_missing")
    assert encoder.numeric_names == (
        *columns,
        "at",
        *("at_day_sin_2", "at_day_cos"),
        *flags,
        *("at_day_sin_missing", "a_missing_missing_missing"),
    )
    assert (
        len(encoder.numeric_names) == encoder(table | {"at": hours})["numeric"].shape[1]
    )


def test_names_of_cycles_and_flags_are_as_ever_where_no_column_has_them():
    encoder = adapted(
        {"a": [1.0, None], "b_missing": [2.0, 3.0], "c": ["a_missing"] * 2}
    )
    assert encoder.numeric_names == ("a", "b_missing", "a_missing")


def test_days_do_not_turn_with_the_hours():
    days = np.arange("2019-01-01", "2021-01-01", dtype="datetime64[D]")
    names = adapted({"at": days}).numeric_names
    assert names == ("at", "at_week_sin", "at_week_cos", "at_year_sin", "at_year_cos")


@pytest.mark.parametrize(
    ("table", "numeric", "categorical"),
    [({"x": [1.0, 2.0]}, 1, 0), ({"t": ["a", "b"]}, 0, 1)],
)
def test_either_array_may_have_no_columns(table, numeric, categorical):
    encoded = adapted(table)(table)
    assert encoded["numeric"].shape == (2, numeric)
    assert encoded["categorical"].shape == (2, categorical)


def test_no_rows_give_no_rows():
    encoded = adapted()({"age": [], "town": [], "member": []})
    assert encoded["numeric"].shape == (0, 4)
    assert encoded["categorical"].shape == (0, 1)


def test_columns_may_come_in_another_order():
    encoder = adapted()
    turned = dict(reversed(TRAIN.items()))
    for key, array in encoder(TRAIN).items():
        np.testing.assert_array_equal(encoder(turned)[key], array)


def test_wrong_columns_are_named():
    with pytest.raises(ValueError, match=r"\['age'\] missing, \['Age', 'x'\] unknown"):
        adapted()({"Age": [1.0], "town": ["a"], "member": [True], "x": [1.0]})


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("age", ["old"], "'age' .* must hold numbers.* Received: texts"),
        ("town", [5], "'town' .* categories that are texts.* Received: numbers"),
        ("member", [2], "'member' .* True and False, or 0 and 1.* such as 2"),
        ("member", ["yes"], "'member' .* booleans.* Received: texts"),
        ("age", [datetime.date(2020, 1, 1)], "'age' .* Received: datetimes"),
    ],
)
def test_a_column_of_another_kind_is_named(column, values, words):
    table = {name: [None] for name in TRAIN} | {column: values}
    with pytest.raises(ValueError, match=words):
        adapted()(table)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="equally long.*'a': 2, 'b': 3"):
        adapted({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="equally long"):
        adapted()({"age": [1.0], "town": [], "member": []})


@pytest.mark.parametrize("table", [{"a": []}, [], pd.DataFrame({"a": []})])
def test_a_table_without_rows_cannot_be_learned(table):
    with pytest.raises(ValueError, match="at least one row. Received: none"):
        TableEncoder().adapt(table)


def test_a_column_without_a_value_is_named():
    with pytest.raises(ValueError, match="'b' .*drop the column"):
        adapted({"a": [1.0, 2.0], "b": [None, np.nan]})


@pytest.mark.parametrize("columns", [{}, {3: [1.0]}, {"": [1.0]}])
def test_column_names_are_texts(columns):
    with pytest.raises(ValueError, match="non-empty string that occurs once"):
        adapted(columns)


def test_a_column_name_occurs_once():
    with pytest.raises(ValueError, match="occurs once"):
        adapted(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize("table", [3, "text", np.ones((2, 2)), [np.ones((2, 2))]])
def test_what_has_no_columns_is_no_table(table):
    with pytest.raises(ValueError, match="must be a DataFrame, a dict"):
        TableEncoder().adapt(table)


def test_it_must_be_adapted_first():
    with pytest.raises(ValueError, match=r"call `adapt\(table\)`, or load it"):
        TableEncoder()(TRAIN)
    with pytest.raises(ValueError, match=r"call `adapt\(table\)`"):
        _ = TableEncoder().numeric_shape


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"categories": "zip"}, '"auto" or a list of column names'),
        ({"categories": [3]}, '"auto" or a list of column names'),
        ({"max_categories": 0}, "own code and must be an integer at least 1"),
        ({"missing": None}, "flagged and must be one of 'indicator', 'fill'"),
        ({"scaling": "minmax"}, "common size and must be one of 'robust', 'standard'"),
        ({"kinds": ["a"]}, "must be None or a dict"),
        ({"kinds": {"a": "text"}}, r"`kinds\['a'\]` .* 'categorical'"),
        ({"kinds": {"a": "numeric"}, "categories": ["a"]}, r"\['a'\] in both"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        TableEncoder(**arguments)


def test_a_named_column_must_be_there():
    with pytest.raises(ValueError, match=r"`categories` and `kinds` .*\['zip'\]"):
        adapted(categories=["zip"])


def test_levels_of_a_column_that_has_none_are_refused():
    with pytest.raises(ValueError, match=r"one of \['town'\].*column='age'"):
        adapted().levels("age")


def test_the_summary_has_a_line_per_column():
    lines = adapted(max_categories=2).summary().splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [
        ["age", "numeric", "20.0%"],
        ["town", "categorical", "20.0%"],
        ["member", "boolean", "20.0%"],
    ]
    assert "20 to 90, median 40; flagged where missing" in lines[2]
    assert "2 levels and 1 rare ones merged: Ulm, Aue" in lines[3]


def test_adapting_again_starts_afresh():
    encoder = adapted()
    encoder(TRAIN)
    encoder.adapt({"x": ["p", "q", "q"]})
    assert (encoder.column_names, encoder.category_sizes) == (("x",), (4,))
    assert encoder({"x": ["q"]})["categorical"].tolist() == [[2]]
