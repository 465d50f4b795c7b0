"""Searches in a PostgreSQL that several processes share."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import uuid

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState
from searching import (
    METHODS,
    MeetingOfFour,
    OneKilled,
    Sleeping,
    forked,
    hill,
    in_child,
    killed_at,
    searcher,
    table,
    wait_until,
)

from keras_trainkit import tuners
from keras_trainkit.tuners._process_identity import OWNER
from keras_trainkit.tuners._search_study import SearchStudy
from keras_trainkit.tuners._trial_queue import RETRY_OF, claim, recover

pytestmark = pytest.mark.backend_free

VARIABLE = "KERAS_TRAINKIT_POSTGRES"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture(scope="module")
def url():
    """Of a database in which every test has studies of its own."""
    if VARIABLE not in os.environ:
        pytest.skip(
            f"{VARIABLE} is not set to the URL of a server: "
            f"export {VARIABLE}=$(.ci/postgresql start FOLDER)"
        )
    return os.environ[VARIABLE]


@pytest.fixture
def shared(url, tmp_path):
    """Options of a search in the server, under a name that no other test has."""
    name = f"test-{uuid.uuid4().hex}"
    return {"storage": url, "project_name": name, "directory": tmp_path, "seed": 3}


@pytest.fixture
def store(url):
    """An empty study in the server."""
    return SearchStudy(url, f"test-{uuid.uuid4().hex}", "min")


def on_file(tmp_path):
    return {"directory": tmp_path, "project_name": "alone", "seed": 3}


def at_once(count, function, folder):
    """Runs `function(name)` in forks that all start at the same moment."""

    def wait_and_run(name):
        (folder / f"{name}.ready").touch()
        while not (folder / "go").exists():
            time.sleep(0.001)
        function(name)

    children = [forked(lambda n=name: wait_and_run(n)) for name in range(count)]
    wait_until(lambda: len(list(folder.glob("*.ready"))) == count, *children)
    (folder / "go").touch()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * count


def ended(tuner):
    return [trial for trial in tuner.study.trials if trial.state in ENDED]


@pytest.mark.slow
def test_four_workers_share_the_trials_of_one(shared, tmp_path):
    alone = Sleeping(max_trials=12, **on_file(tmp_path))
    alone.search(verbose=0)
    many = MeetingOfFour(max_trials=12, **shared)
    many.search(verbose=0, workers=4)
    assert table(many) == table(alone)  # drawn at random: no trial hangs on another
    assert len(ended(many)) == 12
    owners = {trial.user_attrs[OWNER]["pid"] for trial in ended(many)}
    assert len(owners) == 4 and os.getpid() not in owners


def test_its_password_is_written_nowhere(shared, tmp_path):
    url = sqlalchemy.make_url(shared["storage"]).set(password="apricot")
    url = url.render_as_string(hide_password=False)
    tuner = searcher(tuners.RandomSearch)(max_trials=1, **{**shared, "storage": url})
    tuner.search(verbose=0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not any(b"apricot" in path.read_bytes() for path in files)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_what_it_finds_in_a_file(method, shared, tmp_path):
    cls, options = METHODS[method]
    alone = searcher(cls)(**options, **on_file(tmp_path))
    alone.search(verbose=0)
    there = searcher(cls)(**options, **shared)
    there.search(verbose=0)
    assert table(there) == table(alone)


class Folded(keras_tuner.HyperModel):
    """Scores a configuration by the rows held out, without training."""

    def build(self, hp):
        hp.Int("a", 1, 90)
        return keras.Sequential([keras.layers.Dense(1)])

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        return float(np.mean(validation_data[1])) + (hp.get("a") > 1)


def test_folds_are_reported_and_end_a_hopeless_trial(shared):
    tuner = tuners.RandomSearch(Folded(), max_trials=2, folds=5, **shared)
    tuner.enqueue({"a": 1})
    tuner.enqueue({"a": 50})
    y = np.arange(10.0)
    tuner.search(y[:, None], y, verbose=0)
    first, second = tuner.study.trials
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert sum(first.intermediate_values.values()) == pytest.approx(5 * 4.5)
    assert first.value == pytest.approx(4.5) and len(second.intermediate_values) == 3


SCRIPT = """
import sys
from searching import MeetingOfFour, hill
from keras_trainkit import tuners

class Meeting(MeetingOfFour):
    company = 2

if __name__ == "__main__":
    directory, storage, name = sys.argv[1:]
    tuner = Meeting(
        max_trials=10, seed=3, directory=directory, storage=storage, project_name=name
    )
    tuner.directory = {met!r}
    tuner.search(verbose=0)
