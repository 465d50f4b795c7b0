"""Texts that stand for numbers, datetimes, yes and no, or nothing; values by hand."""

import datetime
import json
import random
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from table_limits import set_limits

from keras_trainkit._tables.recognition import recognize
from keras_trainkit.layers import TableEncoder

NAN = float("nan")
GAPS = {"f": NAN, "M": np.datetime64("NaT", "s"), "O": None}


def adapted(table, **arguments):
    encoder = TableEncoder(**arguments)
    encoder.adapt(table)
    return encoder


def numbers_of(texts, **arguments):
    """Of the column "x" as numbers, NaN where missing."""
    encoder = adapted({"x": texts}, scaling=None, **arguments)
    encoded = encoder({"x": texts})["numeric"]
    missing = encoded[:, encoder.numeric_names.index("x_missing")]
    return np.where(missing == 1, NAN, encoded[:, 0])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["5", "-5", "+5", ".5", "5.", "1e3"], [5, -5, 5, 0.5, 5, 1000]),
        (["\u22125", " 7 ", "\t8\n"], [-5, 7, 8]),
        (["1,234.5", "999", "1,234,567"], [1234.5, 999, 1234567]),
        (["1.234,5", "999", "1.234.567"], [1234.5, 999, 1234567]),
        (["1,5", "0,25", "-3"], [1.5, 0.25, -3]),
        (["1 234,5", "1\u00a0234,5", "1\u202f234,5"], [1234.5] * 3),
        (["1'234.5", "1\u2019234.5", "2 345.5"], [1234.5, 1234.5, 2345.5]),
        (["12,34,567", "1,00,000"], [1234567, 100000]),
        (
            ["$1,200", "-$5", "$-5", "(1,200)", "$(7)", "6"],
            [1200, -5, -5, -1200, -7, 6],
        ),
        (["€ 5", "5 €", "5\u00a0€", "€5,50"], [5, 5, 5, 5.5]),
        (["USD 5", "6 USD"], [5, 6]),
        (["22.8 %", "50%", "(5%)"], [22.8, 50, -5]),
        (["0,750", "1,234"], [0.75, 1.234]),  # no thousands begin with 0
        (["1,234", "1,5"], [1.234, 1.5]),
        (["1,234", "5,678"], [1234, 5678]),
    ],
)
def test_texts_that_are_numbers(texts, expected):
    read = numbers_of([*texts, None])
    np.testing.assert_array_equal(read, np.float32([*expected, NAN]))


@pytest.mark.parametrize(
    "word", ["", " ", "?", "-", "--", ".", "NA", "n/a", "#N/A", "NaN", "NULL", "None"]
)
def test_the_usual_words_are_missing_in_columns_of_every_kind(word):
    table = {
        "number": ["1", "2", word],
        "day": ["2024-01-31", "2024-02-01", word],
        "flag": ["yes", "no", word],
        "town": ["Ulm", "Bonn", word],
    }
    encoder = adapted(table)
    gap = {name: [None] for name in table}
    last = {name: column[2:] for name, column in table.items()}
    for key, array in encoder(gap).items():
        np.testing.assert_array_equal(encoder(last)[key], array)
    assert encoder.categorical_names == ("town",)
    assert encoder(last)["categorical"].tolist() == [[0]]


def test_other_words_may_be_missing_instead():
    texts = ["1", "2", "unknown", "UNKNOWN "]
    assert np.isnan(numbers_of(texts, missing_values=["unknown"])[2:]).all()
    by_column = adapted(
        {"country": ["NA", "DE"], "x": ["1", "?"]}, missing_values={"country": []}
    )
    assert by_column.levels("country") == ("DE", "NA")
    assert by_column.numeric_names == ("x", "x_missing")


