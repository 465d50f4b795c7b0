"""`fit(resume=)`: what was stopped goes on, and ends as what was not."""

import contextlib
import errno
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_trainkit import callbacks
from keras_trainkit._train_state.owner import Owner
from keras_trainkit.estimators import (
    SequenceClassifier,
    SequenceRegressor,
    TableClassifier,
    TableRegressor,
    TextClassifier,
    _table_estimator,
)

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 3))
CLASSES = np.where(TABLE[:, 0] > 0, "up", "down")
SEQUENCES = [RNG.normal(size=(3 + n % 3, 2)) for n in range(40)]
TEXTS = ["good film" if n % 2 else "bad film" for n in range(40)]
SMALL = {"epochs": 2, "batch_size": 16, "learning_rate": 0.02, "folds": 2}
SMALL |= {"random_state": 3}
NETWORK = {"members": 2, "hidden_units": (4,)}


class Killed(Exception):
    pass


def stop_at_save(monkeypatch, number):
    """Raises after the state has been written so often."""
    write, done = callbacks.TrainState._save, []

    def save(self, *arguments, **keywords):
        write(self, *arguments, **keywords)
        done.append(1)
        if len(done) == number:
            raise Killed

    monkeypatch.setattr(callbacks.TrainState, "_save", save)


def table_classifier(**changes):
    return TableClassifier(**SMALL | NETWORK | changes)


def assert_same(one, other):
    for a, b in zip(one.model_.get_weights(), other.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history_ == other.history_
    found = [json.dumps(each.recipe_, default=str) for each in (one, other)]
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_stopped_in_the_second_network_it_ends_as_one_that_was_not(
    tmp_path, monkeypatch
):
    whole = table_classifier().fit(TABLE, CLASSES)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_at_save(patch, 3)
        table_classifier().fit(TABLE, CLASSES, resume=tmp_path / "run")
    assert (tmp_path / "run" / "network_1").is_dir()
    resumed = table_classifier().fit(TABLE, CLASSES, resume=tmp_path / "run")
    assert_same(resumed, whole)
    with monkeypatch.context() as patch:
        stop_at_save(patch, 1)  # nothing is trained and nothing written again
        again = table_classifier(verbose=0).fit(
            TABLE, CLASSES, resume=str(tmp_path / "run")
        )
    assert_same(again, whole)
    check_refusals(tmp_path / "run")


def check_refusals(folder):
    """Another fit in the folder, by its first difference."""
    regressor = TableRegressor(**SMALL | NETWORK)
    for words, estimator, x, y in (
        ("values of 'y' are others", table_classifier(), TABLE, CLASSES[::-1]),
        ("values of column 'x0' are others", table_classifier(), TABLE + 1, CLASSES),
        ("was 60 and is 59", table_classifier(), TABLE[1:], CLASSES[1:]),
        ("'epochs' was 2 and is 3", table_classifier(epochs=3), TABLE, CLASSES),
        ("seed was 3 and is 4", table_classifier(random_state=4), TABLE, CLASSES),
        ("and is 'TableRegressor'", regressor, TABLE, TABLE[:, 0]),
    ):
        with pytest.raises(ValueError, match=f"^`resume` is .*{words}"):
            estimator.fit(x, y, resume=folder)
    # pid 1 lives; the place is this machine's
    owner = json.loads(json.dumps({"pid": 1, "place": "elsewhere", "started": None}))
    (folder / "owner.1.json").write_text(json.dumps(owner))
    with pytest.raises(ValueError, match=r"\b1\b"):
        table_classifier().fit(TABLE, CLASSES, resume=folder)


@pytest.mark.usefixtures("eagerly")
def test_a_recipe_that_has_changed_is_named(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_at_save(patch, 1)
        table_classifier().fit(TABLE, CLASSES, resume=tmp_path)
    chosen = _table_estimator.chosen

    def of_another_version(*arguments, **keywords):
        found = chosen(*arguments, **keywords)
        return found | {"dropout": {"value": 0.05, "reason": "another version"}}

    monkeypatch.setattr(_table_estimator, "chosen", of_another_version)
    words = "^`resume` is .*the recipe's 'dropout' was 0.1 and is 0.05"
    with pytest.raises(ValueError, match=words):
        table_classifier().fit(TABLE, CLASSES, resume=tmp_path)


def test_a_search_has_its_own_folder(tmp_path):
    with pytest.raises(ValueError, match="^`resume` is .* goes on in its `directory`"):
        table_classifier(trials=2).fit(TABLE, CLASSES, resume=tmp_path)


@pytest.mark.parametrize("folder", ["", 7])
def test_what_is_no_folder_is_refused(folder):
    with pytest.raises(ValueError, match="^`resume` is the folder of the fit and must"):
        table_classifier().fit(TABLE, CLASSES, resume=folder)


def test_a_folder_that_cannot_be_written_is_told_by_its_argument(tmp_path, monkeypatch):
    def refused(self, spare_own):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Owner, "_refuse_others", refused)
    with pytest.raises(ValueError, match="^`resume` is the folder of the state and mu"):
        table_classifier().fit(TABLE, CLASSES, resume=tmp_path / "new")


def test_files_of_others_are_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="one of a fit .* other files are never over"):
        table_classifier().fit(TABLE, CLASSES, resume=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


SOME = {
    "sequence classifier": (
        lambda: SequenceClassifier(units=(4,), **SMALL),
        SEQUENCES,
        ["a", "b"] * 20,
    ),
    "sequence regressor": (
        lambda: SequenceRegressor(units=(4,), **SMALL),
        SEQUENCES,
        np.arange(40.0),
    ),
    "texts": (lambda: TextClassifier(units=(4,), **SMALL), TEXTS, ["a", "b"] * 20),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("sequence classifier", marks=pytest.mark.slow),
        pytest.param("sequence regressor", marks=pytest.mark.soak),
        pytest.param("texts", marks=pytest.mark.soak),
    ],
)
def test_sequences_and_texts_go_on_too(kind, tmp_path, monkeypatch):
    make, x, y = SOME[kind]
    whole = make().fit(x, y)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_at_save(patch, 3)
        make().fit(x, y, resume=tmp_path)
    assert_same(make().fit(x, y, resume=tmp_path), whole)
    with pytest.raises(ValueError, match="values of X are others|of 'X' are others"):
        make().fit(x[::-1], y, resume=tmp_path)


