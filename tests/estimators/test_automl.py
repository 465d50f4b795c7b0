"""A search around the recipe; most tests leave the networks as they were made."""

import json
import os
import pathlib
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from untrained_searches import TINY, not_trained

from keras_trainkit import data
from keras_trainkit.estimators import (
    TableClassifier,
    TableRegressor,
    _search_folder,
    _trial_tuner,
)
from keras_trainkit.estimators._search_folder import begin, seed_in
from keras_trainkit.estimators._trial_file import FILE, read_trial
from keras_trainkit.tuners import _trial_queue
from keras_trainkit.tuners._patient_storage import StorageFailed


@pytest.fixture
def calls():
    """Seed of the trial and number of the network, for each that was trained."""
    return []


@pytest.fixture
def untrained(monkeypatch, calls):
    """Networks as they were made, by the trial's seed: a training takes no time."""
    monkeypatch.setattr(_trial_tuner, "trained_networks", not_trained(calls))


@pytest.fixture(scope="module")
def found(frame, dear):
    """What no test changes."""
    search = {"trials": 4, "folds": 2, "scoring": "accuracy"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trial_tuner, "trained_networks", not_trained([]))
        return TableClassifier(**TINY, **search).fit(frame, dear)


def rows_of(estimator):
    return estimator.recipe_["leaderboard"]["value"]


@pytest.mark.slow
def test_the_model_predicts_the_weighted_mean_of_the_trials(found, frame):
    x = found.encoder_(frame)
    shares = [entry["weight"] for entry in found.recipe_["models"]["value"]]
    assert sum(shares) == pytest.approx(1)
    mean, number = 0, 1
    for share in shares:
        for _ in range(2):
            network = found.model_.get_layer(f"network_{number}")
            logits = keras.ops.convert_to_numpy(network(x)).astype("float64")
            mean += share / 2 * (1 / (1 + np.exp(-logits))).mean(axis=1)
            number += 1
    logits = found.model_.predict(x, verbose=0).astype("float64")
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), mean, rtol=1e-4)
    assert not any(layer.name == f"network_{number}" for layer in found.model_.layers)


def test_scores_of_rows_are_those_of_the_networks_that_left_them_out(
    found, frame, dear
):
    """Of the ensemble: by its out-of-fold outputs, as `conformity_scores_` has them."""
    (row,) = (row for row in rows_of(found) if row["model"] == "ensemble")
    # Right where the truth is more probable than one half, whatever the temperature.
    expected = np.mean(found.conformity_scores_ < 0.5)
    assert row["score_val"] == pytest.approx(expected, abs=0.006)
    best = max(r["score_val"] for r in rows_of(found) if r["model"] != "ensemble")
    assert row["score_val"] >= best


def test_the_leaderboard_has_autogluons_columns_and_order(found, frame, dear):
    table = found.leaderboard(frame, dear)
    assert list(table.columns) == [
        *("model", "score_test", "score_val", "eval_metric", "pred_time_test"),
        *("pred_time_val", "fit_time", "pred_time_test_marginal"),
        *("pred_time_val_marginal", "fit_time_marginal", "stack_level", "can_infer"),
        *("fit_order", "weight"),
    ]
    assert set(table["model"]) == {"recipe", "ensemble", *names_of(1, 2, 3)}
    assert set(table["eval_metric"]) == {"accuracy"}
    tested = table["score_test"].dropna()
    assert tested.is_monotonic_decreasing
    ensemble = table.set_index("model").loc["ensemble"]
    accuracy = np.mean(found.predict(frame) == dear)
    assert ensemble["score_test"] == pytest.approx(accuracy)
    assert ensemble["stack_level"] == 2
    used = table[(table["stack_level"] == 1) & table["can_infer"]]
    assert used["weight"].sum() == pytest.approx(1)
    assert used["score_test"].notna().all()
    assert (used["pred_time_val"] == 0.5).all()  # of two networks
    whole = used["fit_time"].sum() + ensemble["fit_time_marginal"]
    assert ensemble["fit_time"] == pytest.approx(whole)
    rest = table[~table["can_infer"]]
    assert rest["score_test"].isna().all() and (rest["weight"] == 0).all()


