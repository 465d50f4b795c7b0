import json
import random
import types

import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit import analysis
from keras_trainkit.analysis import HyperparameterEffects

X = np.linspace(-1, 1, 16, dtype="float32")[:, None]
DATA = {"x": X, "y": 2 * X, "validation_data": (X, 2 * X)}
VALUES = {"rate": [0.01, 0.3], "unused": [1, 2, 3]}


def build(hp):
    rate = hp.Float("rate", 1e-3, 1.0, default=0.1)
    hp.Int("unused", 1, 3)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    return model


class Formula(keras_tuner.HyperModel):
    """Scores by a formula and a seeded random number, without training."""

    def build(self, hp):
        hp.Float("a", 0.0, 9.0, default=1.0)
        hp.Choice("b", ["x", "y"])
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, **kwargs):
        noise = 0.01 * np.random.standard_normal()
        score = (hp.get("a") - 2) ** 2 + 0.5 * (hp.get("b") == "y") + noise
        return types.SimpleNamespace(history={"val_loss": [9.0, score, 8.0]})


def effects(scores, direction="min"):
    settings = [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}]
    values, base = {"a": [1, 2], "b": [1, 2]}, {"a": 1, "b": 1}
    return HyperparameterEffects(
        "val_loss", direction, values, base, [], settings, np.array(scores)
    )


def test_a_seed_may_be_one_of_numpy():
    values = {"a": [0.0, 3.0]}
    one, other = (
        analysis.sensitivity(Formula(), values, **DATA, seed=seed)
        for seed in (4, np.int64(4))
    )
    assert np.array_equal(one.scores, other.scores)


def test_one_value_differs_at_a_time_and_two_in_a_pair():
    values = {"a": [0.0, 3.0], "b": ["x", "y"]}
    found = analysis.sensitivity(Formula(), values, **DATA, pairs=[("a", "b")])
    assert found.base == {"a": 1.0, "b": "x"}
    assert found.hyperparameters["a"] == [0.0, 1.0, 3.0]
    assert len(found.settings) == 6 and found.scores.shape == (6, 3)
    for setting, mean in zip(found.settings, found.means, strict=True):
        expected = (setting["a"] - 2) ** 2 + 0.5 * (setting["b"] == "y")
        assert mean == pytest.approx(expected, abs=0.03)
    assert found.effects["a"] == pytest.approx(3.0, abs=0.05)
    assert found.effects["b"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_all_settings_have_the_same_seeds():
    """So a hyperparameter without any effect has exactly none."""
    found = analysis.sensitivity(
        build, VALUES, **DATA, seeds=2, fit_arguments={"epochs": 1, "verbose": 0}
    )
    assert found.effects["unused"] == 0.0
    assert found.scores[0, 0] != found.scores[0, 1]
    assert found.effects["rate"] > 0


def test_random_numbers_go_on_as_if_none_had_been_drawn():
    before = random.getstate(), np.random.get_state()[1].tolist()
    analysis.sensitivity(Formula(), {"a": [0.0, 3.0]}, **DATA)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("is_dict", [False, True])
def test_the_base_may_be_the_best_of_a_search_or_a_dict(is_dict):
    best = keras_tuner.HyperParameters()
    best.values = {"a": 3.0, "b": "y"}
    base = best.values if is_dict else best
    found = analysis.sensitivity(Formula(), {"a": [0.0, 3.0]}, **DATA, base=base)
    assert found.settings[0] == {"a": 3.0}
    assert found.means[0] == pytest.approx(1.5, abs=0.03)


@pytest.mark.slow
def test_the_batch_size_of_a_function_goes_to_fit():
    sizes = []

    class Steps(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            sizes.append(self.params["steps"])

    arguments = {"epochs": 1, "verbose": 0, "callbacks": lambda: [Steps()]}
    analysis.sensitivity(
        build, {"batch_size": [4, 8]}, **DATA, seeds=2, fit_arguments=arguments
    )
    assert sorted(sizes) == [1, 1, 2, 2, 4, 4]  # 32 by default


def test_the_noise_is_the_spread_of_normal_scores():
    """And an effect of chance alone passes its floor about once in 20 times."""
    scores = np.random.default_rng(0).normal(size=(150, 3, 4)) * 0.7
    found = [effects(part) for part in scores]
    passed = np.mean([f.effects["a"] > f.floors["a"] for f in found])
    assert 0.005 < passed < 0.13
    assert np.mean([f.noise**2 for f in found]) == pytest.approx(0.49, rel=0.3)


def test_the_verdict_names_what_matters_and_what_does_not_show():
    found = effects([[1.0, 1.1], [3.0, 3.1], [1.02, 1.12]])
    assert found.verdict.startswith("a matters: val_loss 1.05 at 1, 3.05 at 2, ")
    assert "x the noise. b does not show beside the noise (0.02, of" in found.verdict
    assert effects(found.scores, "max").verdict.startswith("a matters: val_loss 3.05")
    json.dumps(found.to_dict())


def test_the_verdict_names_a_value_without_a_finite_score():
    found = effects([[1.0, 1.1], [3.0, np.nan], [1.02, 1.12]])
    assert found.verdict.startswith("a matters: no finite val_loss at 2 in one")
    assert np.isfinite(found.noise)


def test_the_picture_has_lines_and_contours(tmp_path):
    values = {"a": [0.0, 3.0], "b": ["x", "y"]}
    found = analysis.sensitivity(Formula(), values, **DATA, pairs=[("a", "b")])
    found.scores[-1, 0] = np.nan
    found.plot(tmp_path / "effects.png")
    assert (tmp_path / "effects.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"hyperparameters": {}}, "must be a dict of names to lists.* Received: {}"),
        ({"hyperparameters": {"a": [1]}}, "must be a list of two or more"),
        ({"hyperparameters": {"c": [1, 2]}}, "names that `build` asks for.*'c'"),
        (
            {"hyperparameters": {"batch_size": [4, 0]}},
            r"`hyperparameters\['batch_size'\]\[1\]` is the number of rows",
        ),
        ({"base": [0.5]}, r"`base` holds the values .*a dict.*base=\[0.5\]"),
        ({"pairs": [("a", "a")]}, "pairs of different names of"),
        ({"seeds": 1}, "how often a setting is trained"),
        ({"seed": -1}, "random numbers repeatable"),
        ({"seed": None}, "random numbers repeatable and must be .* seed=None"),
        ({"objective": "val_mae"}, "keras_tuner.Objective.name, direction"),
        ({"objective": "test_loss"}, "must be in the history of `fit`"),
        ({"validation_data": None}, "are the rows that are scored"),
        ({"fit_arguments": {"y": X}}, "must be without x, y.* Received: .'y'"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments, words):
    given = {"hyperparameters": {"a": [0.0, 3.0]}, **DATA, **arguments}
    with pytest.raises(ValueError, match=words):
        analysis.sensitivity(Formula(), **given)


def test_what_is_no_compiled_model_is_refused():
    with pytest.raises(ValueError, match="must return a compiled model"):
        analysis.sensitivity(lambda hp: hp.Float("a", 0.0, 1.0), {"a": [0, 1]}, **DATA)
