"""A configuration is tried once, and a search ends when nothing is left."""

import collections
import pathlib

import keras_tuner
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
from searching import METHODS, every_method, forked, searcher, table, waited_for

from keras_trainkit import tuners
from keras_trainkit.tuners import _search_loop, _trial_writer
from keras_trainkit.tuners._configuration_tree import (
    ConfigurationTree,
    PartialConfiguration,
    Repeated,
)
from keras_trainkit.tuners._trial_record import TrialRecord

pytestmark = pytest.mark.backend_free


def two_flags(hp):
    return 1.0 + hp.Boolean("a") + 2 * hp.Boolean("b")


def searched(method, objective, directory, max_trials=15, **options):
    cls, defaults = METHODS[method]
    options = {"seed": 3, "directory": directory, **defaults, **options}
    tuner = searcher(cls, objective)(**{**options, "max_trials": max_trials})
    tuner.search(verbose=0)
    return tuner


def configurations(tuner):
    return [tuple(values.items()) for _, _, values, _ in table(tuner)]


@pytest.mark.first_quick
@every_method
def test_four_configurations_are_four_trials(method, tmp_path):
    calls = []
    tuner = searched(method, lambda hp: calls.append(hp) or two_flags(hp), tmp_path)
    found = configurations(tuner)
    assert len(calls) == len(found) == len(set(found)) == 4
    assert tuner.oracle.get_best_trials()[0].score == 1.0
    again = searched(method, lambda hp: 1 / 0, tmp_path)
    assert configurations(again) == found


@pytest.mark.slow
@every_method
def test_entries_under_conditions_are_counted_where_they_exist(method, tmp_path):
    def objective(hp):
        kind = hp.Choice("kind", ["plain", "deep", "wide"])
        hp.Int("depth", 2, 3, parent_name="kind", parent_values=["deep"])
        if kind == "wide":  # no scope: plain Python decides
            hp.Float("share", 0.25, 0.75, step=0.25)
        return float(len(kind))

    found = configurations(searched(method, objective, tmp_path))
    assert len(found) == len(set(found)) == 1 + 2 + 3
    assert collections.Counter(dict(c)["kind"] for c in found) == {
        "plain": 1,
        "deep": 2,
        "wide": 3,
    }


LISTS = {
    "int, step": (lambda hp: hp.Int("a", 6, 13, step=3), 3),
    "int, log": (lambda hp: hp.Int("a", 1, 4, sampling="log"), 4),
    "int, log, step": (lambda hp: hp.Int("a", 2, 32, step=2, sampling="log"), 5),
    "float, step": (lambda hp: hp.Float("a", 0.1, 0.45, step=0.1), 4),
    "float, log, step": (
        lambda hp: hp.Float("a", 0.001, 1, step=10, sampling="log"),
        4,
    ),
    "one value": (lambda hp: hp.Float("a", 0.3, 0.3), 1),
    "fixed": (lambda hp: hp.Fixed("a", 0.3), 1),
    "nothing": (lambda hp: 1.0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "bayesian", "coarse_to_fine"])
@pytest.mark.parametrize(("objective", "count"), LISTS.values(), ids=LISTS)
def test_every_kind_of_list_comes_to_its_end(method, objective, count, tmp_path):
    found = configurations(searched(method, objective, tmp_path))
    assert len(found) == len(set(found)) == count


@every_method
def test_a_configuration_that_failed_counts_as_tried(method, tmp_path):
    def objective(hp):
        value = two_flags(hp)
        if value == 2.0:
            raise OSError("no disk")
        return value

    frame = searched(method, objective, tmp_path).trials_frame()
    assert sorted(frame["state"]) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]


def test_a_search_whose_first_trial_failed_before_it_drew_anything_goes_on(tmp_path):
    calls = []

    def objective(hp):
        calls.append(hp)
        if len(calls) == 1:
            raise OSError("busy")
        return two_flags(hp)

    frame = searched("random", objective, tmp_path).trials_frame()
    assert list(frame["state"]) == ["FAIL", *4 * ["COMPLETE"]]