def names_of(*indices):
    return [f"trial_{index:04d}" for index in indices]


def test_without_rows_the_leaderboard_is_ordered_by_validation(found):
    table = found.leaderboard()
    assert "score_test" not in table
    assert table["score_val"].is_monotonic_decreasing
    assert table["model"][0] == "ensemble"


def test_without_pandas_the_leaderboard_is_a_list(found, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    table = found.leaderboard()
    assert [row["model"] for row in table][0] == "ensemble"


@pytest.mark.slow
def test_files_and_pickles_keep_the_search(found, frame, dear, tmp_path):
    table = found.leaderboard()
    for same in (
        TableClassifier.load(found.save(tmp_path / "saved")),
        pickle.loads(pickle.dumps(found)),
    ):
        assert same.leaderboard().equals(table)
        expected = found.predict_proba(frame)
        np.testing.assert_allclose(same.predict_proba(frame), expected, rtol=1e-5)
        scores = same.leaderboard(frame, dear)["score_test"]
        assert scores.notna().sum() == table["can_infer"].sum()
        assert same.recipe_ == found.recipe_
        np.testing.assert_array_equal(
            same.predict_set(frame, 0.8), found.predict_set(frame, 0.8)
        )


def test_the_recipe_tells_each_network_and_its_weight(found):
    models = found.recipe_["models"]["value"]
    counts = [entry["weight"] for entry in models]
    assert counts == sorted(counts, reverse=True)
    assert "dropout" in models[0] and "members" not in models[0]  # given
    first = models[0]["learning_rate"]
    assert found.recipe_["learning_rate"]["value"] == first
    assert models[0]["model"] in found.recipe_["learning_rate"]["reason"]
    assert found.recipe_["scoring"]["value"] == "accuracy"
    assert found.history_["fold"] == [0, 1] * len(models)
    orders = {row["model"]: row["fit_order"] for row in rows_of(found)}
    numbers = [orders[entry["model"]] - 1 for entry in models for _ in (1, 2)]
    assert found.history_["trial"] == numbers


def test_the_recipe_is_the_first_trial_with_the_same_seed(
    untrained, frame, dear, calls
):
    search = {"trials": 1, "folds": 2}
    found = TableClassifier(**TINY, **search).fit(frame, dear)
    assert calls == [(3, 0), (3, 1)]
    assert found.recipe_["models"]["value"][0]["model"] == "recipe"
    assert found.recipe_["learning_rate"]["value"] == 0.003
    assert found.model_.optimizer.weight_decay == 0.02  # compiled, as by the recipe


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_a_search_with_nothing_to_search_is_the_recipe(untrained, frame, dear):
    given = TINY | {"dropout": 0.1, "batch_size": 32, "learning_rate": 0.1}
    given |= {"weight_decay": 0.0, "label_smoothing": 0.0}
    found = TableClassifier(**given, trials=3, validation=0.25)
    with pytest.warns(UserWarning, match="after 1 of 3 trials.*not searched.* is all"):
        found.fit(frame, dear)
    assert [row["model"] for row in rows_of(found)] == ["recipe", "ensemble"]


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_fewer_trials_than_asked_for_are_told(untrained, frame, dear):
    given = TINY | {"dropout": 0.1, "batch_size": 32, "learning_rate": 0.1}
    given |= {"weight_decay": 0.0, "validation": 0.25}  # label_smoothing: 0, 0.05, 0.1
    words = "after 3 of 5 trials.*of label_smoothing all values were tried"
    with pytest.warns(UserWarning, match=words) as caught:
        found = TableClassifier(**given, trials=5).fit(frame, dear)
    told = [w.filename for w in caught if "trials" in str(w.message)]
    assert told == [__file__]
    assert len(rows_of(found)) == 4  # and the ensemble
    found = TableClassifier(**given, trials=3).fit(frame, dear)  # as many as asked for
    assert len(rows_of(found)) == 4


@pytest.mark.slow
def test_several_outputs_groups_and_weights(untrained, frame, price):
    both = np.stack([price, -price / 3], axis=1)
    groups = np.repeat(np.arange(20), 10)
    found = TableRegressor(**TINY, trials=3, folds=2)
    found.fit(frame, both, sample_weight=np.arange(200.0), groups=groups)
    assert found.recipe_["scoring"]["value"] == "r2"
    lower, upper = found.predict_interval(frame)
    assert lower.shape == upper.shape == (200, 2)
    assert found.leaderboard(frame, both)["score_test"].notna().any()
    with pytest.raises(
        ValueError, match="^`y` .* 2 numbers for each.*shape \\(200,\\)"
    ):
        found.leaderboard(frame, price)


@pytest.mark.slow
def test_a_rare_class_and_an_order(untrained, frame):
    rare = np.array(["no"] * 197 + ["yes"] * 3)
    found = TableClassifier(**TINY, trials=2, scoring="roc_auc").fit(frame, rare)
    assert found.recipe_["folds"]["value"] == 5
    assert np.isfinite(found.predict_proba(frame)).all()
    last = np.where(np.arange(200) % 2, "a", "b")
    found = TableClassifier(**TINY, trials=2).fit(frame, last, order="rows")
    assert found.recipe_["validation_rows"]["value"] == 40


def test_stopped_midway_the_same_call_goes_on(
    untrained, frame, dear, calls, tmp_path, monkeypatch
):
    search = {**TINY, "trials": 4, "folds": 2}
    whole = TableClassifier(**search).fit(frame, dear)
    as_if_nothing = list(calls)
    calls.clear()
    begun = TableClassifier(**search, directory=tmp_path / "search")
    write, written = _trial_tuner.write_trial, []

    def killed(folder, networks):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(folder)
        write(folder, networks)

    monkeypatch.setattr(_trial_tuner, "write_trial", killed)
    with pytest.raises(KeyboardInterrupt):
        begun.fit(frame, dear)
    monkeypatch.setattr(_trial_tuner, "write_trial", write)
    assert calls == as_if_nothing[:6]
    calls.clear()
    begun.fit(frame, dear)
    assert calls == as_if_nothing[4:]  # the trial that was interrupted, and the last
    names = [(row["model"], row["score_val"]) for row in rows_of(begun)]
    assert names == [(row["model"], row["score_val"]) for row in rows_of(whole)]
    calls.clear()
    begun.set_params(trials=5).fit(frame, dear)
    assert len(calls) == 2
    assert begun.predict_proba(frame).shape == (200, 2)


@pytest.mark.slow
def test_a_directory_gives_its_seed_to_a_search_that_has_none(
    untrained, frame, dear, tmp_path
):
    search = {**TINY, "trials": 1, "validation": 0.25, "random_state": None}
    search |= {"directory": tmp_path / "a"}
    first, second = (TableClassifier(**search).fit(frame, dear) for _ in range(2))
    assert first.recipe_["seed"] == second.recipe_["seed"]
    np.testing.assert_array_equal(
        first.predict_proba(frame), second.predict_proba(frame)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X": "fewer"}, "the number of rows was 200 and is 150"),
        ({"X": "older"}, "the values of column 'age' are others"),
        ({"X": "renamed"}, r"the names of columns was .*'age'.* and is .*'years'"),
        ({"y": "other"}, "the values of 'y' are others"),
        ({"sample_weight": np.ones(200)}, "the values of 'sample_weight' are others"),
        ({"weight_decay": 0.1}, "arguments 'weight_decay' was None and is 0.1"),
        ({"optimizer": keras.optimizers.SGD(0.1)}, "arguments 'optimizer' was None"),
        ({"scoring": "accuracy"}, "scoring was 'log_loss' and is 'accuracy'"),
        ({"random_state": 4}, "seed was 3 and is 4"),
    ],
)
def test_a_directory_of_another_search_is_refused(
    begun_directory, untrained, frame, dear, change, words, calls
):
    change = dict(change)
    tables = {"fewer": frame[:150], "older": frame.assign(age=1.0)}
    tables["renamed"] = frame.rename(columns={"age": "years"})
    x = tables[change.pop("X")] if "X" in change else frame
    y = dear[::-1] if change.pop("y", None) else dear[: len(x)]
    weights = change.pop("sample_weight", None)
    search = {**TINY, "trials": 1, "validation": 0.25, "directory": begun_directory}
    with pytest.raises(ValueError, match=f"^`directory` is the folder .*{words}"):
        TableClassifier(**search | change).fit(x, y, sample_weight=weights)
    assert not calls


