"""The folder of a fitted estimator: what is not one of the class is told."""

import errno
import itertools
import json
import re
import shutil

import keras
import numpy as np
import pytest

from keras_trainkit.estimators import (
    SequenceClassifier,
    SequenceRegressor,
    TableClassifier,
    TableRegressor,
    TextClassifier,
)
from keras_trainkit.estimators._saved_folder import read_folder, write_folder

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


def saved_regressor(folder, weight=1.0):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[weight]]), np.zeros(1)])
    fields = {"estimator": "TableRegressor"}
    return write_folder(folder, {"model.keras": model}, fields)


@pytest.mark.parametrize("mixed", ["model.keras", "estimator.json"])
def test_files_of_two_folders_are_not_mixed(mixed, tmp_path):
    """Each of them is whole, and together they would predict what neither does."""
    one = saved_regressor(tmp_path / "one")
    other = saved_regressor(tmp_path / "other", weight=7.0)
    shutil.copy(other / mixed, one / mixed)
    words = "model.keras, ValueError: another file than the one"
    with pytest.raises(ValueError, match=f"^`path` .* as `save` wrote them.*{words}"):
        read_folder(one, "TableRegressor", ["model.keras"])


@pytest.mark.parametrize("hashes", [None, {}, {"model.keras": 5}, "abc"])
def test_edited_hashes_are_refused(hashes, tmp_path):
    folder = saved_regressor(tmp_path / "there")
    fields = json.loads((folder / "estimator.json").read_text())
    edited = {**fields, "sha256": hashes}
    (folder / "estimator.json").write_text(json.dumps(edited))
    with pytest.raises(ValueError, match="another file than the one"):
        read_folder(folder, "TableRegressor", ["model.keras"])


def test_a_folder_without_hashes_is_of_an_earlier_release(tmp_path):
    folder = saved_regressor(tmp_path / "there")
    fields = json.loads((folder / "estimator.json").read_text())
    del fields["sha256"]
    (folder / "estimator.json").write_text(json.dumps(fields))
    (model,), _ = read_folder(folder, "TableRegressor", ["model.keras"])
    assert keras.ops.convert_to_numpy(model(np.ones((1, 1)))) == 1


def test_a_file_that_is_cut_off_is_named(tmp_path):
    folder = saved_regressor(tmp_path / "there")
    file = folder / "model.keras"
    file.write_bytes(file.read_bytes()[:100])
    fields = json.loads((folder / "estimator.json").read_text())
    del fields["sha256"]
    (folder / "estimator.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=f"Received: {re.escape(str(file))}, BadZip"):
        read_folder(folder, "TableRegressor", ["model.keras"])


def test_a_full_disk_is_told_with_the_folder(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.saving, "save_model", full)
    with pytest.raises(OSError, match="No space left on device: .*there") as told:
        saved_regressor(tmp_path / "there")
    assert told.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())