@pytest.mark.slow
@every_method
def test_values_chosen_by_hand_are_not_tried_again(method, tmp_path):
    cls, defaults = METHODS[method]
    options = {"seed": 3, "directory": tmp_path, **defaults, "max_trials": 15}
    tuner = searcher(cls, two_flags)(**options)
    tuner.enqueue({"a": True, "b": False})
    tuner.search(verbose=0)
    tuner.enqueue({"b": True})  # whatever a is, it has been tried
    tuner.enqueue({"b": True, "a": True})
    tuner.search(verbose=0)
    found = configurations(tuner)
    assert len(found) == len(set(found)) == 4
    assert dict(found[0]) == {"a": True, "b": False}
    assert list(tuner.trials_frame().index) == ["0000", "0001", "0002", "0003"]
    assert "0004" not in tuner.oracle.trials


def test_a_range_without_steps_never_ends(tmp_path):
    tuner = searched("random", lambda hp: hp.Float("x", 0, 1), tmp_path)
    assert len(configurations(tuner)) == 15


def test_repeats_are_there_for_who_asks(tmp_path):
    tuner = searched("random", two_flags, tmp_path, max_trials=9, allow_repeats=True)
    found = configurations(tuner)
    assert len(found) == 9 and len(set(found)) <= 4
    with pytest.raises(ValueError, match="`allow_repeats`.*Received: allow_repeats=1"):
        searched("random", two_flags, tmp_path / "b", allow_repeats=1)


@pytest.mark.slow
def test_a_study_with_repeats_ends_where_nothing_is_left(tmp_path):
    searched("random", two_flags, tmp_path, max_trials=30, allow_repeats=True)
    tuner = searched("random", lambda hp: 1 / 0, tmp_path, max_trials=40)
    assert len(configurations(tuner)) == 30


def test_a_search_that_was_stopped_in_between_tries_the_rest(tmp_path):
    searched("bayesian", two_flags, tmp_path, max_trials=3)
    found = configurations(searched("bayesian", two_flags, tmp_path))
    assert len(found) == len(set(found)) == 4


@pytest.mark.parametrize(
    "method",
    [
        "random",
        *(pytest.param(m, marks=pytest.mark.slow) for m in ("bayesian", "grid")),
    ],
)
@pytest.mark.slow
def test_processes_share_the_configurations(method, tmp_path):
    cls, defaults = METHODS[method]

    def objective(hp):
        value = 4 * hp.Boolean("c") + two_flags(hp)
        with open(tmp_path / "calls", "a") as file:
            file.write(f"{value}\n")
        return value

    def work():
        options = {"seed": 3, "directory": tmp_path, **defaults, "max_trials": 30}
        searcher(cls, objective)(**options).search(verbose=0)

    children = [forked(work) for _ in range(4)]
    assert waited_for(children) == [0, 0, 0, 0]
    tuner = searcher(cls, objective)(seed=3, directory=tmp_path, max_trials=30)
    found = configurations(tuner)
    assert len(found) == len(set(found)) == 8
    states = collections.Counter(trial.state for trial in tuner.study.trials)
    assert states[TrialState.COMPLETE] == 8 and states[TrialState.RUNNING] == 0
    assert pathlib.Path(tmp_path, "calls").exists()


@pytest.mark.slow
def test_joint_draws_of_a_model_lead_to_something_new(tmp_path):
    def objective(hp):
        values = [hp.Int(name, 1, 3) for name in "abc"]
        return float(sum((value - 2) ** 2 for value in values))

    tuner = searched("bayesian", objective, tmp_path, max_trials=40)
    found = configurations(tuner)
    assert len(found) == len(set(found)) == 27
    best = tuner.get_best_hyperparameters()[0].values
    assert best == {"a": 2, "b": 2, "c": 2}


