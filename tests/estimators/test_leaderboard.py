"""The trials of a search as a table, and what a folder says of them."""

import json

import keras
import numpy as np
import pytest
from untrained_searches import TINY, not_trained

from keras_trainkit.estimators import (
    TableClassifier,
    TableRegressor,
    _automl,
    _trial_tuner,
)
from keras_trainkit.estimators._leaderboard import check_search
from keras_trainkit.estimators._trial_file import read_trial

TRIALS = 4


@pytest.fixture(scope="module", autouse=True)
def untrained():
    """Networks as they were made; each trial counts once, so that all are tied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trial_tuner, "trained_networks", not_trained([]))
        patch.setattr(_trial_tuner, "greedy_ensemble", each_once)
        yield


def each_once(predictions, score, is_over):
    return np.ones(len(predictions), int)


@pytest.fixture(scope="module")
def search(frame, dear, tmp_path_factory):
    """What no test changes, and the folder of its trials."""
    folder = tmp_path_factory.mktemp("search") / "a"
    given = {"trials": TRIALS, "folds": 2, "directory": folder}
    return TableClassifier(**TINY, **given).fit(frame, dear), folder


@pytest.mark.slow
def test_each_trial_has_the_score_of_its_own_networks(search, frame, dear):
    """By the weights in its file, whatever the order in which the model has them."""
    found, folder = search
    table = found.leaderboard(frame, dear).set_index("model")
    x = found.encoder_(frame)
    names = [entry["model"] for entry in found.recipe_["models"]["value"]]
    assert names != sorted(names)  # of equal weight, by their score
    for number, name in enumerate(["recipe", *(f"trial_{n:04d}" for n in range(1, 4))]):
        trial = read_trial(folder / "study" / f"trial_{number:04d}", 2, (200, 1))
        logits = [outputs_of(found.model_, own, x) for own in trial.weights]
        yes = np.mean(1 / (1 + np.exp(-np.concatenate(logits, axis=1))), axis=1)
        truth = np.where(dear == "dear", yes, 1 - yes)
        expected = np.mean(np.log(truth))
        assert table["score_test"][name] == pytest.approx(expected, rel=1e-4)


def outputs_of(model, weights, x):
    """Those of the members of the network in the model with these weights."""
    for number in range(1, 2 * TRIALS + 1):
        network = model.get_layer(f"network_{number}")
        pairs = zip(network.get_weights(), weights, strict=False)
        if all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs):
            return keras.ops.convert_to_numpy(network(x))[..., 0].astype("float64")
    raise AssertionError("no such network")


@pytest.mark.slow
def test_large_numbers_stay_finite_in_half_precision(frame, price):
    """Prices of half a million; half precision ends at 65,504."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = TableRegressor(**TINY, trials=2, folds=2).fit(frame, price)
        table = found.leaderboard(frame, price)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(found.conformity_scores_).all()
    assert np.isfinite(table["score_test"]).all()


@pytest.mark.slow
def test_each_trial_has_its_time_of_prediction(frame, dear, monkeypatch):
    """Also one that is not among the candidates of the ensemble."""
    monkeypatch.setattr(_automl, "CANDIDATES", 1)
    found = TableClassifier(**TINY, trials=2, validation=0.25).fit(frame, dear)
    table = found.leaderboard().set_index("model")
    assert table["weight"].sort_values().tolist() == [0, 1, 1]
    assert (table["pred_time_val"].drop("ensemble") == 0.25).all()


def test_rows_of_one_class_have_no_area(frame, dear):
    given = {"trials": 1, "validation": 0.25, "scoring": "roc_auc"}
    found = TableClassifier(**TINY, **given).fit(frame, dear)
    with pytest.raises(ValueError, match='^`scoring` .*another than "roc_auc"'):
        found.leaderboard(frame[:9], ["dear"] * 9)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda models, rows: {"models": [models[0] | {"model": "a"}]}, "'a'.*others"),
        (lambda models, rows: {"models": [models[0] | {"weight": 0.5}]}, "others than"),
        (lambda models, rows: {"models": models[1:]}, "others than"),
        (lambda models, rows: {"leaderboard": [{"model": "recipe"}]}, "leaderboard"),
        (
            lambda models, rows: {"leaderboard": [rows[0] | {"weight": "all"}]},
            "leaderboard with",
        ),
        (lambda models, rows: {"scoring": "gini"}, "^`scoring` .*'gini'"),
        (lambda models, rows: {"folds": 3}, "4 models, and a model of 8 networks"),
    ],
)
def test_entries_that_do_not_fit_together_or_the_model_are_refused(search, edit, words):
    found = search[0]
    models, rows = (found.recipe_[name]["value"] for name in ("models", "leaderboard"))
    changes = {name: {"value": value} for name, value in edit(models, rows).items()}
    check_search(found.recipe_, found.model_)
    with pytest.raises(ValueError, match=words):
        check_search(found.recipe_ | changes, found.model_)


@pytest.mark.slow
def test_a_folder_without_its_models_is_refused(search, tmp_path):
    path = search[0].save(tmp_path / "a")
    assert TableClassifier.load(path).recipe_ == search[0].recipe_
    fields = json.loads((path / "estimator.json").read_text())
    pairs = fields["recipe"]["dict"]
    fields["recipe"]["dict"] = [pair for pair in pairs if pair[0] != "models"]
    (path / "estimator.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="^`path` is the folder .*'models'"):
        TableClassifier.load(path)
