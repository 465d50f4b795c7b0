"""What a search may write over and delete."""

import ctypes
import json
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

import keras_tuner
import numpy as np
import pandas as pd
import pytest
from searching import forked, hill, in_child, searcher, table, wait_until

from keras_trainkit import tuners
from keras_trainkit._process import this_process
from keras_trainkit.tuners._database import is_same_database
from keras_trainkit.tuners._trial_weights import remove_unfinished_weights

pytestmark = pytest.mark.backend_free

Searcher = searcher(tuners.RandomSearch)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", None, 7])
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="`project_name` names the folder"):
        Searcher(directory=tmp_path, project_name=name)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_files_is_refused(overwrite, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "oracle.json").write_text("KerasTuner's")
    with pytest.raises(ValueError, match="never overwritten"):
        Searcher(directory=tmp_path, overwrite=overwrite)
    assert [p.name for p in (tmp_path / "search").iterdir()] == ["oracle.json"]


def test_overwriting_deletes_what_the_kit_wrote_and_nothing_else(tmp_path):
    Searcher(directory=tmp_path, max_trials=3, seed=1).search(verbose=0)
    (tmp_path / "search" / "notes.txt").write_text("mine")
    weights = tmp_path / "search" / "trial_0001" / "checkpoint.weights.h5"
    weights.parent.mkdir()
    weights.write_text("old")
    other = tmp_path / "search" / "trial_0002"
    other.mkdir()
    (other / "plot.png").write_text("mine")
    tuner = Searcher(directory=tmp_path, max_trials=2, seed=2, overwrite=True)
    assert table(tuner) == []
    left = {
        p.relative_to(tmp_path / "search").as_posix() for p in other.parent.rglob("*")
    }
    left = {name for name in left if not name.startswith("study.db")}
    assert left == {
        "keras_trainkit_search.json",
        "notes.txt",
        "trial_0002",
        "trial_0002/plot.png",
    }


def test_another_space_is_refused_by_its_entry(tmp_path):
    Searcher(directory=tmp_path, max_trials=1, hyperparameters=space(high=3)).search()
    again = Searcher(directory=tmp_path, max_trials=2, hyperparameters=space(high=3))
    again.search(verbose=0)
    other = Searcher(directory=tmp_path, max_trials=3, hyperparameters=space(high=4))
    with pytest.raises(ValueError, match="other definitions of units"):
        other.search(verbose=0)


def space(high):
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, high)
    return hp


class Declaring(keras_tuner.HyperModel):
    """A space without a model."""

    def __init__(self, high):
        super().__init__()
        self.high = high

    def build(self, hp):
        hp.Int("units", 1, self.high)


def test_another_space_of_the_hypermodel_is_refused_too(tmp_path):
    Searcher(Declaring(3), directory=tmp_path, max_trials=1).search(verbose=0)
    with pytest.raises(ValueError, match="other definitions of units"):
        Searcher(Declaring(4), directory=tmp_path).search(verbose=0)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"seed": 4}, "seed=3"),
        ({"objective": "accuracy"}, "objective='val_loss'"),
        ({"folds": 3}, "with folds=1;.*Received: folds=3"),
        ({"executions_per_trial": 2}, "with executions_per_trial=1;"),
    ],
)
def test_another_search_in_the_same_study_is_refused(options, word, tmp_path):
    Searcher(directory=tmp_path, seed=3)
    with pytest.raises(ValueError, match=word):
        Searcher(directory=tmp_path, **{"seed": 3, **options})


X, Y = np.zeros((6, 2)), np.zeros(6)
NAMED = pd.DataFrame({"area": [1.0, 2.0], "town": ["Ulm", "Bonn"]})


@pytest.mark.first_quick
@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ((X, Y, 3), (X, Y, 4), "epochs=3; .*Received: epochs=4"),
        ((X, Y, 3), (X[:5], Y[:5], 3), r"x=\[6, 2\]; .*Received: x=\[5, 2\]"),
        ((X, Y, 3), (X, Y[:, None], 3), r"y=\[6\]; .*Received: y=\[6, 1\]"),
        (({"a": X}, Y, 3), ({"b": X}, Y, 3), r"x=\{'a'.*Received: x=\{'b'"),
        (
            (NAMED, Y, 3),
            (NAMED.rename(columns={"town": "city"}), Y, 3),
            "'town'.*Received:.*'city'",
        ),
    ],
)
def test_a_search_on_other_data_is_refused(first, then, words, tmp_path):
    def search(x, y, epochs):
        tuner = Searcher(directory=tmp_path, max_trials=2, seed=3)
        tuner.search(x, y=y, epochs=epochs, verbose=0)
        return tuner

    search(*first)
    assert len(table(search(*first))) == 2
    with pytest.raises(ValueError, match=f"goes on only .*{words}"):
        search(*then)


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    first = Searcher(directory=tmp_path)
    assert Searcher(directory=tmp_path).seed == first.seed


