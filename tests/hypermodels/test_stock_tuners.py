"""The hypermodels under KerasTuner's own tuners, nothing of ours in between."""

import math
import warnings

import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit._optimizer_access import learning_rate_schedule, steps_taken
from keras_trainkit.hypermodels import HyperBiLSTMAttention, HyperMLP

pytestmark = [  # KerasTuner 1.4.8, in `Oracle.create_trial`
    pytest.mark.filterwarnings("ignore:currentThread\\(\\):DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName\\(\\):DeprecationWarning"),
]

SMALL = {
    "layers": (1, 2),
    "units": [4, 6],
    "activation": ["relu", "tanh"],
    "batch_size": [16, 40],
    "schedule": ["one_cycle", "constant"],
}
GRID = {
    "layers": [1, 2],
    "units": 4,
    "activation": "tanh",
    "normalization": "none",
    "residual": False,
    "dropout": 0.2,
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "schedule": "one_cycle",
    "batch_size": (16, 64, 4),
}
TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 3, "seed": 5}),
    "grid": (keras_tuner.GridSearch, {}),
    "bayesian": (
        keras_tuner.BayesianOptimization,
        {"max_trials": 3, "num_initial_points": 2, "seed": 5},
    ),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2, "seed": 5}),
}


class Watched(HyperMLP):
    """Keeps what each `fit` was given and what it left behind."""

    def fit(self, hp, model, *args, **kwargs):
        optimizer = model.optimizer
        before = steps_taken(optimizer)
        seen = []

        def keep(*_):
            rate = float(optimizer.learning_rate)
            seen.append((learning_rate_schedule(optimizer), rate))

        watching = keras.callbacks.LambdaCallback(on_epoch_end=keep)
        kwargs["callbacks"] = [*kwargs.get("callbacks", []), watching]
        history = super().fit(hp, model, *args, **kwargs)
        steps = (before, steps_taken(optimizer))
        self.fits.append((dict(hp.values), history.params, steps, *seen[-1]))
        return history


def searched(hypermodel, kind, directory, data, **arguments):
    cls, own = TUNERS[kind]
    tuner = cls(hypermodel, "val_loss", directory=directory, **{**own, **arguments})
    x, y = data
    epochs = {} if kind == "hyperband" else {"epochs": 2}
    tuner.search(x, y, validation_data=(x, y), verbose=0, **epochs)
    return tuner


SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in TUNERS if name != "hyperband"
]


@pytest.fixture(scope="module", params=["hyperband", *SLOW])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def data():
    """96 rows of 3 numbers whose class is the sign of the first."""
    x = np.random.default_rng(3).normal(size=(96, 3)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


@pytest.fixture(scope="module")
def search(kind, data, tmp_path_factory):
    """One search by each tuner, for several tests."""
    hypermodel = Watched((3,), 2, space=GRID if kind == "grid" else SMALL)
    hypermodel.fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tuner = searched(hypermodel, kind, tmp_path_factory.mktemp(kind), data)
    return tuner, hypermodel.fits


@pytest.mark.slow
def test_every_trial_completes(search):
    tuner, fits = search
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert all(math.isfinite(trial.score) for trial in trials)
    assert len(fits) == len(trials) >= 3


@pytest.mark.slow
def test_batch_size_is_honoured(search):
    for values, params, (_, taken), *_ in search[1]:
        steps = math.ceil(96 / values["batch_size"])
        assert params["steps"] == steps
        assert taken == params["epochs"] * steps


@pytest.mark.first_quick
def test_one_cycle_is_honoured(search):
    cycles = 0
    for values, params, _, schedule, last in search[1]:
        peak = values["learning_rate"]
        if values["schedule"] == "constant":
            assert schedule is None
            assert last == pytest.approx(peak)
            continue
        cycles += 1
        assert schedule.max_learning_rate == peak
        assert schedule.total_steps == params["epochs"] * params["steps"]
        assert schedule.start_step == 0
        # a hundredth of a tenth of the peak, once the cycle is over
        assert last == pytest.approx(peak / 1000, rel=1e-4)
    assert cycles


def test_trials_that_hyperband_promotes_go_on_from_their_step(search, kind):
    for values, params, (before, _), *_ in search[1]:
        assert before == values.get("tuner/initial_epoch", 0) * params["steps"]
    if kind == "hyperband":
        assert any(values["tuner/initial_epoch"] for values, *_ in search[1])


def test_every_trial_has_the_same_names_but_for_what_it_does_not_use(search):
    always = {
        *("layers", "units_0", "activation", "normalization", "residual", "dropout"),
        *("optimizer", "learning_rate", "weight_decay", "schedule", "batch_size"),
    }
    for values, *_ in search[1]:
        expected = set(always)
        expected |= {"units_1"} if values["layers"] == 2 else set()
        expected |= {"momentum"} if values["optimizer"] == "sgdw" else set()
        assert {name for name in values if name[:6] != "tuner/"} == expected


def test_values_stay_inside_the_space(search):
    for values, *_ in search[1]:
        assert values["layers"] in (1, 2)
        assert values["units_0"] in (4, 6)
        assert values["batch_size"] in (16, 40, 64)
        assert 1e-5 <= values["learning_rate"] <= 1
        assert 0.2 <= values["dropout"] <= 0.5


def test_best_model_comes_back_with_its_score(search, data):
    x, y = data
    best = search[0].get_best_models()[0]
    score = search[0].oracle.get_best_trials()[0].score
    found = best.evaluate(x, y, batch_size=96, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(score, abs=1e-4)


def test_a_new_hypermodel_builds_and_fits_the_best_hyperparameters(search, kind, data):
    x, y = data
    hp = search[0].get_best_hyperparameters()[0]
    fresh = HyperMLP((3,), 2, space=GRID if kind == "grid" else SMALL)
    model = fresh.build(hp)
    assert model.get_layer("dense_1").units == hp.get("units_0")
    history = fresh.fit(hp, model, x, y, epochs=1, verbose=0)
    assert history.params["steps"] == math.ceil(96 / hp.get("batch_size"))


def test_grid_goes_through_every_combination_once(search, kind):
    if kind == "grid":
        found = sorted((v["layers"], int(v["batch_size"])) for v, *_ in search[1])
        assert found == [(1, 16), (1, 64), (2, 16), (2, 64)]


@pytest.mark.slow
def test_bilstm_runs_under_every_tuner(kind, tmp_path):
    x = np.random.default_rng(1).normal(size=(24, 4, 2)).astype("float32")
    y = x.sum((1, 2))
    space = {
        "layers": 1,
        "units": 2,
        "attention": ["dot", "none"],
        "optimizer": "adamw",
        "batch_size": 12,
    }
    hypermodel = HyperBiLSTMAttention((4, 2), 1, "regression", space=space)
    few = {"max_epochs": 1} if kind == "hyperband" else {"max_trials": 1}
    tuner = searched(hypermodel, kind, tmp_path, (x, y), **few)
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert tuner.get_best_models()[0].predict(x, verbose=0).shape == (24, 1)
