"""Several processes over one study: workers, isolated trials, dead owners."""

import contextlib
import gc
import json
import os
import signal
import sqlite3
import sys
import time
import weakref

import optuna
import pytest
import sqlalchemy
from keras_tuner.errors import FatalValueError
from optuna.trial import TrialState
from searching import (
    Ending,
    Lingering,
    Meeting,
    Sleeping,
    Troubled,
    forked,
    hill,
    in_child,
    searcher,
    table,
    wait_until,
)

from keras_trainkit import tuners
from keras_trainkit._process import this_process
from keras_trainkit.tuners import _search_loop, _search_study, _study_connection
from keras_trainkit.tuners._database import sqlite_url
from keras_trainkit.tuners._process_identity import OWNER
from keras_trainkit.tuners._processes import frozen_objects, start, stop, wait_for_end
from keras_trainkit.tuners._study_connection import heartbeat
from keras_trainkit.tuners._trial_queue import claim, recover
from keras_trainkit.tuners._trial_record import read_trials


@pytest.fixture
def store(tmp_path):
    """An empty study in a file."""
    return _search_study.SearchStudy(sqlite_url(tmp_path / "study.db"), "s", "min")


def claimed(store, **options):
    settings = {"max_trials": 9, "wants_more": lambda records: True}
    options = {**settings, **options}
    return claim(store, read_trials(store.trials()), **options)


@pytest.mark.slow
def test_two_workers_share_the_trials_of_one(tmp_path):
    alone = Sleeping(max_trials=12, seed=3, directory=tmp_path, project_name="a")
    alone.search(verbose=0)
    shared = Meeting(max_trials=12, seed=3, directory=tmp_path, project_name="b")
    shared.search(verbose=0, workers=2)
    assert table(shared) == table(alone)  # drawn at random: no trial hangs on another
    # A trial that both added at once, beyond the twelfth, is given up without owner.
    owners = {
        trial.user_attrs[OWNER]["pid"]
        for trial in shared.study.trials
        if trial.state == TrialState.COMPLETE
    }
    assert len(owners) == 2 and os.getpid() not in owners


def test_workers_that_are_done_and_do_not_end_are_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(_search_loop, "EXIT_SECONDS", 0.1)
    tuner = Lingering(max_trials=4, seed=3, directory=tmp_path)
    tuner.search(verbose=0, workers=2)
    assert [row[1] for row in table(tuner)] == 4 * ["COMPLETED"]


def test_a_worker_that_cannot_be_started_leaves_none_behind(tmp_path, monkeypatch):
    started, stopped = [], []

    def start_one(*args):
        if started:
            raise OSError("Too many processes")
        started.append((object(), object()))
        return started[0]

    monkeypatch.setattr(_search_loop, "start", start_one)
    monkeypatch.setattr(_search_loop, "stop", lambda *pair: stopped.append(pair))
    tuner = Sleeping(max_trials=4, seed=3, directory=tmp_path)
    with pytest.raises(OSError, match="Too many"):
        tuner.search(verbose=0, workers=2)
    assert stopped == started


def test_an_isolated_trial_may_die_or_hang_alone(tmp_path):
    tuner = Troubled(max_trials=2, seed=0, isolate=True, directory=tmp_path)
    tuner.enqueue({"trouble": "none"})
    tuner.enqueue({"trouble": "kill"})
    tuner.search(verbose=0)
    frame = tuner.trials_frame()
    assert list(frame["state"]) == ["COMPLETE", "FAIL"]
    assert "killed, as it is when memory runs out" in frame["reason"]["0001"]
    assert frame["score"]["0000"] != os.getpid()


def test_an_isolated_trial_has_its_time(tmp_path):
    tuner = Troubled(
        max_trials=1, seed=0, isolate=True, trial_timeout=1.5, directory=tmp_path
    )
    tuner.enqueue({"trouble": "hang"})
    with pytest.raises(RuntimeError, match="longer than trial_timeout=1.5 seconds"):
        tuner.search(verbose=0)


def test_what_other_processes_cannot_get_is_refused(tmp_path):
    def objective(hp):
        return hill(hp)

    tuner = searcher(tuners.RandomSearch, objective)(directory=tmp_path)
    with pytest.raises(ValueError, match="must be picklable"):
        tuner.search(verbose=0, workers=2)


def test_a_function_of_a_notebook_is_refused(monkeypatch):
    def build():
        pass

    build.__module__, build.__qualname__ = "__main__", "build"
    monkeypatch.setattr(sys.modules["__main__"], "build", build, raising=False)
    process, receiver = start(build)
    with pytest.raises(ValueError, match="must stand in a module.*Received: .*'build'"):
        wait_for_end(process, receiver, 60)
    stop(process, receiver)