def test_the_study_may_be_in_a_database_elsewhere(tmp_path):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    tuner = Searcher(directory=tmp_path, storage=url, max_trials=2)
    tuner.search(verbose=0)
    marker = tmp_path / "search" / "keras_trainkit_search.json"
    assert json.loads(marker.read_text())["storage"] == url
    assert not (tmp_path / "search" / "study.db").exists()
    emptied = Searcher(directory=tmp_path, storage=url, overwrite=True)
    assert table(emptied) == []


def test_a_search_in_another_database_is_refused_but_for_overwriting(tmp_path):
    folder, urls = tmp_path / "search", []
    for name in ("first", "second"):
        urls.append(f"sqlite:///{tmp_path / name}.db")
    weights = folder / "trial_0000" / "checkpoint.weights.h5"
    Searcher(directory=tmp_path, max_trials=2, seed=3).search(verbose=0)
    weights.parent.mkdir()
    weights.write_text("of the first search")
    remote = "postgresql+psycopg://me:hidden@host/studies"
    for url in (urls[0], remote):
        with pytest.raises(
            ValueError, match="begun in, .*study.db'; .*Received: "
        ) as e:
            Searcher(directory=tmp_path, storage=url, seed=3)
        assert "hidden" not in str(e.value)
        assert "`project_name`" in str(e.value) and "`overwrite=True`" in str(e.value)
    assert weights.read_text() == "of the first search"
    Searcher(directory=tmp_path, storage=urls[0], seed=3, overwrite=True)
    assert not weights.exists()
    Searcher(directory=tmp_path, storage=urls[0], seed=3)
    for url in (urls[1], None):
        with pytest.raises(ValueError, match="begun in, .*first.db'; .*Received: "):
            Searcher(directory=tmp_path, storage=url, seed=3)


@pytest.mark.parametrize(
    ("url", "other", "expected"),
    [
        ("postgresql://a:x@h/d", "postgresql+psycopg://b:y@h/d?sslmode=require", True),
        ("postgresql://a@h/d", "postgresql://a@h/e", False),
        ("postgresql://a@h/d", "postgresql://a@h2/d", False),
        ("postgresql://a@h/d", "postgresql://a@h:5432/d", True),
        ("postgresql://a@h:5433/d", "postgresql://a@h:5432/d", False),
        ("mysql://a@h/d", "postgresql://a@h/d", False),
        ("sqlite:///a.db", "sqlite:///./a.db", True),
        ("sqlite:///a.db", "sqlite:///b.db", False),
    ],
)
def test_one_database_by_two_urls(url, other, expected):
    assert is_same_database(url, other) is expected


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_trials": 0}, "`max_trials`"),
        ({"executions_per_trial": 0}, "`executions_per_trial`"),
        ({"folds": 2.0}, "`folds`"),
        ({"seed": -1}, "`seed`"),
        ({"min_improvement": 0.1}, "`patience`"),
        ({"min_improvement": -1, "patience": 2}, "`min_improvement`"),
        ({"isolate": 1}, "`isolate`"),
        ({"trial_timeout": 3}, "`isolate=True`"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(options, word, tmp_path):
    with pytest.raises(ValueError, match=word):
        Searcher(directory=tmp_path, **options)
    assert not any(tmp_path.iterdir())


def test_a_bayesian_search_warns_of_what_it_does_not_have(tmp_path):
    with pytest.warns(UserWarning, match="`surrogate` chooses.*Received: beta=2.6"):
        tuners.BayesianOptimization(hill, beta=2.6, directory=tmp_path)
    with pytest.raises(ValueError, match="`surrogate`.*'tpe', 'gp'"):
        tuners.BayesianOptimization(hill, surrogate="rf", directory=tmp_path)


def test_weights_that_a_killed_process_was_writing_are_removed(tmp_path):
    tuner = Searcher(directory=tmp_path, max_trials=3, seed=1)
    left = tmp_path / "search" / "trial_0000" / ".123.checkpoint.weights.h5"
    mine = left.with_name("notes.weights.h5")
    left.parent.mkdir()
    left.touch()
    mine.touch()
    tuner.search(verbose=0)
    assert not left.exists() and mine.exists()


def test_weights_that_a_living_process_is_writing_stay(tmp_path):
    names = ("trial_0000", "trial_0001")
    files = [tmp_path / "search" / n / ".7.checkpoint.weights.h5" for n in names]

    def objective(hp):
        for file in files:
            file.parent.mkdir(exist_ok=True)
            file.touch()
        other = Searcher(directory=tmp_path, max_trials=3, seed=1)
        remove_unfinished_weights(tmp_path / "search", other.oracle.records)
        return [file.exists() for file in files] == [True, False]

    tuner = searcher(tuners.RandomSearch, lambda hp: float(objective(hp)))(
        directory=tmp_path, max_trials=1, seed=1
    )
    tuner.search(verbose=0)
    assert tuner.study.best_value == 1.0


def test_a_gaussian_process_without_torch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"keras-trainkit\[gp\]"):
        tuners.BayesianOptimization(hill, surrogate="gp", directory=tmp_path)


