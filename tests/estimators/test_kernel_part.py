"""The kernel machines that stand beside the networks of a table."""

import types

import keras
import numpy as np
import pytest
from comparing import assert_close
from untrained_searches import TINY, not_trained

from keras_trainkit import data, layers, models
from keras_trainkit.estimators import (
    TableClassifier,
    TableRegressor,
    _kernel_part,
    _trial_tuner,
)
from keras_trainkit.estimators._kernel_part import KernelMachines, chosen_share
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._table_recipe import kernel_weight
from keras_trainkit.estimators._training import Goal, Trained

SMALL = {"members": 2, "hidden_units": (4,), "epochs": 2, "random_state": 5}
SMALL |= {"folds": 2, "numeric_embedding": False}
SEARCH = {"trials": 2, **TINY, "folds": 2, "kernel_weight": None}


def waves(rows=160, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    noise = 0.1 * random.normal(size=rows)
    return x, np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] + noise


def rings(rows=160, seed=0):
    """Three classes, one inside the other."""
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    distance = np.linalg.norm(x[:, :2], axis=1)
    return x, np.array(["a", "b", "c"])[np.digitize(distance, [0.8, 1.5])]


@pytest.fixture(scope="module")
def regressor():
    return TableRegressor(**SMALL).fit(*waves())


@pytest.fixture(scope="module")
def classifier():
    return TableClassifier(**SMALL).fit(*rings())


def test_rows_are_told_that_networks_do_not_tell(regressor):
    x, y = waves(300, seed=1)
    alone = TableRegressor(**SMALL, kernel_weight=0).fit(*waves())
    errors = [np.mean((e.predict(x) - y) ** 2) for e in (regressor, alone)]
    assert errors[0] < 0.4 * errors[1]
    assert regressor.recipe_["kernel_weight"]["value"] > 0.5
    assert "with the best share" in regressor.recipe_["kernel_weight"]["reason"]
    assert alone.recipe_["kernel_weight"] == {"value": 0, "reason": "given"}


def test_the_model_is_the_mean_of_networks_and_machines(regressor):
    x, _ = waves(30, seed=1)
    encoded = regressor._encoded(x)
    weight = regressor.recipe_["kernel_weight"]["value"]
    parts = [
        keras.ops.convert_to_numpy(
            regressor.model_.get_layer(f"network_{n}")(encoded)
        ).mean(axis=1)
        for n in (1, 2, 3, 4)
    ]
    mean = (1 - weight) * (parts[0] + parts[1]) / 2 + weight * (parts[2] + parts[3]) / 2
    scaling = regressor.model_.layers[-1].target_scaling
    expected = keras.ops.convert_to_numpy(scaling.inverse(mean))[:, 0]
    np.testing.assert_allclose(regressor.predict(x), expected, atol=1e-3)


def test_each_row_is_judged_by_what_was_fitted_without_it(regressor):
    x, y = waves()
    encoded, off = regressor._encoded(x), np.empty(160)
    weight = regressor.recipe_["kernel_weight"]["value"]
    scaling = regressor.model_.layers[-1].target_scaling
    for number, (_, validated) in enumerate(data.folds(160, 2, seed=5), 1):
        part = {name: array[validated] for name, array in encoded.items()}
        own = [
            keras.ops.convert_to_numpy(
                regressor.model_.get_layer(f"network_{n}")(part)
            ).mean(axis=1)
            for n in (number, number + 2)
        ]
        found = scaling.inverse((1 - weight) * own[0] + weight * own[1])
        off[validated] = np.abs(keras.ops.convert_to_numpy(found)[:, 0] - y[validated])
    np.testing.assert_allclose(
        regressor.conformity_scores_[:, 0], np.sort(off), atol=1e-3
    )


@pytest.mark.slow
def test_classes_and_their_sets_are_told_too(classifier):
    x, y = rings(300, seed=1)
    alone = TableClassifier(**SMALL, kernel_weight=0).fit(*rings())
    assert classifier.score(x, y) > alone.score(x, y) + 0.1
    codes = np.searchsorted(classifier.classes_, y)
    sets = classifier.predict_set(x, coverage=0.8)
    assert 0.7 < sets[np.arange(300), codes].mean() < 0.95
    assert sets.sum() < 0.8 * alone.predict_set(x, coverage=0.8).sum()


@pytest.mark.slow
def test_two_classes_are_one_logit():
    x, y = rings()
    found = TableClassifier(**SMALL).fit(x, y == "a")
    assert found.recipe_["kernel_weight"]["value"] > 0.3
    others, truth = rings(300, seed=1)
    assert found.score(others, truth == "a") > 0.8


@pytest.mark.slow
def test_saved_they_predict_the_same(regressor, classifier, tmp_path):
    for estimator in (regressor, classifier):
        x, _ = waves(20, seed=1)
        loaded = type(estimator).load(
            estimator.save(tmp_path / type(estimator).__name__)
        )
        np.testing.assert_array_equal(loaded.predict(x), estimator.predict(x))