def test_a_trial_of_a_dead_process_is_taken_up_with_its_values(store):
    def die():
        mine = claimed(store)
        trial = optuna.trial.Trial(store.optuna_study, mine.key)
        trial.suggest_float("x", 0.25, 0.25)
        os._exit(9)

    assert in_child(die) == 9
    recover(store)
    recover(store)
    first, second = store.trials()
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.WAITING)
    assert second.system_attrs["fixed_params"] == {"x": 0.25}
    again = claimed(store)
    number = store.storage.get_trial(again.key).number
    assert (again.index, number) == (0, 1)


@pytest.mark.parametrize("line", range(1, 7))
def test_a_process_may_die_on_any_write_of_a_claim(line, store):
    """The claim writes up to five times; after the last one nothing is left to die."""

    def die():
        writes = []
        storage = store.storage
        for name in ("create_new_trial", "set_trial_user_attr", "record_heartbeat"):
            _die_at(storage, name, writes, line)
        _die_at(storage, "set_trial_state_values", writes, line)
        claimed(store)
        os._exit(7)

    status = in_child(die)
    assert status in (7, 9)
    recover(store)
    mine = claimed(store)
    assert mine.index == 0
    records = read_trials(store.trials())
    assert len(records) == 1 and records[0].trial.state == TrialState.RUNNING


def test_of_several_processes_one_takes_a_trial(store, tmp_path):
    keys = [store.add(state=TrialState.WAITING) for _ in range(40)]
    go = tmp_path / "go"

    def take_all(name):
        assert store.optuna_study.trials  # connects before the start
        (tmp_path / f"{name}.ready").touch()
        while not go.exists():
            time.sleep(0.001)
        taken = []
        for key in keys:
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                if store.take(key):
                    taken.append(key)
        (tmp_path / f"{name}.taken").write_text(json.dumps(taken))

    children = [forked(lambda name=name: take_all(name)) for name in range(4)]
    wait_until(lambda: len(list(tmp_path.glob("*.ready"))) == 4, *children)
    go.touch()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    taken = [json.loads(file.read_text()) for file in tmp_path.glob("*.taken")]
    assert sorted(sum(taken, [])) == keys


def _die_at(storage, name, writes, line):
    real = getattr(storage, name)

    def dying(*args, **kwargs):
        result = real(*args, **kwargs)
        writes.append(name)
        if len(writes) == line:
            os._exit(9)
        return result

    setattr(storage, name, dying)


def test_a_trial_of_a_living_process_is_left_alone(store):
    mine = claimed(store)
    recover(store)
    (trial,) = store.trials()
    assert (
        trial.state == TrialState.RUNNING and trial.user_attrs[OWNER] == this_process()
    )
    assert claimed(store).index == 1 and mine.index == 0


def test_a_silent_trial_of_another_machine_is_taken_up(store, monkeypatch):
    monkeypatch.setattr(_study_connection, "GRACE_SECONDS", 1)
    monkeypatch.setattr(_study_connection, "HEARTBEAT_SECONDS", 1)
    mine = claimed(store)
    elsewhere = {**this_process(), "place": "another machine"}
    store.storage.set_trial_user_attr(mine.key, OWNER, elsewhere)
    recover(store)
    assert store.trials()[0].state == TrialState.RUNNING
    time.sleep(3)
    recover(store)
    assert [t.state for t in store.trials()] == [TrialState.FAIL, TrialState.WAITING]


@pytest.mark.parametrize(
    "error",
    [
        optuna.exceptions.StorageInternalError("no route to host"),
        sqlalchemy.exc.OperationalError("UPDATE", {}, OSError("no route to host")),
    ],
)
def test_a_sign_of_life_that_failed_is_followed_by_the_next(error, store, monkeypatch):
    monkeypatch.setattr(_study_connection, "HEARTBEAT_SECONDS", 0.02)
    key = store.add(state=TrialState.WAITING)
    beats = []

    def not_reached_at_first(trial):
        beats.append(trial)
        if len(beats) == 1:
            raise error

    monkeypatch.setattr(store.storage, "record_heartbeat", not_reached_at_first)
    deadline = time.monotonic() + 60
    with heartbeat(store.storage, key):
        while len(beats) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert beats[:3] == [key] * 3


def test_a_trial_beyond_the_last_place_is_surplus(store):
    for _ in range(3):
        store.add(state=TrialState.WAITING)
    places = [claimed(store, max_trials=2) for _ in range(3)]
    assert [mine and mine.index for mine in places] == [0, 1, None]


def test_entries_that_came_twice_count_once(store):
    store.add(state=TrialState.FAIL)
    for _ in range(2):
        store.add(state=TrialState.WAITING, user_attrs={"retry_of": 0})
    store.add(state=TrialState.WAITING, user_attrs={"chosen": {"key": "k"}})
    store.add(state=TrialState.WAITING, user_attrs={"chosen": {"key": "k"}})
    store.add(state=TrialState.WAITING)
    numbers = [
        [t.number for t in record.attempts] for record in read_trials(store.trials())
    ]
    assert numbers == [[0, 1], [3], [5]]