"""


@pytest.mark.slow
def test_a_script_started_twice_is_one_search(shared, tmp_path):
    file = tmp_path / "script.py"
    file.write_text(SCRIPT.replace("{met!r}", repr(str(tmp_path))))
    path = os.pathsep.join([str(pathlib.Path(__file__).parents[1]), *sys.path])
    command = [sys.executable, str(file)]
    scripts = [
        subprocess.Popen(
            [*command, tmp_path / machine, shared["storage"], shared["project_name"]],
            env={**os.environ, "PYTHONPATH": path},
        )
        for machine in ("here", "there")
    ]
    assert [script.wait(timeout=120) for script in scripts] == [0, 0]
    both = Sleeping(max_trials=10, **shared)
    alone = searcher(tuners.RandomSearch)(max_trials=10, **on_file(tmp_path))
    alone.search(verbose=0)
    assert table(both) == table(alone)
    assert len(ended(both)) == 10
    owners = {trial.user_attrs[OWNER]["pid"] for trial in ended(both)}
    assert owners == {script.pid for script in scripts}


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_trial(shared, tmp_path):
    alone = searcher(tuners.RandomSearch)(max_trials=12, **on_file(tmp_path))
    alone.search(verbose=0)
    many = OneKilled(max_trials=12, **shared)
    many.search(verbose=0, workers=4)
    assert table(many) == table(alone)
    assert len(ended(many)) == 12
    (again,) = [t for t in ended(many) if RETRY_OF in t.user_attrs]
    (lost,) = [t for t in many.study.trials if t.number == again.user_attrs[RETRY_OF]]
    assert lost.state == TrialState.FAIL and again.params == lost.params


def test_a_lost_trial_is_taken_up_once_by_all_who_find_it(store, tmp_path):
    def die():
        mine = claim(store, [], max_trials=9, wants_more=lambda _: True)
        optuna.trial.Trial(store.optuna_study, mine.key).suggest_float("x", 0.25, 0.25)
        os._exit(9)

    assert in_child(die) == 9
    at_once(4, lambda name: recover(store), tmp_path)
    (record,) = recover(store)
    assert [t.state for t in record.attempts] == [TrialState.FAIL, TrialState.WAITING]
    assert record.trial.system_attrs["fixed_params"] == {"x": 0.25}


def test_a_killed_search_goes_on_as_if_it_had_not_been(shared, tmp_path):
    cls = tuners.BayesianOptimization
    whole = searcher(cls)(max_trials=9, num_initial_points=3, **on_file(tmp_path))
    whole.search(verbose=0)

    def made(objective=hill):
        return searcher(cls, objective)(max_trials=9, num_initial_points=3, **shared)

    for call in (3, 4):
        assert in_child(lambda n=call: made(killed_at(n)).search(verbose=0)) == -9
    resumed = made()
    resumed.search(verbose=0)
    assert table(resumed) == table(whole)
    assert len(ended(resumed)) == 9


@pytest.mark.slow
def test_of_eight_processes_one_takes_a_trial(store, tmp_path):
    keys = [store.add(state=TrialState.WAITING) for _ in range(40)]

    def take_all(name):
        taken = []
        for key in keys:
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                if store.take(key):
                    taken.append(key)
        (tmp_path / f"{name}.taken").write_text(json.dumps(taken))

    at_once(8, take_all, tmp_path)
    taken = [json.loads(file.read_text()) for file in tmp_path.glob("*.taken")]
    assert sorted(sum(taken, [])) == keys


def test_an_empty_database_may_be_opened_by_several_at_once(url, tmp_path):
    name = f"empty_{uuid.uuid4().hex}"
    server = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    empty = sqlalchemy.make_url(url).set(database=name).render_as_string(False)

    def opened():
        return SearchStudy(empty, "s", "min")

    try:
        at_once(6, lambda _: opened().add(state=TrialState.WAITING), tmp_path)
        assert [trial.number for trial in opened().trials()] == list(range(6))
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.dispose()


def test_a_server_that_hangs_up_is_called_again(url, shared):
    server = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")

    def cut_off(hp):
        value = hill(hp)
        with server.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE application_name = '{name}' AND pid <> pg_backend_pid()"
            )
        return value

    name = shared["project_name"]
    storage = f"{shared['storage']}?application_name={name}"
    tuner = searcher(tuners.RandomSearch, cut_off)(
        max_trials=3, **{**shared, "storage": storage}
    )
    tuner.search(verbose=0)
    server.dispose()
    assert len(ended(tuner)) == 3


@pytest.mark.slow
def test_overwriting_deletes_this_study_and_no_other(shared, tmp_path):
    other = searcher(tuners.RandomSearch)(max_trials=3, **shared)
    other.search(verbose=0)
    before = table(other)
    mine = {**shared, "project_name": f"{shared['project_name']}-mine"}
    searcher(tuners.RandomSearch)(max_trials=4, **mine).search(verbose=0)
    again = searcher(tuners.RandomSearch)(max_trials=4, overwrite=True, **mine)
    assert table(again) == []
    assert table(other) == before and len(before) == 3
    again.search(verbose=0)
    assert len(table(again)) == 4
