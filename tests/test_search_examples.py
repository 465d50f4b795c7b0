"""The examples that search: every method, small, killed, continued and served."""

import argparse
import importlib
import pathlib
import subprocess
import sys

import keras
import methods_of_search
import numpy as np
import optuna
import pandas as pd
import pytest

from keras_trainkit import models

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
METHODS = ["random", "grid", "bayesian", "hyperband", "coarse_to_fine"]
pytestmark = pytest.mark.tensorflow_only  # they end in a SavedModel


QUICK = {  # to build and to trace
    "layers": 1,
    "units": [4, 6],
    "optimizer": "adamw",
    "schedule": "constant",
}


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield patch


@pytest.fixture(scope="module")
def search_mlp(patch):
    plain = {"activation": "relu", "normalization": "none", "residual": False}
    return small("search_mlp", patch, plain)


@pytest.fixture(scope="module")
def search_bilstm_attention(patch):
    return small("search_bilstm_attention", patch)


def small(name, patch, plain=None):
    """The example as a module that its other processes can import too."""
    module = importlib.import_module(name)
    patch.setattr(module, "FULL_SPACE", module.SPACE, raising=False)
    patch.setattr(module, "SPACE", {**module.SPACE, **QUICK, **(plain or {})})
    patch.setattr(module, "GRID", {**module.GRID, "units": 5, "layers": 1})
    return module


def served(folder):
    tf = pytest.importorskip("tensorflow")
    model = tf.saved_model.load(folder / "saved_model" / "1")
    return model.signatures["serving_default"]


