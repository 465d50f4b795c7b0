"""Raw columns to a model that was trained on an encoder's arrays."""

import datetime
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

from keras_trainkit import models, serving
from keras_trainkit.layers import TableEncoder

pytestmark = pytest.mark.tensorflow_only

DATA = pathlib.Path(os.environ.get("KERAS_TRAINKIT_DATA", "no-data"))
TABLES = [
    "adult",
    "california",
    "house_16h",
    "churn",
    "diamonds",
    "covertype",
    "german",
]
ROWS = 600

SERVER = """
import pathlib, sys

sys.modules.update(dict.fromkeys(("keras", "keras_trainkit", "pandas")))
import numpy as np
import tensorflow as tf

root = pathlib.Path(sys.argv[1])
serve = tf.saved_model.load(str(root / "1")).signatures["serving_default"]
sent = np.load(root / "sent.npz")
answer = serve(**{name: tf.constant(sent[name]) for name in sent.files})
np.savez(root / "answer.npz", **{name: value.numpy() for name, value in answer.items()})
"""


def small_table():
    return pd.DataFrame(
        {
            "age": [20.0, 30.5, None, 50.1],
            "hours-per-week": [3, 1, 2, 2],
            "town": ["Köln", "Ulm", None, "Ulm"],
            "member": [True, False, True, True],
            "2nd seen": pd.date_range("2020-01-01", periods=4, freq="40h"),
        }
    )


def adapted(table, **arguments):
    encoder = TableEncoder(**arguments)
    encoder.adapt(table)
    return encoder


def echo(encoder):
    """A model whose outputs are what the encoder gives it."""
    inputs, m = {}, len(encoder.category_sizes)
    if encoder.numeric_names:
        inputs["numeric"] = keras.Input(encoder.numeric_shape, name="numeric")
    if m:
        inputs["categorical"] = keras.Input((m,), dtype="int32", name="categorical")
    outputs = {f"{key}_again": x * 1 for key, x in inputs.items()}
    return keras.Model(inputs, outputs)


def exported(model, path, examples, encoder):
    path = serving.export(model, path, examples, preprocessing=encoder)
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def assert_same(answer, encoded):
    for key, array in encoded.items():
        if array.shape[1]:
            np.testing.assert_array_equal(answer[f"{key}_again"], array)


def test_inputs_have_the_names_and_types_of_the_columns(tmp_path):
    encoder = adapted(small_table())
    served = exported(echo(encoder), tmp_path, small_table(), encoder)
    specs = served.structured_input_signature[1]
    assert {name: spec.dtype for name, spec in specs.items()} == {
        "age": tf.float64,
        "hours_per_week": tf.float64,
        "town": tf.string,
        "member": tf.int32,
        "column_2nd_seen": tf.float64,
    }
    assert all(spec.shape.as_list() == [None] for spec in specs.values())


def test_a_client_without_the_encoder_gets_its_arrays(tmp_path):
    encoder = adapted(small_table())
    served = exported(echo(encoder), tmp_path, small_table(), encoder)
    answer = served(
        age=tf.constant([np.nan, 33.3], tf.float64),
        hours_per_week=tf.constant([2, np.nan], tf.float64),
        town=tf.constant(["Köln", "Rome"]),
        member=tf.constant([0, -1]),
        column_2nd_seen=tf.constant([1577872800.0, np.nan], tf.float64),
    )
    sent = {
        "age": [None, 33.3],
        "hours-per-week": [2, None],
        "town": ["Köln", "Rome"],
        "member": [False, None],
        "2nd seen": [np.datetime64("2020-01-01T10:00"), None],
    }
    assert_same(answer, encoder(sent))
    assert np.isfinite(answer["numeric_again"]).all()
    np.testing.assert_array_equal(answer["categorical_again"], [[3], [1]])


def test_the_recorded_request_is_raw(tmp_path):
    encoder = adapted(small_table())
    path = serving.export(echo(encoder), tmp_path, small_table(), preprocessing=encoder)
    golden = json.loads((path / "assets.extra" / "golden_request.json").read_text())
    assert golden["inputs"]["town"] == ["Köln", "Ulm", "", "Ulm"]
    assert golden["inputs"]["member"] == [1, 0, 1, 1]
    assert golden["inputs"]["column_2nd_seen"][0] == 1577836800.0


def dirty_table():
    return pd.DataFrame(
        {
            "price": ["$1,200", "($7.25)", "?", "8e2", "-$5", "$ 0.1"],
            "area": ["1.234,5", "0,1", "n/a", "1 000", "\u22127", "3,3"],
            "share": ["22.8 %", "50%", "", "-1%", "0.1%", None],
            "seen": [
                *("2024-01-31", "1969-12-31T23:59:59.123456", "NULL"),
                *("2024-02-29 12:30+05:30", "2250-07-21 02:11:39.630935", "0001-01-01"),
            ],
            "at": ["12:30", "00:00:00.1", "-", "23:59:59.999999", "06:00", "05:00"],
            "member": ["Yes", "no", "none", "Y", "N", "yes"],
            "town": ["Köln", "NA", "Ulm", " ? ", "Ulm", "Bonn"],
        }
    )