@pytest.mark.backend_free
def test_of_two_that_begin_at_once_one_is_first(tmp_path):
    folder = tmp_path / "a"
    first = {"format": 1, "seed": 3, "arguments": {"members": 4}}
    _search_folder._write(folder, first)
    _search_folder._write(folder, first | {"seed": 5})
    assert seed_in(folder) == 3
    begin(folder, first)
    with pytest.raises(ValueError, match="'members' was 4 and is 7"):
        begin(folder, first | {"arguments": {"members": 7}})
    assert [path.name for path in folder.iterdir()] == ["automl.json"]


@pytest.fixture(scope="module")
def begun_directory(frame, dear, tmp_path_factory):
    """That of a search, which no test changes."""
    folder = tmp_path_factory.mktemp("searches") / "a"
    search = {**TINY, "trials": 1, "validation": 0.25, "directory": folder}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trial_tuner, "trained_networks", not_trained([]))
        TableClassifier(**search).fit(frame, dear)
    return folder


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_a_lost_file_of_a_trial_is_told(
    begun_directory, untrained, frame, dear, tmp_path
):
    begun_directory = shutil.copytree(begun_directory, tmp_path / "a")
    search = {**TINY, "trials": 2, "validation": 0.25, "directory": begun_directory}
    (file,) = begun_directory.rglob(FILE)
    file.write_bytes(b"torn")
    words = "^Left out of the ensemble: recipe, whose"
    with pytest.warns(UserWarning, match=words) as warned:
        found = TableClassifier(**search).fit(frame, dear)
    assert_of_this_file(warned, words)
    assert [m["model"] for m in found.recipe_["models"]["value"]] == names_of(1)
    for file in begun_directory.rglob(FILE):
        file.unlink()
    with (
        pytest.warns(UserWarning, match="^Left out"),
        pytest.raises(ValueError, match="^`directory` .* no trial whose networks"),
    ):
        TableClassifier(**search).fit(frame, dear)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trials": 0}, "^`trials` is the number of trials .* at least 1"),
        ({"trials": 2.0}, "^`trials`"),
        ({"time_limit": 0}, "^`time_limit` is the seconds .* above 0"),
        ({"time_limit": "600"}, "^`time_limit`"),
        ({"scoring": "accuracy"}, "^`scoring` is of a search and must be None"),
        ({"directory": "here"}, "^`directory` is of a search and must be None"),
        ({"trials": 2, "directory": ""}, "^`directory` .* a non-empty string"),
        ({"trials": 2, "directory": 3}, "^`directory` .* a non-empty string"),
        ({"trials": 2, "scoring": "rmse"}, "^`scoring` .*for classes, one of"),
        ({"trials": 2, "scoring": "gini"}, "^`scoring` .*for classes, one of"),
        (
            {"trials": 2, "folds": 100},
            "^`folds` .*of each class.*folds=100.*'dear': 88",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_training(
    untrained, frame, dear, calls, given, words
):
    with pytest.raises(ValueError, match=words):
        TableClassifier(**TINY | given).fit(frame, dear)
    assert not calls


def test_data_that_cannot_be_learned_is_refused_before_training(
    untrained, frame, dear, calls
):
    search = TableClassifier(**TINY, trials=2)
    with pytest.raises(ValueError, match="two classes or more"):
        search.fit(frame, ["one"] * 200)
    with pytest.raises(ValueError, match="at least one column and one row"):
        search.fit(frame[:0], dear[:0])
    assert not calls
    search.set_params(validation=0.25).fit(frame, dear)
    with pytest.raises(ValueError, match="must name them"):
        search.leaderboard(frame.to_numpy(), dear)
    with pytest.raises(ValueError, match="^`X` and `y` .*`X` without `y`"):
        search.leaderboard(frame)
    with pytest.raises(ValueError, match="^`y` .* a class of `classes_`.*'odd'"):
        search.leaderboard(frame, ["odd"] * 200)


def test_an_order_of_rows_of_one_class_is_refused_before_training(
    untrained, frame, calls
):
    late = np.arange(200) < 100
    search = TableClassifier(**TINY, trials=2, scoring="roc_auc")
    with pytest.raises(ValueError, match='^`scoring` .*"roc_auc" .*: 40 such rows'):
        search.fit(frame, late, order="rows")
    assert not calls


def test_weights_of_rows_count_alike_in_all_folds_and_those_of_classes_not(
    untrained, frame, dear, tmp_path
):
    weights = np.ones(200)
    weights[3] = 1000.0
    search = {**TINY, "trials": 1, "folds": 2, "scoring": "accuracy"}
    search |= {"class_weight": "balanced", "directory": tmp_path / "a"}
    found = TableClassifier(**search).fit(frame, dear, sample_weight=weights)
    parts = data.folds(200, 2, stratify=dear, seed=3)
    validated = np.concatenate([part.validation for part in parts])
    folder = tmp_path / "a" / "study" / "trial_0000"
    outputs = read_trial(folder, networks=2, shape=(200, 1)).outputs[:, 0]
    right = (outputs > 0) == (dear[validated] == "dear")
    expected = np.average(right, weights=weights[validated])
    assert rows_of(found)[0]["score_val"] == pytest.approx(expected)


def test_a_leaderboard_needs_a_search(classifier):
    with pytest.raises(ValueError, match="^`leaderboard` lists .*`time_limit`"):
        classifier.leaderboard()


def test_files_of_others_are_never_overwritten(frame, dear, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    search = TableClassifier(**TINY, trials=2)
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match="^`directory` .*never overwritten"):
            search.set_params(directory=place).fit(frame, dear)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "automl.json").write_text("{")
    with pytest.raises(ValueError, match="^`directory` .*a readable automl.json"):
        search.set_params(directory=tmp_path / "b", random_state=None).fit(frame, dear)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_saved_arguments_name_no_place(untrained, frame, dear, tmp_path):
    search = {**TINY, "trials": 1, "validation": 0.25, "directory": tmp_path / "a"}
    search["directory"] = str(search["directory"])
    path = TableClassifier(**search).fit(frame, dear).save(tmp_path / "saved")
    assert (
        "directory"
        not in json.loads((path / "estimator.json").read_text())["arguments"]
    )
    assert TableClassifier.load(path).directory is None