@pytest.mark.slow
def test_a_seed_that_nobody_gave_and_callbacks_of_ones_own_go_on(tmp_path, monkeypatch):
    class Noted(callbacks.EarlyStopping):
        pass

    def make():
        return table_classifier(
            random_state=None, keras_callbacks=[Noted("loss", patience=9)]
        )

    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_at_save(patch, 3)
        make().fit(TABLE, CLASSES, resume=tmp_path)
    resumed = make().fit(TABLE, CLASSES, resume=tmp_path)
    seed = resumed.recipe_["seed"]["value"]
    whole = table_classifier(
        random_state=seed, keras_callbacks=[Noted("loss", patience=9)]
    )
    whole.fit(TABLE, CLASSES)
    for a, b in zip(
        resumed.model_.get_weights(), whole.model_.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


SCRIPT = """
import sys, pathlib
import numpy as np
from keras_trainkit.estimators import TableClassifier

folder, out = sys.argv[1:]
rng = np.random.default_rng(0)
x = rng.normal(size=(300, 4))
fitted = TableClassifier(
    members=2, hidden_units=(16, 16), epochs=8, batch_size=16, folds=3, random_state=5
).fit(x, x[:, 0] > 0, resume=folder)
np.savez(out + ".new.npz", *fitted.model_.get_weights(), fitted.predict_proba(x))
pathlib.Path(out + ".new.npz").rename(out)
"""


def start(folder, out):
    paths = [str(pathlib.Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.soak
def test_kills_at_random_moments_lose_nothing(tmp_path):
    """From the beginning of the folder on, until ten have hit."""
    began = time.monotonic()
    whole = start(tmp_path / "whole", tmp_path / "whole.npz")
    errors = whole.communicate(timeout=1800)[1].decode()
    assert whole.returncode == 0, errors[-3000:]
    seconds = time.monotonic() - began  # that a kill comes within, on any processor
    rng, kills, runs = random.Random(1), 0, 0
    while kills < 10:
        runs += 1
        folder, out = tmp_path / f"run{runs}", tmp_path / f"run{runs}.npz"
        while not out.exists():
            process = start(folder, out)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.random() * seconds)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += (folder / "fit.json").exists()  # before there is nothing
            errors = process.communicate()[1].decode()
            assert process.returncode in (0, -signal.SIGKILL), errors[-3000:]
        with np.load(out) as found, np.load(tmp_path / "whole.npz") as expected:
            for name in expected.files:
                np.testing.assert_array_equal(found[name], expected[name])
    print(f"{kills} kills of {runs} fits")