ODD_TEXTS = [
    *("1,5", "1.5", "$3", "€3", "7", "5%", "1e308", "1e309", "9" * 30, "9" * 31),
    *("(5)", "+5", "00", "inf", "nan", "0x1", "yes ", "NO", "true", "ye\u017f", "\x00"),
    *("2024-02-30", "2024-02-29", "2023-02-29", "2024", "2024-01", "24:00", "3,3\n"),
    *(
        "9999-12-31T23:59:59.999999Z",
        "0000-01-01",
        "1 0",
        "1\u00a0234",
        "\u202f",
        "N/A",
    ),
    *("\u0663", "unseen", "\ufffd", "--", " ", "Ulm", "ulm"),
]


@pytest.mark.slow
def test_a_served_model_reads_the_texts_that_the_encoder_reads(tmp_path):
    table = dirty_table()
    encoder = adapted(table)
    assert encoder.categorical_names == ("town",)
    served = exported(echo(encoder), tmp_path, table, encoder)
    specs = served.structured_input_signature[1]
    assert {spec.dtype for spec in specs.values()} == {tf.string}
    sent = pd.concat([table, pd.DataFrame(dict.fromkeys(table, ODD_TEXTS))])
    plain = encoder.plain_columns(sent)
    assert plain["price"].tolist() == sent["price"].tolist()  # as it is
    answer = served(**{name: tf.constant(plain[name]) for name in table})
    encoded = encoder(sent)
    turning = [name.endswith(("_sin", "_cos")) for name in encoder.numeric_names]
    exact = ~np.array(turning)  # the encoder's sine may differ in the last bit
    np.testing.assert_array_equal(
        answer["numeric_again"].numpy()[:, exact], encoded["numeric"][:, exact]
    )
    np.testing.assert_allclose(answer["numeric_again"], encoded["numeric"], atol=1e-6)
    np.testing.assert_array_equal(answer["categorical_again"], encoded["categorical"])


@pytest.mark.slow
def test_a_served_model_is_sent_texts_of_typed_columns(tmp_path):
    """Where training had texts, and the table to predict has what they stand for."""
    table = dirty_table()
    encoder = adapted(table)
    typed = {
        "price": [0.1, 1e-7, None],
        "area": [1e22, 0.1, 1.234],
        "share": [0.1, 3, None],
        "seen": np.array(["2024-01-31T01:02:03.4", "1950-01-01", "NaT"], "M8[us]"),
        "at": ["06:00", "05:00", "?"],
        "member": [True, False, None],
        "town": ["Ulm", "?", None],
    }
    served = exported(echo(encoder), tmp_path, typed, encoder)
    plain = encoder.plain_columns(typed)
    assert plain["area"].tolist() == ["1e+22", "0,1", "1,234"]
    answer = served(**{name: tf.constant(values) for name, values in plain.items()})
    encoded = encoder(typed)
    np.testing.assert_allclose(answer["numeric_again"], encoded["numeric"], atol=1e-6)


@pytest.mark.parametrize("name", ["features", "numeric"])
def test_numbers_alone_feed_a_single_input(tmp_path, name):
    table = {"a": [1.0, 2.0, 5.0], "b": [3, None, 4]}
    encoder = adapted(table)
    inputs = keras.Input((3,), name=name)
    model = keras.Model(inputs, {"numeric_again": inputs * 1})
    served = exported(model, tmp_path, table, encoder)
    plain = encoder.plain_columns(table)
    answer = served(**{key: tf.constant(value) for key, value in plain.items()})
    assert_same(answer, encoder(table))


def test_categories_alone_feed_a_single_input(tmp_path):
    table = {"a": ["p", "q", None]}
    encoder = adapted(table)
    served = exported(echo(encoder), tmp_path, table, encoder)
    answer = served(a=tf.constant(["q", "z", ""]))
    np.testing.assert_array_equal(answer["categorical_again"], [[3], [1], [0]])