def test_an_error_of_the_first_trial_is_the_users(frame, dear, monkeypatch, tmp_path):
    """It is raised as it is, and the same call tries that trial again."""

    def failing(*given):
        raise RuntimeError("no such device")
        yield

    search = {**TINY, "trials": 2, "validation": 0.25, "directory": tmp_path / "a"}
    monkeypatch.setattr(_trial_tuner, "trained_networks", failing)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="^no such device$"):
            TableClassifier(**search).fit(frame, dear)


def test_a_recipe_that_died_too_often_ends_the_search(
    frame, dear, monkeypatch, tmp_path
):
    def failing(*given):
        raise RuntimeError("no such device")
        yield

    search = {**TINY, "folds": 2, "time_limit": 600, "directory": tmp_path / "a"}
    monkeypatch.setattr(_trial_tuner, "trained_networks", failing)
    monkeypatch.setattr(_trial_queue, "MAX_DEATHS", 2)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="^no such device$"):
            TableClassifier(**search).fit(frame, dear)
    words = "^`directory` is the folder .* the recipe, can be .*: Its process died 2 t"
    with pytest.raises(ValueError, match=words):
        TableClassifier(**search).fit(frame, dear)


def test_errors_of_the_study_are_told_in_the_words_of_the_estimator(
    begun_directory, untrained, frame, dear, tmp_path
):
    folder = shutil.copytree(begun_directory, tmp_path / "a")
    (folder / "study" / "study.db").unlink()
    search = {**TINY, "trials": 1, "validation": 0.25, "directory": folder}
    words = "^`directory` is the folder of the search .* left there, .*: .*no such file"
    with pytest.raises(ValueError, match=words) as raised:
        TableClassifier(**search).fit(frame, dear)
    assert "project_name" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_failures_in_a_row_leave_what_there_was(untrained, frame, dear, monkeypatch):
    networks, seeds = _trial_tuner.trained_networks, []

    def others_fail(values, build, parts, goal, seed):
        seeds.append(seed)
        if len(seeds) > 1:
            raise ValueError("too large")
        return networks(values, build, parts, goal, seed)

    monkeypatch.setattr(_trial_tuner, "trained_networks", others_fail)
    search = TableClassifier(**TINY, trials=20, validation=0.25)
    words = "^The search ended early: 3 of 4 trials failed .*too large"
    with pytest.warns(UserWarning, match=words):
        search.fit(frame, dear)
    assert len(seeds) == 4
    assert [row["model"] for row in rows_of(search)] == ["recipe", "ensemble"]