@pytest.mark.parametrize("given", ["?", [3], {"x": "?"}, {3: ["?"]}, None])
def test_missing_values_are_texts(given):
    with pytest.raises(ValueError, match=r'must be "auto", a list of texts, or a dict'):
        TableEncoder(missing_values=given)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2024-01-31", "2024-02-29"], [19753, 19782]),
        (["2024-01-31 12:00", "2024-01-31T06:00:00Z"], [19753.5, 19753.25]),
        (["2024-01-31T12:00:00+06:00", "1969-12-31T18:00-06"], [19753.25, 0]),
        (["1970-01-02 12:00:00 UTC", "1970-01-01 00:00:00.000000"], [1.5, 0]),
        (["12:00", "18:00:00", "00:00:00.0"], [0.5, 0.75, 0]),
    ],
)
def test_texts_that_are_datetimes_in_days(texts, expected):
    encoder = adapted({"x": texts}, scaling=None)
    read = encoder({"x": texts})["numeric"][:, 0]
    np.testing.assert_array_equal(read, np.float32(expected))


def test_times_of_the_day_go_round():
    encoder = adapted({"x": ["00:00", "06:00", "12:00"]})
    assert encoder.numeric_names == ("x", "x_day_sin", "x_day_cos")
    turned = encoder({"x": ["06:00"]})["numeric"][0, 1:]
    np.testing.assert_allclose(turned, [1, 0], atol=1e-6)
    assert "00:00:00 to 12:00:00" in encoder.summary()


def test_datetimes_are_those_that_numpy_reads():
    generator = random.Random(0)
    days = [f"{generator.randrange(1, 9999):04}-{m:02}-28" for m in range(1, 13)]
    days += ["2000-02-29", "1600-02-29", "0004-02-29", "9999-12-31", "1970-01-01"]
    texts = [f"{day}T{generator.randrange(24):02}:59:01.25" for day in days]
    encoder = adapted({"x": texts}, scaling=None)
    other = adapted({"x": np.array(texts, "datetime64[us]")}, scaling=None)
    for key, array in encoder({"x": texts}).items():
        np.testing.assert_array_equal(
            other({"x": np.array(texts, "datetime64[us]")})[key], array
        )


@pytest.mark.parametrize(
    "texts",
    [
        ["yes", "no"],
        ["Y", "n", "YES"],
        ["TRUE", "false", "t"],
        ["on", "Off"],
    ],
)
def test_yes_and_no_are_booleans(texts):
    encoder = adapted({"x": texts})
    assert encoder.numeric_names == ("x",)
    assert encoder({"x": texts[:2]})["numeric"].ravel().tolist() == [1, 0]


@pytest.mark.parametrize(
    "texts",
    [
        ["yes"],  # one of the two
        ["F", "N", "T", "Y"],  # of two pairs
        ["yes", "no", "maybe"],
        ["male", "female"],
        ["1.2.3", "1.2.4"],
        ["12 kg", "5 kg"],
        ["+49 170 123456", "0170 2"],
        ["+491701234567", "+491701234568"],
        ["555-1234", "555-1235"],
        ["A11", "A12"],
        ["inf", "Infinity"],
        ["1_000", "2_000"],
        ["\u0661", "\u0662"],  # digits of another script
        ["0x1F", "0x20"],
        ["24:30", "25:00"],  # no times of a day
    ],
)
def test_other_texts_are_levels_and_nothing_is_said(texts):
    encoder = adapted({"x": texts})
    assert encoder.levels("x") == tuple(sorted(texts))
    assert len(encoder.summary().splitlines()) == 3


