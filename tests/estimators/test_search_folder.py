"""The folder of a search: what is refused, and what it is known again by."""

import json
import os

import keras
import numpy as np
import pytest

from keras_trainkit.estimators._search_folder import (
    FORMAT,
    MARKER,
    begin,
    check_directory,
    described_arguments,
    seed_in,
)


def description(**changes):
    found = {"format": FORMAT, "seed": 3, "the number of rows": 20}
    return found | {"arguments": {"epochs": 5, "members": 2}} | changes


def test_a_new_folder_is_marked_and_known_again(tmp_path):
    folder = check_directory(str(tmp_path / "new" / "a"))
    assert check_directory(None) is None and seed_in(None) is None
    assert seed_in(folder) is None
    begin(folder, description())
    begin(check_directory(folder), description())
    assert seed_in(folder) == 3
    assert [path.name for path in folder.iterdir()] == [MARKER]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"the number of rows": 9}, "the number of rows was 20 and is 9"),
        ({"arguments": {"epochs": 6}}, "arguments 'epochs' was 5 and is 6"),
        (
            {"arguments": {"epochs": 5, "members": 2, "new": 1}},
            "arguments 'new' was None and is 1",
        ),
    ],
)
def test_another_search_is_refused_by_its_first_difference(tmp_path, changes, words):
    begin(tmp_path, description())
    with pytest.raises(ValueError, match=f"^`directory` is the folder .*{words}.$"):
        begin(tmp_path, description(**changes))


def test_other_files_are_refused_but_for_a_marker_half_written(tmp_path):
    (tmp_path / f".{MARKER}.7").write_text("{")
    assert check_directory(tmp_path) == tmp_path
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="^`directory` .* other files are never"):
        check_directory(tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", json.dumps({"format": 9, "seed": 3})]
)
def test_an_unreadable_marker_is_refused(tmp_path, content):
    (tmp_path / MARKER).write_text(content)
    with pytest.raises(ValueError, match="^`directory` .*a readable automl.json"):
        seed_in(tmp_path)


def test_a_full_disk_leaves_no_marker(tmp_path, monkeypatch):
    def full(*paths):
        raise OSError(28, "No space left on device")

    for name in ("link", "replace"):
        monkeypatch.setattr(os, name, full)
    with pytest.raises(ValueError, match="^`directory` .* with room left.*No space"):
        begin(tmp_path, description())
    assert not list(tmp_path.iterdir())


class Silent(keras.callbacks.Callback):
    """Has no `get_config`."""

    def __init__(self, patience):
        super().__init__()
        self.patience = patience


def test_objects_are_known_by_what_they_were_made_with():
    def of(**arguments):
        return described_arguments(arguments)

    sgd = keras.optimizers.SGD
    assert of(optimizer=sgd(0.1)) == of(optimizer=sgd(0.1)) != of(optimizer=sgd(0.2))
    assert of(units=(np.int64(3),)) == of(units=(3,))
    assert of(trials=3, time_limit=9, verbose=1, directory="a") == {}
    # By their name alone, as docs/tables.md says.
    assert of(keras_callbacks=[Silent(1)]) == of(keras_callbacks=[Silent(2)])
    assert of(loss=lambda y, z: y) == of(loss=lambda y, z: z) != of(loss=max)