@pytest.mark.slow
def test_after_a_full_disk_the_same_call_goes_on(
    untrained, frame, dear, monkeypatch, tmp_path
):
    search = {**TINY, "trials": 2, "validation": 0.25, "directory": tmp_path / "a"}
    write, refused = _trial_tuner.write_trial, ["trial_0000", "trial_0001"]

    def full(folder, networks):
        if folder.name == refused[0]:
            raise StorageFailed(str(folder), "No space left on device")
        write(folder, networks)

    monkeypatch.setattr(_trial_tuner, "write_trial", full)
    while refused:
        with pytest.raises(StorageFailed, match="a disk with room left.*No space"):
            TableClassifier(**search).fit(frame, dear)
        refused.pop(0)
    monkeypatch.setattr(_trial_tuner, "write_trial", write)
    found = TableClassifier(**search).fit(frame, dear)
    names = {row["model"] for row in rows_of(found)}
    assert names == {"recipe", "ensemble", *names_of(1)}


def assert_of_this_file(warned, words):
    (found,) = (w for w in warned if re.match(words, str(w.message)))
    assert found.filename == __file__


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_a_later_trial_that_fails_is_not_in_the_ensemble(
    untrained, frame, dear, monkeypatch
):
    networks, seeds = _trial_tuner.trained_networks, []

    def second_fails(values, build, parts, goal, seed):
        seeds.append(seed)
        if len(seeds) == 2:
            raise ValueError("too large")
        return networks(values, build, parts, goal, seed)

    monkeypatch.setattr(_trial_tuner, "trained_networks", second_fails)
    search = TableClassifier(**TINY, trials=3, validation=0.25)
    words = "^1 of 3 trials failed and are left out, the last with .*: too large$"
    with pytest.warns(UserWarning, match=words) as warned:
        found = search.fit(frame, dear)
    assert_of_this_file(warned, words)
    names = [row["model"] for row in rows_of(found)]
    assert sorted(names) == ["ensemble", "recipe", "trial_0002"]