def test_of_many_values_the_first_open_one_is_found():
    trial = optuna.create_study().ask()
    trial.suggest_int("a", 0, 10**9)
    value, distribution = trial.params["a"], trial.distributions["a"]
    tree = ConfigurationTree([TrialRecord(0, trial.study.get_trials())])
    drawn = PartialConfiguration(1, tree)
    assert tree.has_more()
    assert not drawn.is_open("a", distribution, value)
    assert drawn.first_open("a", distribution, value - 1) == value - 1
    assert drawn.first_open("a", distribution, value) == value + 1
    assert drawn.first_open("a", distribution, 10**9 + 1) == 0  # round to the first


@pytest.mark.parametrize(
    ("method", "objective"),
    [
        ("grid", lambda hp: hp.Int("a", 1, 20_000)),
        ("grid", lambda hp: hp.Float("a", 0, 1, step=5e-5)),
        ("coarse_to_fine", lambda hp: abs(hp.Int("a", 1, 20_000) - 7000)),
    ],
)
@pytest.mark.slow
def test_a_range_of_many_values_is_searched_to_the_last_trial(
    method, objective, tmp_path, monkeypatch
):
    monkeypatch.setattr(_search_loop, "_MAX_REPEATED", 0)
    narrow = {"rounds": 2, "shrink": 1e-5} if method == "coarse_to_fine" else {}
    tuner = searched(method, objective, tmp_path, max_trials=8, **narrow)
    assert len(set(configurations(tuner))) == 8


@pytest.mark.first_quick
@pytest.mark.parametrize("method", ["random", "grid"])
def test_a_hypermodel_that_asks_in_another_order_is_searched_to_its_end(
    method, tmp_path
):
    def other_order(hp):
        return 2 * hp.Boolean("b") + hp.Boolean("a")

    def search(objective, max_trials):
        return searched(method, objective, tmp_path, max_trials)

    search(two_flags, 3)
    found = [dict(c) for c in configurations(search(other_order, 15))]
    assert sorted((c["a"], c["b"]) for c in found) == [
        *((False, False), (False, True), (True, False), (True, True))
    ]


def test_a_trial_under_way_does_not_close_what_others_have_shown():
    records = []
    choices = {"a": IntDistribution(1, 2), "b": IntDistribution(1, 9)}
    for b in (1, 2, 3, 4):
        done = optuna.trial.create_trial(
            value=1.0, params={"a": 1, "b": b}, distributions=choices
        )
        records.append(TrialRecord(b, [done]))
    under_way = optuna.trial.create_trial(
        state=TrialState.RUNNING, params={"a": 1}, distributions={"a": choices["a"]}
    )
    tree = ConfigurationTree([*records, TrialRecord(9, [under_way])])
    drawn = PartialConfiguration(10, tree)
    assert drawn.is_open("a", choices["a"], 1)


def test_a_search_of_repeats_alone_ends_and_says_so(tmp_path, monkeypatch):
    def repeated(*args):
        raise Repeated

    searched("random", two_flags, tmp_path, max_trials=2)
    monkeypatch.setattr(_trial_writer, "settle", repeated)
    monkeypatch.setattr(_search_loop, "_MAX_REPEATED", 3)
    monkeypatch.setattr(_search_loop, "_wants_more", lambda *args: True)
    with pytest.warns(UserWarning, match="its last 6 configurations .* same order"):
        tuner = searched("random", two_flags, tmp_path)
    assert len(configurations(tuner)) == 2


def test_a_hypermodel_that_asks_on_in_fit_is_tried_to_its_ends(tmp_path):
    import keras

    class Asks(keras_tuner.HyperModel):
        def build(self, hp):
            hp.Boolean("a")
            return keras.Sequential()

        def fit(self, hp, model, *args, **kwargs):
            return 1.0 + hp.Boolean("b")

    tuner = tuners.RandomSearch(Asks(), max_trials=9, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    found = configurations(tuner)
    assert len(found) == len(set(found)) == 4
