"""Files of encoders, which anyone may have written, meet the bounds of `adapt`."""

import copy
import json

import keras
import numpy as np
import pytest

from keras_trainkit.layers import TableEncoder

TEXTS, NUMBERS, DAYS = range(3)  # places of the columns
TABLE = {
    "t": ["a", "b"],
    "n": [1.0, 3.0],
    "d": np.array(["2020-01-01", "2021-01-02"], "datetime64[D]"),
}


def saved():
    encoder = TableEncoder(max_categories=2)
    encoder.adapt(TABLE)
    return json.loads(json.dumps(encoder.get_build_config()))


def loaded(config, **arguments):
    encoder = TableEncoder(**{"max_categories": 2, **arguments})
    encoder.build_from_config(config)
    return encoder


@pytest.mark.parametrize("config", [None, [], 7, "x", {}, {"columns": None}])
def test_what_holds_no_columns_is_refused(config):
    with pytest.raises(ValueError, match="must be one that it can learn"):
        loaded(config)


@pytest.mark.parametrize("columns", [[], {}, "ab", 7, [7], [None], [[]], [{}]])
def test_columns_that_are_none_are_refused(columns):
    with pytest.raises(ValueError, match="must be one that it can learn"):
        loaded({"columns": columns})


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (TEXTS, {"name": 1}),
        (TEXTS, {"name": ""}),
        (TEXTS, {"name": "n"}),  # as another column
        (TEXTS, {"kind": ["categorical"]}),
        (TEXTS, {"code": "x"}),
        (TEXTS, {"rows": -2}),
        (TEXTS, {"rows": 0}),
        (TEXTS, {"rows": 3}),  # other than in the other columns
        (TEXTS, {"rows": 10**400}),
        (TEXTS, {"rows": True}),
        (TEXTS, {"missing": 3}),  # of 2 rows
        (TEXTS, {"missing": -1}),
        (TEXTS, {"rare": 1.5}),
        (TEXTS, {"levels": ["a", "b", "c"]}),  # of at most 2
        (TEXTS, {"levels": [["a"], ["b"]]}),
        (TEXTS, {"levels": [True, False]}),
        (TEXTS, {"levels": [10**400]}),
        (TEXTS, {"levels": [2.0**54]}),
        (TEXTS, {"levels": [float("nan")]}),
        (TEXTS, {"levels": ["\ud800"]}),
        (TEXTS, {"levels": "ab"}),
        (TEXTS, {"texts_of": "code"}),
        (TEXTS, {"levels": [1.0], "texts_of": "datetime"}),
        (NUMBERS, {"levels": ["a"]}),
        (NUMBERS, {"fill": 10**400}),
        (NUMBERS, {"fill": float("inf")}),
        (NUMBERS, {"fill": 4.0}),  # of values from 1 to 3
        (NUMBERS, {"fill": True}),
        (NUMBERS, {"spread": float("inf")}),
        (NUMBERS, {"spread": None}),
        (NUMBERS, {"lowest": 5.0}),  # above the highest
        (NUMBERS, {"cycles": ["day"]}),
        (DAYS, {"cycles": ["day", "day"]}),
        (DAYS, {"cycles": [{}]}),
        (DAYS, {"highest": 1e18}),  # seconds
    ],
)
def test_what_adapt_cannot_learn_is_refused(place, change):
    config = saved()
    config["columns"][place] |= change
    with pytest.raises(ValueError, match="must be one that it can learn"):
        loaded(config)


@pytest.mark.parametrize("field", ["name", "kind", "rows", "missing"])
def test_a_column_that_lacks_a_field_is_refused(field):
    config = saved()
    del config["columns"][TEXTS][field]
    with pytest.raises(ValueError, match="must be one that it can learn"):
        loaded(config)


def test_whole_numbers_of_any_size_are_the_floats_that_they_were():
    config = saved()
    config["columns"][NUMBERS] |= {"highest": 10**300, "center": 2**70}
    encoded = loaded(config)(TABLE)["numeric"]
    assert encoded.dtype == "float32" and np.isfinite(encoded).all()


def test_files_without_the_newer_fields_open():
    config, encoder = saved(), TableEncoder(max_categories=2)
    encoder.adapt(TABLE)
    for column in config["columns"]:
        del column["texts_of"]
    for key, array in encoder(TABLE).items():
        np.testing.assert_array_equal(loaded(config)(TABLE)[key], array)


@pytest.mark.parametrize(
    "arguments",
    [{"categories": ["n"]}, {"categories": ["z"]}, {"kinds": {"n": "datetime"}}],
)
def test_saved_columns_are_of_the_kinds_that_the_arguments_name(arguments):
    with pytest.raises(ValueError, match="must agree with the columns that were saved"):
        loaded(saved(), **arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"max_categories": 10**400},
        {"max_categories": -1},
        {"scaling": ["robust"]},
        {"categories": [["a"]]},
        {"kinds": {"a": []}},
        {"name": 3},
        {"dtype": 10**400},
        {"code": "x"},
    ],
)
def test_arguments_that_the_constructor_refuses_are_refused_from_a_file(change):
    encoder = TableEncoder()
    encoder.adapt(TABLE)
    with pytest.raises(ValueError, match="Received"):
        TableEncoder.from_config(encoder.get_config() | change)
    config = copy.deepcopy(keras.saving.serialize_keras_object(encoder))
    config["config"] |= change
    with pytest.raises(ValueError, match="Received"):
        keras.saving.deserialize_keras_object(config)