@pytest.mark.parametrize(
    ("texts", "remark"),
    [
        (["01234", "12345", "99999"], "'01234', with a leading zero .* are codes"),
        (["1234567890123456", "1"], "more than fifteen of them, are codes"),
        (["1,234"], "'1,234' is read as 1234"),
        (["1.234", "5.678", "?"], "'1.234' is read as 1.234"),
    ],
)
def test_the_summary_tells_how_digits_were_taken(texts, remark):
    summary = adapted({"x": texts}).summary()
    assert pd.Series([summary]).str.contains(f"'x' .*{remark}")[0], summary


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["1,234"] * 999 + ["1,5"], "cannot be told apart"),
        (["1.5", "1,5", "1,234"], "cannot be told apart"),
        (["€ 999", "€ 1.234"], "'€ 1.234', cannot be told apart"),
        (["$1,234", "$2.500", "$3.750"], r"'\$1,234', '\$2.500', cannot be told apart"),
        (["$1", "€2", "$3"], r"numbers in \$; 1 of 3 are none, such as '€2'"),
        (["5%", "6%", "7"], "numbers in %; 1 of 3 are none, such as '7'"),
        (["5", "6", "many"], "1 of 3 are none, such as 'many'"),
        (["31.01.2024", "01.02.2024"], "ISO 8601.*'01.02.2024'.*to_datetime"),
        (["2024-01-31", "31.01.2024"], "ISO 8601.*'31.01.2024'.*to_datetime"),
        (["2024-02-30", "2024-02-29"], "ISO 8601.*'2024-02-30'"),
        (["2020", "2021-05"], "'2021-05'"),
        (["1.5"] * 999 + ["05"], "'05', with a leading zero"),
    ],
)
def test_doubtful_columns_stay_texts_with_a_warning(texts, words):
    encoder = TableEncoder()
    with pytest.warns(UserWarning, match=f"'x' stays text: .*{words}"):
        encoder.adapt({"x": texts})
    assert set(encoder.levels("x")) == set(texts)
    assert "'x' stays text: " in encoder.summary()


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        ("{} kg", "kg"),
        ("{}m\u00b2", "m\u00b2"),
        (" {},5 \u00b0C ", "\u00b0C"),
        ("-{}.5\u00a0h", "h"),
        ("1 1{:02d},5 km/h\t", "km/h"),
        ("{} L/100km", "L/100km"),
        ("{} fl oz", "fl oz"),
        (".{} m2", "m2"),
        ("{} employees", "employees"),
    ],
)
def test_numbers_with_a_unit_of_measure_stay_texts_with_a_warning(form, unit):
    texts = [form.format(number) for number in range(1, 31)]
    with pytest.warns(UserWarning, match=f"'x' stays text, of 30 .* unit '{unit}'"):
        adapted({"x": texts})


@pytest.mark.parametrize(
    "more",
    [["unknown"] * 8, ["41", "42", "43", "44"], ["41 KG", "42 Kg", "43 KG", "44 KG"]],
)
def test_a_unit_is_seen_beside_words_plain_numbers_and_other_letters(more):
    texts = [f"{number} kg" for number in range(1, 31)]
    with pytest.warns(UserWarning, match="unit 'kg'"):
        adapted({"x": texts + more})


@pytest.mark.parametrize(
    "form",
    [
        *("{:04d}.jpg", "{}.png", "6{:05d}.SH", "0.1.{}rc", "01.01.20{:02d}\u0433"),
        *("{:06d}X", "1{:03d}A", "10.0.0.{}a", "{},1,2 ;", "{})", "+49{}#", "{}th"),
        *("{} Oak Street", "room {}", "{}-9", "{}/2"),
    ],
)
def test_names_with_numbers_are_categories(form):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapted({"x": [form.format(number) for number in range(1, 40)]})


