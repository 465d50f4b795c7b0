"""The folder of a fitted estimator: what is not one of the class is told."""

import itertools

import keras
import pytest

from keras_trainkit.estimators import (
    SequenceClassifier,
    SequenceRegressor,
    TableClassifier,
    TableRegressor,
    TextClassifier,
)
from keras_trainkit.estimators._saved_folder import write_folder

FILES = {
    TableClassifier: ["model.keras", "encoder.keras"],
    TableRegressor: ["model.keras", "encoder.keras"],
    SequenceClassifier: ["model.keras"],
    SequenceRegressor: ["model.keras"],
    TextClassifier: ["model.keras"],
}


@pytest.mark.parametrize(
    ("saved", "loading"),
    list(itertools.permutations(FILES, 2)),
    ids=lambda c: c.__name__,
)
def test_the_folder_of_another_class_is_named(saved, loading, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    files = dict.fromkeys(FILES[saved], model)
    folder = write_folder(tmp_path / "there", files, {"estimator": saved.__name__})
    words = f"^`path` .* must be of a {loading.__name__}. Received: '{saved.__name__}' "
    with pytest.raises(ValueError, match=words):
        loading.load(folder)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("estimator.json", r"hold model.keras, encoder.keras, .*\['estimator.json'\]"),
        ("encoder.keras", r"hold model.keras, encoder.keras, .*\['encoder.keras'\]"),
    ],
)
def test_a_file_that_is_missing_is_named(lost, words, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    files = dict.fromkeys(FILES[TableRegressor], model)
    folder = write_folder(tmp_path / "there", files, {"estimator": "TableRegressor"})
    (folder / lost).unlink()
    with pytest.raises(ValueError, match=f"^`path` .* must {words}"):
        TableRegressor.load(folder)