def test_overwriting_is_refused_while_another_process_searches(tmp_path):
    def objective(hp):
        (tmp_path / "begun").touch()
        time.sleep(60)

    tuner = searcher(tuners.RandomSearch, objective)
    child = forked(lambda: tuner(directory=tmp_path, seed=3).search(verbose=0))
    wait_until((tmp_path / "begun").exists, child)
    before = (tmp_path / "search" / "study.db").stat().st_ino
    with pytest.raises(ValueError, match=f"a search by the process {child}"):
        Searcher(directory=tmp_path, overwrite=True)
    assert (tmp_path / "search" / "study.db").stat().st_ino == before
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    again = Searcher(directory=tmp_path, max_trials=2, overwrite=True)
    again.search(verbose=0)
    assert len(table(again)) == 2
    assert not list((tmp_path / "search").glob(".searching*"))


@pytest.mark.first_quick
@pytest.mark.parametrize("trouble", ["gone", "empty", "torn", "text"])
def test_a_study_that_is_no_more_is_refused_but_for_overwriting(trouble, tmp_path):
    Searcher(directory=tmp_path, max_trials=3, seed=3).search(verbose=0)
    file = tmp_path / "search" / "study.db"
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    content = file.read_bytes()
    for end in ("-wal", "-shm"):
        file.with_name(f"study.db{end}").unlink(missing_ok=True)
    if trouble == "gone":
        file.unlink()
    else:
        lost = {
            "empty": b"",
            "torn": content[: len(content) // 2],
            "text": b"notes" * 99,
        }
        file.write_bytes(lost[trouble])
    with pytest.raises(ValueError, match=r"study\.db'"):
        Searcher(directory=tmp_path)
    assert file.exists() == (trouble != "gone")
    anew = Searcher(directory=tmp_path, max_trials=2, overwrite=True)
    anew.search(verbose=0)
    assert len(table(anew)) == 2


def test_old_locks_of_other_hosts_are_removed(tmp_path):
    Searcher(directory=tmp_path, max_trials=2, seed=3)
    here = this_process()
    elsewhere = {**here, "place": "another boot"}
    old, new = time.time() - 25 * 3600, time.time() - 3600
    locks = {
        "elsewhere-old": (json.dumps(elsewhere), old),
        "elsewhere-new": (json.dumps(elsewhere), new),
        "living-old": (json.dumps(here), old),
        "torn-old": ("", old),
        "torn-new": ("", new),
    }
    for name, (content, written) in locks.items():
        file = tmp_path / "search" / f".searching.{name}.json"
        file.write_text(content)
        os.utime(file, (written, written))
    Searcher(directory=tmp_path, max_trials=2, seed=3).search(verbose=0)
    left = (tmp_path / "search").glob(".searching.*")
    assert sorted(file.suffixes[0] for file in left) == [
        *(".elsewhere-new", ".living-old", ".torn-new")
    ]


def test_a_search_that_another_process_begins_meanwhile_is_joined(
    tmp_path, monkeypatch
):
    """Its files appear between two looks at the folder, the marker first."""
    folder = tmp_path / "s"
    folder.mkdir()
    look = pathlib.Path.iterdir

    def begun_meanwhile(path):
        if path == folder:
            monkeypatch.undo()
            assert in_child(lambda: Searcher(directory=tmp_path, project_name="s")) == 0
        return look(path)

    monkeypatch.setattr(pathlib.Path, "iterdir", begun_meanwhile)
    tuner = Searcher(directory=tmp_path, project_name="s", max_trials=2)
    tuner.search(verbose=0)
    assert len(table(tuner)) == 2


def started_at_once(count, folder):
    """The seeds of so many processes that begin the same search together."""

    def start(number):
        while not (folder / "go").exists():
            time.sleep(0.001)
        seed = Searcher(directory=folder, project_name="s").seed
        (folder / f"{number}.seed").write_text(str(seed))

    children = [forked(lambda n=number: start(n)) for number in range(count)]
    (folder / "go").touch()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * count
    return [file.read_text() for file in folder.glob("*.seed")]


@pytest.mark.parametrize("count", [4, pytest.param(30, marks=pytest.mark.soak)])
def test_processes_that_begin_together_join_with_one_seed(count, tmp_path):
    seeds = started_at_once(count, tmp_path)
    assert len(seeds) == count and len(set(seeds)) == 1


STEPS = ("open", "os.rename", "os.mkdir", "os.remove", "sqlite3.connect")


def killed_at_step(step, folder):
    def start():
        seen = []

        def watch(event, arguments):
            if event in STEPS and str(folder) in str(arguments):
                seen.append(event)
                if len(seen) == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        Searcher(directory=folder, seed=3)

    return in_child(start) == -signal.SIGKILL


@pytest.mark.first_quick
@pytest.mark.parametrize("step", [1, 2, 3, 4, 6, 8, 10])
def test_a_first_start_that_is_killed_is_taken_up(step, tmp_path):
    killed_at_step(step, tmp_path)
    tuner = Searcher(directory=tmp_path, seed=3, max_trials=2)
    tuner.search(verbose=0)
    assert len(table(tuner)) == 2


@pytest.mark.first_quick
@pytest.mark.parametrize("size", [0, 100, 4096, 30_000, 100_000])
def test_a_first_start_on_a_full_disk_is_named_and_taken_up(size, tmp_path):
    def start():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        with pytest.raises(ValueError, match="search.*Received:.*search"):
            Searcher(directory=tmp_path, seed=3)

    assert in_child(start) == 0
    tuner = Searcher(directory=tmp_path, seed=3, max_trials=2)
    tuner.search(verbose=0)
    assert len(table(tuner)) == 2


def without_privileges(function):
    """Runs the function in a fork that may write what permissions let it, even root."""
    libc = ctypes.CDLL(None)

    def child():
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
        libc.capset(header, (ctypes.c_uint32 * 6)())  # of `capabilities(7)`, none
        function()

    return in_child(child)


@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_may_not_be_written_is_named(begun):
    folder = pathlib.Path(tempfile.mkdtemp())  # pytest's own is closed to others
    try:
        if begun:
            searcher(tuners.RandomSearch)(
                max_trials=2, directory=folder, project_name="shelf"
            ).search(verbose=0)
        for path in [*folder.rglob("*"), folder]:
            path.chmod(0o555 if path.is_dir() else 0o444)

        def search():
            with pytest.raises(ValueError, match=rf"write to.*{folder}/shelf"):
                searcher(tuners.RandomSearch)(
                    max_trials=4, directory=folder, project_name="shelf"
                ).search(verbose=0)

        assert without_privileges(search) == 0
    finally:
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o000, 0o311])
def test_a_folder_that_may_not_be_read_is_named(mode):
    folder = pathlib.Path(tempfile.mkdtemp())
    shelf = folder / "shelf"
    shelf.mkdir()
    (shelf / "keras_trainkit_search.json").write_text("{}")
    (shelf / "keras_trainkit_search.json").chmod(0o000)
    shelf.chmod(mode)

    def begin():
        with pytest.raises(ValueError, match=rf"name the folder.*{shelf}.*denied"):
            Searcher(directory=folder, project_name="shelf")

    try:
        assert without_privileges(begin) == 0
    finally:
        shelf.chmod(0o755)
        shutil.rmtree(folder)