@pytest.mark.parametrize(
    "texts",
    [
        [f"{number} doors" for number in range(20)],
        [f"{number} {'kg' if number % 5 else 'lb'}" for number in range(50)],
    ],
)
def test_few_sizes_and_several_units_are_categories(texts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapted({"x": texts})


@pytest.mark.parametrize(
    ("most", "expected"), [("2.5", "numbers"), ("2024-01-31", "dates and times")]
)
def test_one_of_a_hundred_may_be_written_otherwise_and_is_missing(most, expected):
    encoder = TableEncoder(scaling=None)
    words = f"'x' is read as {expected} but for 1 of 100 values, such as 'see note'"
    with pytest.warns(UserWarning, match=words):
        encoder.adapt({"x": [most] * 99 + ["see note"]})
    assert encoder.numeric_names == ("x", "x_missing")
    with pytest.warns(UserWarning, match="stays text"):
        encoder.adapt({"x": [most] * 98 + ["see note"]})
    assert encoder.categorical_names == ("x",)


def test_kinds_decide_where_texts_leave_a_choice():
    table = {"zip": ["01234", "99999"], "few": ["1", "2"], "member": ["1", "no"]}
    kinds = {"zip": "numeric", "few": "categorical", "member": "boolean"}
    encoder = adapted(table, kinds=kinds, scaling=None)
    assert encoder.levels("few") == ("1", "2")
    assert encoder(table)["numeric"].tolist() == [[1234, 1], [99999, 0]]


def test_categories_keep_texts_as_they_are():
    assert adapted({"x": ["1", "2"]}, categories=["x"]).levels("x") == ("1", "2")
    column = pd.Series(["1", "2"], dtype="category")
    assert adapted({"x": column}).levels("x") == ("1", "2")


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("numeric", ["1.5", "2.5", "?"], [1.5, 2.5, 2]),
        ("boolean", ["yes", "yes", "no"], [1, 1, 0]),
        ("datetime", ["1970-01-02", "1970-01-04", "n/a"], [1, 3, 2]),
    ],
)
def test_a_kind_holds_for_the_texts_of_a_pandas_category_too(
    kind, texts, expected, tmp_path
):
    table = {"x": pd.Series(texts, dtype="category")}
    encoder = adapted(table, kinds={"x": kind}, scaling=None)
    assert encoder(table)["numeric"][:, 0].tolist() == expected
    keras.saving.save_model(encoder, tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert loaded(table)["numeric"][:, 0].tolist() == expected
    with pytest.raises(ValueError, match=f"'x' is {kind}, .* such as 'else'"):
        adapted({"x": pd.Categorical([*texts, "else"])}, kinds={"x": kind})


@pytest.mark.parametrize(
    ("kind", "texts", "words"),
    [
        ("numeric", ["1", "many", "many"], "a number.*2 others, such as 'many'"),
        ("numeric", ["1.5", "1,5", "1,234"], "cannot be told apart"),
        ("boolean", ["yes", "maybe"], "yes or no.*'maybe'"),
        ("datetime", ["2024-01-31", "31.1.2024"], "ISO 8601.*'31.1.2024'"),
    ],
)
def test_a_kind_that_was_asked_for_holds_for_every_text(kind, texts, words):
    with pytest.raises(ValueError, match=f"'x' is {kind}, .*{words}"):
        adapted({"x": texts}, kinds={"x": kind})


def test_a_text_that_cannot_be_read_later_is_missing():
    table = {
        "x": ["1", "3", None],
        "at": ["2024-01-01", "2024-01-03", None],
        "f": ["y", "n", None],
    }
    encoder = adapted(table)
    sent = {"x": ["many"], "at": ["1.1.2024"], "f": ["maybe"]}
    gap = {name: [None] for name in table}
    np.testing.assert_array_equal(encoder(sent)["numeric"], encoder(gap)["numeric"])


def dirty_and_clean(rows=300):
    """The same table, once with every number, day and gap written as people do."""
    rng = np.random.default_rng(3)
    amount = np.round(rng.normal(0, 5000, rows), 2)
    share = np.round(rng.random(rows) * 100, 1)
    area = np.round(rng.lognormal(7, 1, rows), 1)
    day = np.datetime64("2021-03-01") + rng.integers(0, 900, rows)
    yes = rng.random(rows) < 0.4
    town = rng.choice(np.array(["Ulm", "Bonn", "Aue"], object), rows)
    clean = {
        "amount": amount,
        "share": share,
        "area": area,
        "day": day.astype("datetime64[us]"),
        "yes": yes.astype(object),
        "town": town.copy(),
    }
    dirty = {
        "amount": [f"${v:,.2f}" if v >= 0 else f"(${-v:,.2f})" for v in amount],
        "share": [f"{v} %" for v in share],
        "area": [f"{v:,}".translate(str.maketrans(",.", ".,")) for v in area],
        "day": day.astype(str).tolist(),
        "yes": np.where(yes, "Yes", "no").tolist(),
        "town": town.tolist(),
    }
    words = ["?", "n/a", "", "NULL", "-", None]
    for place, name in enumerate(clean):
        for row in range(place, rows, 9 + place):
            clean[name][row] = GAPS[clean[name].dtype.kind]
            dirty[name][row] = words[row % len(words)]
    return pd.DataFrame(dirty), pd.DataFrame(clean)


@pytest.mark.parametrize("scaling", ["robust", "standard", None])
def test_a_dirty_copy_of_a_table_gives_the_arrays_of_the_clean_one(scaling):
    dirty, clean = dirty_and_clean()
    from_dirty, from_clean = (
        adapted(dirty, scaling=scaling),
        adapted(clean, scaling=scaling),
    )
    assert from_dirty.numeric_names == from_clean.numeric_names
    tolerance = 1e-5 if scaling == "standard" else 0  # sums in another order
    for key, array in from_clean(clean).items():
        np.testing.assert_allclose(from_dirty(dirty)[key], array, rtol=tolerance)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_chunks_of_texts_give_what_one_call_gives(monkeypatch, rows):
    set_limits(monkeypatch, BLOCK=64)
    dirty, _ = dirty_and_clean()
    whole = adapted(dirty).get_build_config()
    chunks = (dirty[start : start + rows] for start in range(0, len(dirty), rows))
    assert adapted(chunks).get_build_config() == whole
    shuffled = dirty.sample(frac=1, random_state=0)
    assert adapted(shuffled).get_build_config() == whole


def test_numbers_beside_texts_are_what_the_texts_are():
    """`read_csv` gives such columns and chunks, by the rows it looks at at once."""
    texts = ["1", "2.5", "?", "$4", "1,000"]
    whole = adapted({"x": texts}).get_build_config()
    mixed = {"x": [1, 2.5, "?", "$4", 1000.0]}
    chunks = [{"x": np.array([1.0, 2.5, 1000])}, {"x": ["?", "$4"]}]
    assert adapted(mixed).get_build_config() == whole
    assert adapted(chunks).get_build_config() == whole
    assert adapted(chunks[::-1]).get_build_config() == whole
    encoder = adapted({"x": texts}, scaling=None)
    read = encoder(mixed)["numeric"][:, 0]
    np.testing.assert_array_equal(read, [1, 2.5, 3.25, 4, 1000])
    assert encoder.plain_columns(mixed)["x"].tolist()[1:3] == ["2.5", ""]


def test_true_beside_its_text_is_a_boolean():
    chunks = [{"x": [True, False]}, {"x": ["True", "?"]}, {"x": [True, "false"]}]
    encoder = adapted(chunks)
    assert encoder({"x": ["TRUE", False, "n/a"]})["numeric"].tolist() == [
        [1, 0],
        [0, 0],
        [1, 1],
    ]


@pytest.mark.parametrize(
    "chunks",
    [
        [{"x": [1.0]}, {"x": ["a"]}],
        [{"x": ["a"]}, {"x": [1.0]}],
        [{"x": [1.0, "a"]}],
        [{"x": [True]}, {"x": ["maybe"]}],
        [{"x": np.array(["2020-01-01"], "datetime64[s]")}, {"x": ["1.1.2020"]}],
    ],
)
def test_texts_beside_values_they_do_not_stand_for_are_refused(chunks):
    with pytest.raises(ValueError, match="'x'"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted(chunks)


def test_a_column_of_numbers_reads_their_texts_later():
    """A file for training may be clean, and one to predict not."""
    at = datetime.datetime(2024, 1, 31)
    encoder = adapted({"x": [1.0, 3.0, 8.0], "at": [at] * 3, "f": [True, False, True]})
    dirty = {"x": ["?", "1,000"], "at": ["2024-01-31", ""], "f": ["false", "n/a"]}
    clean = {"x": [None, 1000], "at": [at, None], "f": [False, None]}
    np.testing.assert_array_equal(encoder(dirty)["numeric"], encoder(clean)["numeric"])
    with pytest.raises(ValueError, match="'x' .* must hold numbers.* 'many'"):
        encoder({**dirty, "x": ["1", "many"]})


def test_more_different_texts_than_are_counted_are_still_numbers(monkeypatch):
    set_limits(monkeypatch, MAX_LEVELS=100)
    texts = [f"${number:,}.50" for number in range(5000, 5400)]
    learned = adapted({"x": texts}).get_build_config()["columns"][0]
    assert (learned["lowest"], learned["fill"], learned["highest"]) == (
        5000.5,
        5200.0,
        5399.5,
    )
    chunks = ({"x": texts[i : i + 7]} for i in range(0, 400, 7))
    assert adapted(chunks).get_build_config()["columns"][0] == learned
    with pytest.raises(ValueError, match="'x' .* 40 others, such as 'many'"):
        adapted({"x": texts + ["many"] * 40})


def test_more_different_dates_than_are_counted_are_still_datetimes(monkeypatch):
    """Rows that wait for their block are no numbers beside the texts."""
    set_limits(monkeypatch, BLOCK=64)
    set_limits(monkeypatch, MAX_LEVELS=100)
    days = np.datetime64("2024-01-01") + np.arange(400)
    texts = days.astype(str).tolist()
    learned = adapted({"x": texts}).get_build_config()["columns"][0]
    as_days = adapted({"x": days}).get_build_config()["columns"][0]
    for field in ("kind", "missing", "lowest", "highest", "fill"):
        assert learned[field] == as_days[field]
    chunks = ({"x": texts[i : i + 150]} for i in range(0, 400, 150))
    assert adapted(chunks).get_build_config()["columns"][0] == learned


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ([f"name {n}" for n in range(40)], True),
        (np.arange(40) + 17, True),
        ([str(n) for n in range(40)], True),
        (np.arange(40) % 35, False),
        (np.arange(40) / 7, False),
        (np.arange(19), False),
        (np.arange(40.0), True),
        ([*range(40), None], True),
        (np.arange(40.0) + 2**52, True),
        (np.linspace(1, 2, 40) * 1e17, False),  # floats have no fractions there
        (np.linspace(-2, -1, 40) * 1e17, False),
        ([*(np.linspace(1, 2, 40) * 1e17).tolist(), None], False),
        (np.float32(np.linspace(1, 2, 40) * 1e9), False),
        (pd.array(np.linspace(1, 2, 40) * 1e9, "Float32"), False),
        (np.arange(40, dtype="float32"), True),
        (np.linspace(1, 2, 40) * 1e300, False),
        ([f"{n}e17" for n in range(1, 41)], False),
        ([f"-{n}e17" for n in range(1, 41)], False),
        ([f"{n}" for n in range(1, 41)], True),
    ],
)
def test_the_summary_tells_columns_that_only_name_their_rows(column, told):
    summary = adapted({"x": column}).summary()
    assert ("nearly as many different" in summary) == told