@pytest.fixture
def ten_seconds(untrained, monkeypatch):
    """The time: each trial takes ten seconds, the build of networks takes nothing."""
    seconds = [0.0]

    def slow(values, build, parts, goal, seed):
        seconds[0] += 10
        return networks(values, build, parts, goal, seed)

    networks = _trial_tuner.trained_networks
    monkeypatch.setattr(_trial_tuner, "trained_networks", slow)
    for module in ("_automl", "_trial_tuner", "_time_limit", "_estimator"):
        name = f"keras_trainkit.estimators.{module}.now"
        monkeypatch.setattr(name, lambda: seconds[0])
    clock = types.SimpleNamespace(perf_counter=lambda: seconds[0])
    monkeypatch.setattr("keras_trainkit.tuners._trial_writer.time", clock)
    return seconds


@pytest.mark.slow
def test_no_trial_is_begun_that_would_not_end_in_time(ten_seconds, frame, dear, calls):
    search = {**TINY, "validation": 0.25}
    TableClassifier(**search, time_limit=35).fit(frame, dear)
    assert len(calls) == 3  # a fourth would end after 40
    calls.clear()
    TableClassifier(**search, time_limit=35, trials=2).fit(frame, dear)
    assert len(calls) == 2  # whichever ends first


@pytest.mark.slow
def test_the_time_of_earlier_starts_counts(
    untrained, ten_seconds, frame, dear, calls, tmp_path
):
    search = {**TINY, "validation": 0.25, "directory": tmp_path / "a"}
    TableClassifier(**search, trials=2).fit(frame, dear)
    for limit, trained in ((25, 0), (35, 1)):
        calls.clear()
        TableClassifier(**search, time_limit=limit).fit(frame, dear)
        assert len(calls) == trained