@pytest.mark.slow
def test_categories_gaps_and_weights_are_taken(frame, price):
    weights = np.linspace(0, 2, 200)
    given = SMALL | {"kernel_weight": 0.5}
    found = TableRegressor(**given).fit(frame, price, sample_weight=weights)
    assert np.isfinite(found.predict(frame)).all()
    assert found.score(frame, price) > 0.3
    several = TableRegressor(**given).fit(frame, np.stack([price, -price], axis=1))
    assert several.predict(frame).shape == (200, 2)


@pytest.mark.slow
def test_without_folds_a_given_share_is_taken():
    x, y = waves()
    given = {**SMALL, "folds": None, "validation": 0.25}
    found = TableRegressor(**given, kernel_weight=0.9).fit(x, y)
    alone = TableRegressor(**given).fit(x, y)
    assert alone.recipe_["kernel_weight"]["value"] == 0
    assert found.score(*waves(300, seed=1)) > alone.score(*waves(300, seed=1)) + 0.2
    assert len(found.conformity_scores_) == 40


@pytest.mark.slow
def test_a_search_has_them_beside_its_trials(monkeypatch):
    monkeypatch.setattr(_trial_tuner, "trained_networks", not_trained([]))
    (x, y), (others, truth) = rings(), rings(300, seed=1)
    found = TableClassifier(**SEARCH).fit(x, y)
    table = found.leaderboard(others, truth).set_index("model")
    weight = found.recipe_["kernel_weight"]["value"]
    assert weight > 0.5
    assert table["weight"]["kernel"] == weight
    assert table["weight"].drop("ensemble").sum() == pytest.approx(1)
    assert table["score_val"]["kernel"] > table["score_val"]["recipe"] + 0.2
    names = [entry["model"] for entry in found.recipe_["models"]["value"]]
    assert names[-1] == "kernel" and len(names) > 1
    log_loss = -np.mean(
        np.log(
            predicted(found, others)[
                np.arange(300), np.searchsorted(found.classes_, truth)
            ]
        )
    )
    assert table["score_test"]["ensemble"] == pytest.approx(-log_loss, rel=1e-4)
    used = table[(table["stack_level"] == 1) & table["can_infer"]]
    assert used["score_test"].notna().all()
    whole = used["fit_time"].sum() + table["fit_time_marginal"]["ensemble"]
    assert table["fit_time"]["ensemble"] == pytest.approx(whole)


def predicted(estimator, x):
    """Probabilities without the temperature."""
    logits = estimator.model_.predict(estimator._encoded(x), verbose=0)
    powers = np.exp(logits.astype("float64"))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.slow
def test_a_search_that_was_saved_has_them(monkeypatch, tmp_path):
    monkeypatch.setattr(_trial_tuner, "trained_networks", not_trained([]))
    (x, y), (others, _) = rings(), rings(30, seed=1)
    found = TableClassifier(**SEARCH).fit(x, y)
    loaded = TableClassifier.load(found.save(tmp_path / "rings"))
    np.testing.assert_array_equal(loaded.predict_set(others), found.predict_set(others))
    assert loaded.recipe_ == found.recipe_
    assert (
        loaded.leaderboard()["model"].tolist() == found.leaderboard()["model"].tolist()
    )


@pytest.mark.parametrize("classes", [1, 3])
def test_a_machine_computes_what_was_fitted(classes, monkeypatch):
    """Also its additive part: a jump of one number, and one of a category."""
    fits = []
    fit = _kernel_part.kernel_ridge
    monkeypatch.setattr(
        _kernel_part, "kernel_ridge", lambda *given: fits.append(fit(*given)) or fits[0]
    )
    random = np.random.default_rng(0)
    x = {
        "numeric": random.normal(size=(150, 2)).astype("float32"),
        "categorical": random.integers(4, size=(150, 1)),
    }
    jumps = (x["numeric"][:, 0] > 0.3) * 1.0 + (x["categorical"][:, 0] == 2)
    if classes == 1:
        y, goal = jumps[:, None].astype("float32"), Goal("regression")
        scaling = layers.StandardScaling(dtype="float32")
        scaling.adapt(y)
    else:
        y, goal = jumps.astype(int), Goal("classification", ["a", "b", "c"])
        scaling = None
    rows = Rows(x, y)

    def build(centers):
        return models.kernel_machine(
            (2,),
            classes,
            centers,
            additive_bins=8,
            category_sizes=[4],
            target_scaling=scaling,
            task=goal.task,
            classes=goal.classes,
        )

    machines = _kernel_part.fitted_machines(build, [Part(rows, rows)], goal, 0)
    (model,) = machines.models
    (fit,) = fits
    assert np.abs(fit.beside).max() > 0
    shares = keras.ops.convert_to_numpy(
        model.get_layer("additive").shares(x["numeric"])
    )
    hot = np.eye(4)[x["categorical"][:, 0]]
    features = np.concatenate([shares.reshape(150, -1), hot], axis=1)
    columns = np.concatenate([x["numeric"], hot], axis=1)
    expected = fit.predict(columns, features)
    if classes == 1:
        expected = keras.ops.convert_to_numpy(scaling.inverse(expected))
    else:
        expected *= np.std(machines.outputs) / np.std(expected)  # sharper
    np.testing.assert_allclose(machines.outputs, expected, rtol=1e-3, atol=1e-3)