@pytest.mark.slow
@pytest.mark.parametrize(
    "left", [["age", "hours-per-week"], ["town"], ["member", "town"]]
)
def test_the_mlp_of_the_kit_answers_raw_columns(tmp_path, left):
    table = small_table()[left]
    encoder = adapted(table)
    sizes = encoder.category_sizes or None
    model = models.mlp(encoder.numeric_shape, 2, (4,), category_sizes=sizes)
    served = exported(model, tmp_path, table, encoder)
    names = list(served.structured_input_signature[1])
    plain = encoder.plain_columns(table)
    sent = {n.replace("-", "_"): tf.constant(v) for n, v in plain.items()}
    assert set(sent) == set(names)
    arrays = encoder(table)
    expected = model.predict(arrays if sizes else arrays["numeric"], verbose=0)
    np.testing.assert_allclose(served(**sent)["outputs"], expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:Infinite numbers count as missing.*:UserWarning"  # one is sent
)
def test_a_bare_process_answers_as_the_encoder_does(tmp_path):
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=200), "t": rng.choice(["a", "b", "ü"], 200)}
    encoder = adapted(table, max_categories=2)
    serving.export(echo(encoder), tmp_path, table, preprocessing=encoder)
    sent = {"x": [*table["x"][:9], np.nan, np.inf], "t": [*"abüabüabz", "", "a"]}
    np.savez(
        tmp_path / "sent.npz", x=np.array(sent["x"]), t=[s.encode() for s in sent["t"]]
    )
    done = subprocess.run(
        [sys.executable, "-c", SERVER, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same(np.load(tmp_path / "answer.npz"), encoder(sent))


def test_days_of_arrow_and_categories_of_intervals_are_served(tmp_path):
    day = datetime.date
    days = [day(2020, 1, 1), None, day(2020, 1, 5), day(2020, 1, 2)]
    frame = pd.DataFrame(
        {
            "day": pd.Series(days, dtype=pd.ArrowDtype(pa.date32())),
            "cut": pd.cut([1.0, 2.0, np.nan, 2.5], [0, 1.5, 3]),
            "month": pd.PeriodIndex(["2020-01"] * 3 + ["2020-02"], freq="M"),
        }
    ).astype({"month": "category"})
    encoder = adapted(frame, scaling=None)
    served = exported(echo(encoder), tmp_path, frame, encoder)
    plain = encoder.plain_columns(frame)
    answer = served(**{name: tf.constant(values) for name, values in plain.items()})
    assert_same(answer, encoder(frame))
    by_hand = served(
        day=tf.constant([86400.0, np.nan], tf.float64),
        cut=tf.constant(["(0, 1.5]", "(7, 9]"]),
        month=tf.constant(["2020-02", ""]),
    )
    numeric = by_hand["numeric_again"].numpy()[:, [0, -1]]
    assert numeric.tolist() == [[1, 0], [18263, 1]]  # days since 1970, missing
    assert by_hand["categorical_again"].numpy().tolist() == [[3, 3], [1, 0]]


def test_texts_that_are_no_utf8_are_unseen_when_served(tmp_path):
    table = {"t": ["a", "b", "b"]}
    encoder = adapted(table)
    served = exported(echo(encoder), tmp_path, table, encoder)
    sent = encoder.plain_columns({"t": [b"\xff", "\ud800", "a"]})["t"]
    came = served(t=tf.constant(sent))["categorical_again"]
    assert came.numpy().ravel().tolist() == [1, 1, 3]


def test_a_model_that_does_not_fit_is_refused(tmp_path):
    encoder = adapted(small_table())
    features = keras.Input((8,), name="features")
    model = keras.Model(features, keras.layers.Dense(1, name="out")(features))
    with pytest.raises(
        ValueError, match=r"\['numeric', 'categorical'\].*\['features'\]"
    ):
        serving.export(model, tmp_path, small_table(), preprocessing=encoder)
    numbers = adapted({"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"for 'features', give .*\(None, 8\)"):
        serving.export(model, tmp_path, {"x": [1.0]}, preprocessing=numbers)


def test_an_encoder_that_learned_nothing_is_refused(tmp_path):
    model = echo(adapted(small_table()))
    with pytest.raises(ValueError, match=r"call `adapt\(table\)`"):
        serving.export(model, tmp_path, small_table(), preprocessing=TableEncoder())


def test_columns_whose_names_become_one_are_refused(tmp_path):
    table = {"a-b": [1.0], "a b": [2.0]}
    encoder = adapted(table)
    with pytest.raises(ValueError, match=r"rename columns.*\['a-b', 'a b'\]"):
        serving.export(echo(encoder), tmp_path, table, preprocessing=encoder)


def test_examples_have_the_columns_of_the_table(tmp_path):
    encoder = adapted(small_table())
    with pytest.raises(ValueError, match=r"\['town'\] missing, \[\] unknown"):
        examples = small_table().drop(columns="town")
        serving.export(echo(encoder), tmp_path, examples, preprocessing=encoder)


@pytest.fixture(scope="module")
def load():
    if not (DATA / "load.py").exists():
        pytest.skip("KERAS_TRAINKIT_DATA names no folder that holds a load.py")
    spec = importlib.util.spec_from_file_location("load", DATA / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_every_data_set_with_gaps_and_unseen_levels(load, tmp_path, name):
    frame = load.table(name)[0].sample(ROWS, random_state=0).reset_index(drop=True)
    half = ROWS // 2
    encoder = adapted(frame[:half])
    for place, column in enumerate(frame):
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
            frame.loc[half + place, column] = "unseen"
        frame.loc[half + 50 + place :: 7, column] = None
    served = exported(echo(encoder), tmp_path, frame[:3], encoder)
    names = served.structured_input_signature[1]
    plain = dict(
        zip(encoder.column_names, encoder.plain_columns(frame).values(), strict=True)
    )
    sent = {n: plain.get(n, plain.get(n.removeprefix("column_"))) for n in names}
    answer = served(**{n: tf.constant(values) for n, values in sent.items()})
    encoded = encoder(frame)
    assert_same(answer, encoded)
    assert np.isfinite(encoded["numeric"]).all()
    codes = encoded["categorical"]
    assert (codes < encoder.category_sizes).all()
    if codes.shape[1]:
        assert {0, 1, 2} <= set(codes[half:].ravel())