def test_different_numbers_are_told_in_long_columns():
    rng = np.random.default_rng(0)
    table = {"id": rng.permutation(200_000), "few": rng.integers(0, 50_000, 200_000)}
    summary = adapted(table).summary()
    assert "'id' has nearly as many" in summary and "'few' has" not in summary


def test_what_was_recognized_stands_in_the_summary():
    dirty, _ = dirty_and_clean()
    lines = adapted(dirty).summary().splitlines()
    found = {line.split()[0]: line for line in lines[2:]}
    assert "; from texts ($); " in found["amount"]
    assert "; from texts (%)" in found["share"]
    assert "; from texts (decimal comma)" in found["area"]
    assert "2021-03-0" in found["day"] and "; from texts" in found["day"]
    assert "; from texts (yes/y, no/n)" in found["yes"]
    assert "always 7" in adapted({"x": ["7", "7"]}).summary()


def test_what_was_recognized_travels_in_a_file(tmp_path):
    dirty, _ = dirty_and_clean()
    encoder = adapted(dirty, missing_values={"town": ["?", "n/a", "NULL", "-", "x"]})
    keras.saving.save_model(encoder, tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert loaded.get_config() == encoder.get_config()
    assert loaded.summary() == encoder.summary()
    for key, array in encoder(dirty).items():
        np.testing.assert_array_equal(loaded(dirty)[key], array)


OLD = {  # as a version wrote it that knew no notations
    "columns": [
        {
            **{"name": "t", "kind": "categorical", "rows": 3, "missing": 0},
            **{"fill": 0.0, "center": 0.0, "spread": 1.0, "lowest": 0.0},
            **{"highest": 0.0, "cycles": [], "levels": ["?", "1"], "rare": 0},
        },
        {
            **{"name": "n", "kind": "numeric", "rows": 3, "missing": 0},
            **{"fill": 2.0, "center": 0.0, "spread": 1.0, "lowest": 1.0},
            **{"highest": 3.0, "cycles": [], "levels": [], "rare": 0},
        },
    ]
}


def test_an_encoder_of_an_older_file_does_as_before():
    encoder = TableEncoder(scaling=None)
    encoder.build_from_config(json.loads(json.dumps(OLD)))
    encoded = encoder({"t": ["?", "1", "-", ""], "n": [1.5, None, 2, 3]})
    assert encoded["categorical"].ravel().tolist() == [2, 3, 1, 0]
    assert encoded["numeric"].ravel().tolist() == [1.5, 2, 2, 3]
    with pytest.raises(ValueError, match="'n' .* numbers.* Received: texts"):
        encoder({"t": ["1"], "n": ["1"]})
    parsing = TableEncoder(scaling=None, kinds={"n": "numeric"})
    parsing.build_from_config(OLD)
    assert parsing({"t": ["1"], "n": ["1.5"]})["numeric"].tolist() == [[1.5]]
    assert parsing.plain_columns({"t": ["1"], "n": ["1.5"]})["n"].dtype == "float64"


@pytest.mark.parametrize(
    "change",
    [
        {"notation": {"of": "number"}},
        {"notation": "number"},
        {"notation": {"unit": "("}},
        {"notation": {"decimal": ["."]}},
        {"notation": {"yes": [["y"]], "no": ["n"]}},
        {"notation": {"of": "time"}},
        {"absent": [3]},
        {"absent": "?"},
        {"remark": 3},
    ],
)
def test_a_file_with_a_notation_that_cannot_be_learned_is_refused(change):
    config = adapted({"x": ["1", "2"]}).get_build_config()
    column = config["columns"][0]
    if isinstance(change.get("notation"), dict) and change["notation"].get("of") != (
        "number"
    ):
        change = {"notation": column["notation"] | change["notation"]}
    column |= change
    with pytest.raises(ValueError, match="must be one that"):
        TableEncoder().build_from_config(config)


def test_missing_values_of_a_column_that_is_not_there_are_refused():
    with pytest.raises(ValueError, match=r"\['age'\]. Received: \['aeg'\]"):
        adapted({"age": ["1", "?"]}, missing_values={"aeg": ["?"]})


def test_four_digits_are_no_dates():
    assert recognize({"1234": 60, "x1": 40}).remark.startswith(
        "stays text: not all values are numbers; 40 of 100 are none"
    )


# Levels that are spelled alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Köln", " köln"),
        ("Köln", "Köln "),
        ("Köln", "KÖLN"),
        ("Köln", "Ko\u0308ln"),
        ("New York", "New  York"),
        ("New York", "New\xa0York"),
        ("a", "a "),
        ("Köln", "Köln\u200b"),
        ("Köln", "\ufeffKöln"),
        ("Köln", "Kö\u00adln"),
    ],
)
def test_levels_that_only_their_spelling_tells_apart_are_told(one, other):
    encoder = TableEncoder()
    table = {"x": [one] * 3 + [other] * 2 + ["Ulm"]}
    with pytest.warns(UserWarning, match="The column 'x' takes") as told:
        encoder.adapt(table)
    assert f"{one!r} and {other!r} for different levels" in str(told[0].message)
    assert f"{one!r} and {other!r}" in encoder.summary()
    assert encoder(table)["categorical"][:, 0].tolist() == [2, 2, 2, 3, 3, 4]


def test_a_column_with_another_warning_tells_of_them_too():
    encoder = TableEncoder()
    with pytest.warns(UserWarning, match="'x'") as told:
        encoder.adapt({"x": ["1,5"] * 6 + ["Köln", "köln"] * 2})
    (message,) = [str(warning.message) for warning in told]
    assert message.startswith("The column 'x' stays text: ")
    assert "takes 'Köln' and 'köln' for different levels" in message


def test_of_many_such_levels_the_most_frequent_pair_is_named():
    encoder = TableEncoder()
    table = {"x": ["yes"] * 5 + ["Yes"] * 4 + ["no"] + [" no"] * 3 + ["YES"]}
    with pytest.warns(UserWarning, match=r"'yes' and 'Yes' \(and 2 more\) for"):
        encoder.adapt({"x": table["x"] + ["maybe"]})


def test_other_words_and_numbers_are_not_told():
    encoder = TableEncoder()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.adapt({"x": ["Maße", "Masse", "10⁵ km", "105 km"]})


def test_codes_may_differ_by_capitals():
    encoder = TableEncoder()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.adapt({"x": ["a", "A", "aB", "Ab", "AB"], "y": [*"vwxyz"]})
    assert "different levels" not in encoder.summary()