def shared(truth, networks, machines):
    """The share that is chosen for these validation rows."""
    part = type("Part", (), {})()
    part.validation = type("Rows", (), {"y": truth, "weights": None})()
    model = type("Model", (), {"task": "binary"})()
    trained = Trained(model, [], networks[:, None].astype("float32"))
    beside = KernelMachines([model], machines[:, None].astype("float32"))
    return chosen_share(trained, beside, [part], Goal("binary", ["no", "yes"]))


def test_the_share_is_none_where_machines_tell_no_more():
    random = np.random.default_rng(0)
    truth = random.integers(2, size=400)
    sure = 4.0 * truth - 2 + random.normal(size=400)
    assert shared(truth, sure, random.normal(size=400))["value"] == 0
    assert shared(truth, sure, sure)["value"] == 0
    assert shared(truth, random.normal(size=400), sure)["value"] > 0.7


def test_a_share_between_is_as_good_as_the_best():
    random = np.random.default_rng(0)
    truth = random.integers(2, size=3_000)
    one, other = (2.0 * truth - 1 + random.normal(size=3_000) for _ in range(2))
    found = shared(truth, one, other)
    assert 0.2 < found["value"] < 0.5
    assert "with the best share" in found["reason"]


@pytest.mark.parametrize(
    ("rows", "numbers", "folds", "loss", "reason"),
    [
        (5_001, 9, 5, None, "5,001 rows, which are more than 5,000"),
        (900, 9, None, None, "the share is chosen in folds alone"),
        (900, 9, 5, "mae", "the given loss is of the networks alone"),
        (4_000, 501, 5, None, "4,000 rows of 501 numbers, more than 2,000,000"),
    ],
)
def test_there_are_none_where_they_were_not_tried(rows, numbers, folds, loss, reason):
    given = {"kernel_weight": None, "loss": loss}
    found = share_for(rows, numbers, folds, given)
    assert found["value"] == 0 and found["reason"].startswith(reason)
    assert share_for(rows, numbers, folds, given | {"kernel_weight": 0.2}) == {
        "value": 0.2,
        "reason": "given",
    }
    given["loss"] = None
    assert share_for(900, 9, 5, given)["value"] is None


def share_for(rows, numbers, folds, given):
    """The share for a table of so many rows and numbers."""
    kinds = (Rows(None, np.zeros(count)) for count in (rows - 9, 9))
    encoder = types.SimpleNamespace(numeric_shape=(numbers - 2,), category_sizes=[2])
    return kernel_weight(encoder, [Part(*kinds)] * (folds or 1), given)


@pytest.mark.slow
def test_their_share_is_told_with_the_training(capsys):
    TableRegressor(**SMALL, kernel_weight=0.25, verbose=2).fit(*waves())
    assert "Kernel machines: 0.25 of the mean" in capsys.readouterr().out


@pytest.mark.slow
def test_of_two_groups_each_fold_has_one():
    x, y = waves()
    found = TableRegressor(**SMALL).fit(x, y, groups=np.arange(160) // 80)
    assert np.isfinite(found.predict(x)).all()


@pytest.mark.parametrize("weight", [-0.1, 1, 1.5, "half", True, np.nan])
def test_shares_out_of_range_are_refused(weight):
    with pytest.raises(ValueError, match="^`kernel_weight` is the share of a kernel"):
        TableRegressor(kernel_weight=weight).fit(*waves())


@pytest.mark.slow
def test_of_too_many_rows_some_are_fitted_to(monkeypatch):
    monkeypatch.setattr(_kernel_part, "MOST_ROWS", 60)
    found = TableRegressor(**SMALL, kernel_weight=0.5).fit(*waves())
    basis = [
        layer
        for n in (3, 4)
        for layer in found.model_.get_layer(f"network_{n}").layers
        if layer.name == "basis"
    ]
    assert [layer.units for layer in basis] == [60, 60]


@pytest.mark.slow
def test_it_is_exported_and_served(tmp_path):
    found = TableRegressor(**SMALL).fit(*waves())
    if keras.config.backend() != "tensorflow":
        pytest.skip("SavedModels are TensorFlow's")
    import tensorflow as tf

    folder = found.export(tmp_path / "served")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    x, _ = waves(7, seed=1)
    rows = {f"x{n}": tf.constant(x[:, n]) for n in range(3)}
    assert_close(served(**rows)["predictions"], found.predict(x)[:, None], atol=1e-4)
