"""Every example runs to its last line, small, and leaves what it promises."""

import importlib.util
import pathlib

import keras
import numpy as np
import pandas as pd
import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.tensorflow_only  # they end in a SavedModel


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train_mlp():
    return load("train_mlp")


def test_every_example_is_tested():
    tested = {"train_mlp"}
    assert {file.stem for file in EXAMPLES.glob("*.py")} == tested


def test_train_mlp_beats_chance_and_leaves_its_files(train_mlp, tmp_path):
    scores = train_mlp.main(out=tmp_path, epochs=8)
    assert scores["keras_trainkit"] > 0.9
    names = {file.name for file in tmp_path.iterdir()}
    assert names >= {"model.keras", "range_test.png", "learning_curves.png"}
    assert (tmp_path / "saved_model" / "1" / "saved_model.pb").exists()


@pytest.fixture
def houses(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"rooms": rng.normal(5, 1, 200), "age": rng.normal(30, 9, 200)}
    )
    table["price"] = 1e5 * table["rooms"] - 1e3 * table["age"]
    table.to_csv(tmp_path / "houses.csv", index=False)
    return tmp_path / "houses.csv"


def test_train_mlp_predicts_in_the_units_of_the_csv_file(train_mlp, houses, tmp_path):
    scores = train_mlp.main(houses, "price", out=tmp_path / "out", epochs=30)
    assert scores["keras_trainkit"] < 5e4  # the standard deviation is 1e5
    loaded = keras.saving.load_model(tmp_path / "out" / "model.keras")
    price = float(loaded.predict(np.array([[5.0, 30.0]]), verbose=0)[0, 0])
    assert price == pytest.approx(4.7e5, rel=0.2)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("town", ["Ulm"] * 200, "The column 'town'.*must hold numbers.*'Ulm'"),
        ("rooms", [np.nan] * 3 + [1.0] * 197, "The column 'rooms'.*3 missing"),
        ("price", [np.nan] + [1.0] * 199, "target column 'price'.*1 missing"),
    ],
)
def test_train_mlp_names_the_column_it_cannot_use(
    train_mlp, houses, tmp_path, column, values, words
):
    table = pd.read_csv(houses)
    table[column] = values
    table.to_csv(houses, index=False)
    with pytest.raises(ValueError, match=words):
        train_mlp.main(houses, "price", out=tmp_path / "out")


def test_train_mlp_names_the_columns_there_are(train_mlp, houses, tmp_path):
    with pytest.raises(ValueError, match="'rooms', 'age', 'price'.*target='prize'"):
        train_mlp.main(houses, "prize", out=tmp_path / "out")