def states(tuner):
    return [trial.state.name for trial in tuner.study.get_trials()]


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Numbers with gaps and towns, which make the price."""
    rng = np.random.default_rng(0)
    rooms = np.where(rng.random(240) < 0.1, np.nan, rng.normal(5, 1, 240))
    towns = np.array(["Ulm", "Bonn", None], object)[rng.integers(3, size=240)]
    price = 1e5 * np.nan_to_num(rooms, nan=5) + 2e5 * (towns == "Ulm")
    table = pd.DataFrame({"no. of rooms": rooms, "town": towns, "price": price})
    path = tmp_path_factory.mktemp("houses") / "houses.csv"
    table.to_csv(path, index=False)
    return path


SMALL = {"method": METHODS, "trials": 2, "epochs": 2, "verbose": 0}


@pytest.fixture(scope="module")
def searched(search_mlp, houses, tmp_path_factory):
    """A folder, and what every method found that is in it."""
    out = tmp_path_factory.mktemp("out")
    return out, *search_mlp.main(houses, "price", out=out, **SMALL)


@pytest.mark.slow
def test_search_mlp_runs_every_method_and_keeps_the_best(search_mlp, houses, searched):
    out, found, scores = searched
    assert list(found) == METHODS
    for name, tuner in found.items():
        assert type(tuner) is methods_of_search.TUNERS[name]
        assert len(states(tuner)) == 2 and states(tuner)[0] == "COMPLETE"
        assert (out / f"mlp_{name}" / "study.db").exists()

    assert (out / "searches.png").exists()
    best = min(tuner.study.best_value for tuner in found.values())
    table, answers, *_ = search_mlp.read_table(houses, "price")
    parts = search_mlp.data.split(table, seed=0)
    model = keras.saving.load_model(out / "model.keras")
    encoder = keras.saving.load_model(out / "encoder.keras")
    for rows, loss in ((parts.validation, best), (parts.test, scores["loss"])):
        x, y = encoder(table.iloc[rows]), answers[rows]
        assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_search_mlp_runs_no_trial_at_the_second_start(
    search_mlp, houses, searched, monkeypatch, capsys
):
    def run_trial(*args, **kwargs):
        raise AssertionError("a trial is run again")

    for cls in methods_of_search.TUNERS.values():
        monkeypatch.setattr(cls, "run_trial", run_trial)
    out, found, scores = searched
    again, scores_again = search_mlp.main(houses, "price", out=out, **SMALL)
    assert [states(tuner) for tuner in again.values()] == [
        states(tuner) for tuner in found.values()
    ]
    assert scores_again == scores
    lines = capsys.readouterr().out.splitlines()
    assert (
        f"root_mean_squared_error {scores['root_mean_squared_error']:.4g}" in lines[-3]
    )
    assert lines[-2].endswith(str(out / "saved_model" / "2"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["search_mlp", "search_bilstm_attention"])
def test_the_grid_is_every_rate_with_every_batch_size(
    name, search_mlp, request, tmp_path
):
    """Without training: it lists what would be trained."""
    example = request.getfixturevalue(name)
    tried = []

    class Listing(methods_of_search.TUNERS["grid"]):
        def run_trial(self, trial, *args, **kwargs):
            hp = trial.hyperparameters
            self.hypermodel.declare_hyperparameters(hp)
            tried.append((hp.get("learning_rate"), hp.get("batch_size")))
            return float(len(tried))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(methods_of_search.TUNERS, "grid", Listing)
        patch.setattr(example, "best_of", stop)
        with pytest.raises(Stop):
            example.main(method=["grid"], out=tmp_path, verbose=0)
    assert len(tried) == 9
    assert set(tried) == {(r, b) for r in (0.001, 0.01, 0.1) for b in (32, 64, 128)}


class Stop(Exception):
    """Nothing was trained, so there is no best model."""


def stop(tuner):
    raise Stop


@pytest.mark.slow
def test_search_mlp_refits_the_encoder_in_folds_and_serves_texts(
    search_mlp, houses, tmp_path, monkeypatch
):
    rows = []
    adapt = search_mlp.layers.TableEncoder.adapt

    def counting(encoder, table):
        if not isinstance(table, dict):  # which is the target alone
            rows.append(len(table))
        return adapt(encoder, table)

    monkeypatch.setattr(search_mlp.layers.TableEncoder, "adapt", counting)
    monkeypatch.setitem(search_mlp.SPACE, "learning_rate", (0.03, 0.1))
    options = {"folds": 2, "trials": 1, "epochs": 20, "verbose": 0}
    _, scores = search_mlp.main(houses, "price", out=tmp_path, **options)
    assert scores["root_mean_squared_error"] < 7e4  # the standard deviation is 1.4e5
    assert rows[:3] == [192, 96, 96]  # 48 of 240 are the test part
    assert set(rows[3:]) == {192}

    model = keras.saving.load_model(tmp_path / "model.keras")
    encoder = keras.saving.load_model(tmp_path / "encoder.keras")
    columns = {"no. of rooms": [5.0, np.nan], "town": ["Ulm", None]}
    answers = served(tmp_path)(
        no_of_rooms=np.array([5, np.nan]), town=np.array(["Ulm", ""], object)
    )
    np.testing.assert_allclose(
        answers["predictions"], model.predict(encoder(columns), verbose=0), rtol=1e-5
    )


@pytest.mark.soak
def test_search_mlp_reads_digits_and_joins_a_search_from_another_folder(
    search_mlp, tmp_path
):
    options = {"storage": f"sqlite:///{tmp_path}/all.db", "epochs": 1, "verbose": 0}
    _, scores = search_mlp.main(trials=1, out=tmp_path / "one", **options)
    found, scores_there = search_mlp.main(trials=1, out=tmp_path / "two", **options)
    assert states(found["random"]) == ["COMPLETE"]
    assert scores_there == pytest.approx(scores)

    table, _, _, classes = search_mlp.read_table(None, None)
    model = keras.saving.load_model(tmp_path / "two" / "model.keras")
    encoder = keras.saving.load_model(tmp_path / "two" / "encoder.keras")
    columns = {name: table[name].to_numpy("float64")[:9] for name in table}
    assert len(columns) == 64
    assert list(model.classes) == classes == list(range(10))
    np.testing.assert_allclose(
        served(tmp_path / "two")(**columns)["probabilities"],
        models.predict_proba(model, encoder(table[:9]), verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.soak
def test_search_mlp_goes_on_where_it_was_killed_with_its_workers(
    search_mlp, houses, tmp_path, monkeypatch
):
    command = [sys.executable, EXAMPLES / "search_mlp.py", "--csv", houses]
    command += [
        "--target",
        "price",
        "--out",
        tmp_path,
        "--epochs",
        "1",
        "--workers",
        "2",
        "--trials",
        "60",
    ]
    kill_after_a_trial(command)
    study = optuna.load_study(
        study_name="mlp_random", storage=f"sqlite:///{tmp_path}/mlp_random/study.db"
    )
    done = {t.number: t for t in study.get_trials() if t.state.name == "COMPLETE"}
    assert 1 <= len(done) < 60

    monkeypatch.setattr(search_mlp, "SPACE", search_mlp.FULL_SPACE)  # the command's
    found, _ = search_mlp.main(
        houses, "price", trials=len(done) + 1, epochs=1, out=tmp_path, verbose=0
    )
    trials = found["random"].study.get_trials()
    assert [t.state.name for t in trials].count("COMPLETE") == len(done) + 1
    for number, trial in done.items():
        assert trials[number].value == trial.value
        assert trials[number].datetime_complete == trial.datetime_complete


def kill_after_a_trial(command):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        for line in process.stdout:
            if line.startswith("Search: "):
                break
        process.kill()


@pytest.fixture
def slopes(tmp_path):
    """Sequences of unequal length and how steeply they rise."""
    rng = np.random.default_rng(0)
    lengths, slopes = rng.integers(3, 7, 150), rng.normal(size=150)
    x = slopes[:, None] * np.arange(7) + 100 * (np.arange(7) >= lengths[:, None])
    arrays = {"x": x[..., None], "y": 1e3 * slopes + 7e3, "lengths": lengths}
    np.savez(tmp_path / "slopes.npz", **arrays)
    return tmp_path / "slopes.npz"


@pytest.mark.soak
def test_search_bilstm_attention_runs_every_method_and_answers_in_the_files_units(
    search_bilstm_attention, slopes
):
    out = slopes.parent / "out"
    found, scores = search_bilstm_attention.main(
        slopes, method=METHODS, trials=1, epochs=4, out=out, verbose=0
    )
    assert list(found) == METHODS
    for name, tuner in found.items():
        assert states(tuner) == ["COMPLETE"]
        assert (out / f"bilstm_attention_{name}" / "study.db").exists()
    assert (out / "searches.png").exists()

    x, y = search_bilstm_attention.read_npz(slopes)
    parts = search_bilstm_attention.data.split(x, seed=0)
    x_test, y_test = x[parts.test], y[parts.test]
    answers = np.ravel(served(out)(sequences=x_test)["predictions"])
    spread = y[parts.train].std()
    errors = np.sqrt(np.mean((answers - y_test) ** 2)) / spread
    assert scores["root_mean_squared_error"] == pytest.approx(errors, rel=1e-3)
    assert errors < 1  # better than their mean


@pytest.mark.slow
def test_search_bilstm_attention_serves_what_keras_answers_to_digits(
    search_bilstm_attention, tmp_path
):
    _, scores = search_bilstm_attention.main(
        trials=1, epochs=1, out=tmp_path, verbose=0
    )
    assert set(scores) == {"loss", "accuracy"}
    x, _ = search_bilstm_attention.digits()
    model = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        served(tmp_path)(sequences=x[:9])["probabilities"],
        models.predict_proba(model, x[:9], verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "prize"}, "'town', 'price'.*target='prize'"),
        ({"trials": 0}, "`max_trials` is the number of configurations.*max_trials=0"),
        ({"workers": 0}, "`workers` is the number of processes.*workers=0"),
        ({"folds": 0}, "`folds` is the number of folds.*folds=0"),
    ],
)
def test_search_mlp_names_what_it_cannot_use(
    search_mlp, houses, tmp_path, arguments, words
):
    options = {"target": "price", **arguments}
    with pytest.raises(ValueError, match=words):
        search_mlp.main(houses, out=tmp_path, **options)


def test_search_mlp_lists_its_methods_for_one_it_does_not_have(search_mlp, capsys):
    parser = argparse.ArgumentParser()
    search_mlp.add_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--method", "random", "gird"])
    error = capsys.readouterr().err
    assert "'gird'" in error and all(f"'{name}'" in error for name in METHODS)
    chosen = parser.parse_args(["--method", "random", "grid", "--folds", "4"])
    assert chosen.method == ["random", "grid"] and chosen.folds == 4


def test_search_bilstm_attention_names_arrays_it_cannot_use(
    search_bilstm_attention, tmp_path
):
    np.savez(tmp_path / "steps.npz", x=np.ones((4, 2, 1)), y=np.ones(3))
    with pytest.raises(ValueError, match=r"be arrays x .*\(4, 2, 1\)"):
        search_bilstm_attention.main(tmp_path / "steps.npz", out=tmp_path)
    x = np.full((4, 2, 1), np.nan)
    np.savez(tmp_path / "steps.npz", x=x, y=np.ones(4))
    with pytest.raises(ValueError, match="have no NaN in x. Received: 8 of them"):
        search_bilstm_attention.main(tmp_path / "steps.npz", out=tmp_path)