@pytest.mark.slow
def test_the_choice_of_an_ensemble_keeps_the_limit(
    untrained, ten_seconds, frame, dear, monkeypatch
):
    """A score takes a second: 25 rounds over 8 trials would take 200 of the 100."""
    score = _trial_tuner.Job.score

    def slow(job, predictions):
        ten_seconds[0] += 1
        return score(job, predictions)

    monkeypatch.setattr(_trial_tuner.Job, "score", slow)
    found = TableClassifier(**TINY, validation=0.25, time_limit=100).fit(frame, dear)
    assert len(rows_of(found)) == 9
    assert ten_seconds[0] <= 110


def test_the_time_to_build_is_kept_from_the_first_network_on(
    frame, dear, monkeypatch, calls
):
    kept, networks = [], not_trained(calls)

    def looked_at(values, build, parts, goal, seed):
        for network in networks(values, build, parts, goal, seed):
            kept.append(goal.watch[0]._clock.reserve)
            yield network

    monkeypatch.setattr(_trial_tuner, "trained_networks", looked_at)
    search = {"folds": 2, "trials": 1, "time_limit": 600}
    TableClassifier(**TINY, **search).fit(frame, dear)
    assert all(seconds > 0 for seconds in kept)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_trials_that_the_limit_ended_count_where_all_was_trained_enough(
    frame, dear, monkeypatch
):
    """The recipe and the trial after it are ended; that one too soon."""
    trials, networks = [], not_trained([])

    def ended(values, build, parts, goal, seed):
        watch = goal.watch[0]
        trials.append(seed)
        watch.is_over = len(trials) < 3
        watch.is_short = len(trials) == 2
        return networks(values, build, parts, goal, seed)

    monkeypatch.setattr(_trial_tuner, "trained_networks", ended)
    search = TableClassifier(**TINY, trials=3, time_limit=600, validation=0.25)
    words = "^`time_limit` ended the training of the recipe.* in a new `directory`"
    with pytest.warns(UserWarning, match=words) as warned:
        search.fit(frame, dear)
    assert_of_this_file(warned, words)
    names = {row["model"] for row in rows_of(search)}
    assert names == {"recipe", "ensemble", *names_of(2)}


@pytest.mark.slow
def test_a_limit_too_short_for_one_fit_says_how_long_it_takes(frame, dear):
    words = r"^`time_limit` is the seconds .* takes \d+ or more here.*time_limit=0.01"
    for more in ({"folds": 2}, {"validation": 0.25, "epochs": 30}):
        with pytest.raises(ValueError, match=words):
            TableClassifier(**TINY | more, time_limit=0.01).fit(frame, dear)