def test_an_isolated_trial_that_exits_is_run_once(tmp_path):
    tuner = Ending(max_trials=1, seed=0, isolate=True, directory=tmp_path)
    tuner.enqueue({"how": "exit"})
    with pytest.raises(RuntimeError, match="Its process ended with exit code 3"):
        tuner.search(verbose=0)
    assert (tmp_path / "begun").read_text() == "x"


@pytest.mark.parametrize("options", [{"isolate": True}, {}])
def test_a_long_message_of_another_process_arrives_shortened(options, tmp_path):
    tuner = Ending(max_trials=1, seed=0, directory=tmp_path, **options)
    tuner.enqueue({"how": "long"})
    workers = 1 if options else 2
    with pytest.raises(FatalValueError, match="200000 characters") as caught:
        tuner.search(verbose=0, workers=workers)
    assert len(str(caught.value)) < 5000
    assert len(tuner.trials_frame()["reason"]["0000"]) < 2500


def test_a_trial_of_a_process_that_stands_still_is_left_to_it(store, tmp_path):
    def stand():
        claimed(store)
        (tmp_path / "claimed").touch()
        time.sleep(60)

    child = forked(stand)
    wait_until((tmp_path / "claimed").exists, child)
    os.kill(child, signal.SIGSTOP)
    with sqlite3.connect(store.url.database) as database:
        database.execute(
            "UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"
        )
    database.close()
    recover(store)
    assert [trial.state for trial in store.trials()] == [TrialState.RUNNING]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    recover(store)
    assert [t.state for t in store.trials()] == [TrialState.FAIL, TrialState.WAITING]


def test_a_claim_that_was_lost_does_not_end_the_search(tmp_path):
    calls = []

    def objective(hp):
        calls.append(hill(hp))
        if len(calls) == 1:
            other = _search_study.SearchStudy(tuner._search_study.url, "search", "min")
            other.fail(other.key(other.trials()[0]))
        return calls[-1]

    tuner = searcher(tuners.RandomSearch, objective)(
        max_trials=3, seed=3, directory=tmp_path, max_retries_per_trial=2
    )
    tuner.search(verbose=0)
    assert len(calls) == 4 and calls[0] == calls[1]  # the same values again
    assert [row[3] for row in table(tuner)] == calls[1:]


def test_trials_of_plain_optuna_have_no_place_and_are_not_waited_for(tmp_path):
    tuner = searcher(tuners.RandomSearch)(max_trials=3, seed=3, directory=tmp_path)
    alone = searcher(tuners.RandomSearch)(
        max_trials=3, seed=3, directory=tmp_path, project_name="alone"
    )
    alone.search(verbose=0)
    tuner.study.ask()
    for state, value in ((None, -9.0), (TrialState.FAIL, None)):
        tuner.study.tell(tuner.study.ask(), value, state=state)
    tuner.search(verbose=0)
    assert table(tuner) == table(alone)
    tuner.study.tell(0, -9.0)
    assert table(tuner) == table(alone)


def test_what_plain_optuna_queues_is_tried(tmp_path):
    tuner = searcher(tuners.RandomSearch)(max_trials=2, seed=3, directory=tmp_path)
    tuner.study.enqueue_trial({"x": 0.5, "kind": "b"})
    tuner.search(verbose=0)
    assert table(tuner)[0][2:] == ({"x": 0.5, "kind": "b"}, 0.25)
    assert len(table(tuner)) == 2


class Knot:
    def __init__(self):
        self.itself = self


@pytest.mark.usefixtures("libraries_in_collections")
@pytest.mark.slow
def test_what_a_search_leaves_is_still_collected():
    with frozen_objects():
        assert gc.get_freeze_count() > 10_000  # Keras and its backend
        knot = weakref.ref(Knot())
        gc.collect()
        assert knot() is None
    assert gc.get_freeze_count() == 0


@pytest.mark.usefixtures("libraries_in_collections")
def test_what_its_caller_has_frozen_stays_frozen():
    gc.freeze()
    with frozen_objects():
        pass
    assert gc.get_freeze_count() > 0


@pytest.mark.slow
@pytest.mark.usefixtures("libraries_in_collections")
def test_nothing_stays_frozen_after_a_search_that_raised(tmp_path):
    def objective(hp):
        assert gc.get_freeze_count() > 0
        raise KeyboardInterrupt

    class Search(tuners.RandomSearch):
        def run_trial(self, trial, **kwargs):
            return objective(trial.hyperparameters)

    with pytest.raises(KeyboardInterrupt):
        Search(max_trials=2, directory=tmp_path).search(verbose=0)
    assert gc.get_freeze_count() == 0