@pytest.mark.slow
def test_one_trial_is_the_plain_fit_bit_for_bit(frame, dear):
    for more in ({"folds": 2}, {"validation": 0.25}):
        plain = TableClassifier(**TINY | more).fit(frame, dear)
        found = TableClassifier(**TINY | more, trials=1).fit(frame, dear)
        np.testing.assert_array_equal(
            found.predict_proba(frame), plain.predict_proba(frame)
        )
        assert found.temperature_ == plain.temperature_
        expected = {**plain.history_, "trial": [0] * len(found.history_["loss"])}
        assert found.history_ == expected
        for name, choice in plain.recipe_.items():
            assert found.recipe_[name]["value"] == choice["value"], name


@pytest.mark.soak
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_the_time_limit_is_kept(frame, dear):
    """Whatever a trial takes: long ones are ended by a callback.

    With a schedule the recipe trains for all epochs.
    """
    search = {**TINY, "epochs": 100_000, "validation": 0.25}
    rate = keras.optimizers.schedules.CosineDecay(0.01, 1_000_000)
    search["optimizer"] = keras.optimizers.SGD(rate)
    warm = TableClassifier(**search | {"epochs": 1}).fit(frame, dear)
    assert warm.recipe_["epochs"]["value"] == 1
    began = time.perf_counter()
    found = TableClassifier(**search, time_limit=20, keras_callbacks=[Slow()])
    with pytest.warns(UserWarning, match="^`time_limit` ended the training"):
        found.fit(frame, dear)
    assert 18 < time.perf_counter() - began < 22
    assert [row["model"] for row in rows_of(found)] == ["recipe", "ensemble"]


class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.05)


@pytest.mark.slow
def test_a_grid_over_the_number_of_trials_is_searched(untrained, frame, dear):
    search = TableClassifier(**TINY, validation=0.25, scoring="roc_auc", trials=1)
    assert clone(search).get_params() == search.get_params()
    grid = GridSearchCV(search, {"trials": [1, 2]}, cv=2).fit(frame, dear)
    assert grid.best_params_["trials"] in (1, 2)


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_exported_the_ensemble_answers_as_the_estimator(frame, dear, tmp_path):
    import tensorflow as tf

    found = TableClassifier(**TINY, trials=4, folds=2, scoring="f1").fit(frame, dear)
    path = found.export(tmp_path / "served", frame[:3], coverage=0.8)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    columns = found.encoder_.plain_columns(frame)
    answer = serve(**{name: tf.constant(column) for name, column in columns.items()})
    probabilities = answer["probabilities"].numpy()
    np.testing.assert_allclose(probabilities, found.predict_proba(frame), atol=1e-5)


SCRIPT = """
import sys
import numpy as np, pandas as pd
from keras_trainkit.estimators import TableRegressor

frame = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 3)), columns=[*"abc"])
search = {"hidden_units": (4,), "members": 2, "epochs": 3, "numeric_embedding": False}
search |= {"random_state": 3, "trials": 5, "validation": 0.25, "verbose": 1}
found = TableRegressor(**search, directory=sys.argv[1]).fit(frame, frame["a"])
print([round(row["score_val"], 4) for row in found.recipe_["leaderboard"]["value"]])
"""


@pytest.mark.soak
def test_killed_at_several_moments_it_ends_as_if_nothing_had_happened(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(folder, **given):
        command = [sys.executable, script, tmp_path / folder]
        root = str(pathlib.Path(__file__).parents[2])
        env = {**os.environ, "PYTHONPATH": root}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=env, **given
        )

    def trials(folder):
        return len(list((tmp_path / folder).rglob(FILE)))

    whole, _ = start("whole").communicate()
    for wanted in (0, 1, 3):  # trials that are in their files when it is killed
        process = start("killed")
        while trials("killed") < wanted or not (tmp_path / "killed").exists():
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    resumed, _ = start("killed").communicate()
    assert resumed.splitlines()[-1] == whole.splitlines()[-1]
