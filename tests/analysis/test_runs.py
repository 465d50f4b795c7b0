"""Runs of TensorBoard and MLflow, read back, in a table and side by side."""

import datetime
import json
import sqlite3

import keras
import numpy as np
import pytest

from keras_trainkit import analysis, models
from keras_trainkit.analysis import TrackedRun, TrackedRuns

STARTED = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def run_of(name="a", **changes):
    given = {
        "name": name,
        "source": "TensorBoard",
        "started": STARTED,
        "seconds": 2.04,
        "parameters": {"units": 8},
        "history": {"loss": [3.0, 2.0], "val_loss": [2.0, 2.5], "auc": [0.5, 0.7]},
        "scalars": {"norm": ([0, 5], [1.0, 0.5])},
        "description": {"seed": 4, "model": {"layers": [{"name": "dense_7"}]}},
    }
    return TrackedRun(**{**given, **changes})


@pytest.fixture
def two():
    better = {"loss": [2.5, np.nan], "val_loss": [1.5, 1.25]}
    return TrackedRuns(
        [
            run_of(),
            run_of(
                "b",
                parameters={"units": 64},
                history=better,
                description={"seed": 5, "model": {"layers": [{"name": "dense_9"}]}},
            ),
        ]
    )


def test_the_table_has_a_row_for_each_run_with_its_best_epoch(two):
    frame = two.frame()
    assert frame.index.tolist() == ["a", "b"] and frame.index.name == "run"
    assert frame.loc["a", ["loss", "val_loss", "auc"]].tolist() == [2.0, 2.0, 0.7]
    assert frame["param units"].tolist() == [8, 64]
    assert frame["epochs"].tolist() == [2, 2] and frame["seed"].tolist() == [4, 5]
    assert np.isnan(frame.loc["b", "auc"])


def test_the_verdict_names_the_lowest_validation_loss(two):
    assert two.verdict == (
        "2 runs; the lowest val_loss is 1.25, of 'b' in epoch 2 of 2."
    )
    assert two.verdict in repr(two)
    only_training = TrackedRuns([run_of(history={"loss": [np.nan, 4.0]})])
    assert "1 run; the lowest loss is 4, of 'a' in epoch 2" in only_training.verdict
    assert TrackedRuns([]).verdict == "0 runs, none with a finite loss."


@pytest.mark.parametrize(
    ("histories", "words"),
    [
        ([{"loss": [1.0, -np.inf, 2.0]}], "the lowest loss is 1, of '0' in epoch 1 of"),
        (
            [{"val_loss": [np.nan] * 2, "loss": [3.0, 2.0]}],
            "loss is 2, of '0' in epoch",
        ),
        ([{"val_loss": [np.nan], "loss": [0.0]}, {"val_loss": [4.0]}], "loss is 4, of"),
        ([{"loss": [np.nan, np.inf]}, {"auc": [1.0]}], "2 runs, none with a finite"),
        ([{"val_loss": [], "loss": []}], "1 run, none with a finite loss"),
    ],
)
def test_the_verdict_is_of_finite_losses(histories, words):
    found = [run_of(str(n), history=history) for n, history in enumerate(histories)]
    assert words in TrackedRuns(found).verdict


def test_side_by_side_stands_what_differs_and_no_counters_of_names(two):
    lines = two.compare("a", 1).split("\n")
    assert lines[0].split() == ["a", "b"]
    assert ["seed", "4", "5"] in [line.split() for line in lines]
    assert ["param", "units", "8", "64"] in [line.split() for line in lines]
    assert not any("source" in line or "dense" in line for line in lines)
    assert two["b"].parameters == {"units": 64}
    with pytest.raises(ValueError, match=r"must be one of \['a', 'b'\]. .*'c'"):
        two.compare("a", "c")


def test_everything_is_told_as_plain_values(two):
    found = json.loads(json.dumps(two.to_dict(), allow_nan=False))
    assert found["runs"][1]["history"]["loss"] == [2.5, None]
    assert found["runs"][0]["started"] == "2026-01-02T00:00:00+00:00"


def test_the_curves_of_runs_are_drawn(two, tmp_path):
    two.plot(tmp_path / "runs.png")
    assert (tmp_path / "runs.png").stat().st_size > 20_000
    with pytest.raises(ValueError, match="`names` are the runs to draw and must be"):
        two.plot(tmp_path / "none.png", [])
    with pytest.raises(ValueError, match="`path` is the file to draw into"):
        two.plot(tmp_path / "runs")


@pytest.mark.parametrize("directory", ["nowhere", 7, None])
def test_a_folder_that_is_none_is_refused(directory):
    with pytest.raises(ValueError, match="^`directory` is where the runs are and must"):
        analysis.runs(directory)


def test_a_folder_without_runs_has_none_whatever_else_lies_there(tmp_path):
    (tmp_path / "notes.db").write_text("no database")
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE runs (a)")
    db.close()
    found = analysis.runs(str(tmp_path))
    assert len(found) == 0 and list(found) == []


@pytest.mark.tensorflow_only
def test_event_files_are_read_with_all_that_lies_beside_the_epochs(tmp_path):
    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hparams

    def written(folder, **scalars):
        with tf.summary.create_file_writer(str(tmp_path / folder)).as_default():
            for tag, values in scalars.items():
                for step, value in enumerate(values):
                    tf.summary.scalar(tag, value, step=step)

    written("deep/a/train", epoch_loss=[3.0, 2.0], evaluations=[1.0])
    written("deep/a/train", epoch_loss=[7.0])  # again, as a resumed run does
    written("deep/a/validation", epoch_loss=[2.0, 1.0])
    described = {"seed": 3, "versions": {"keras": "3"}, "parameters": {"from": "text"}}
    with tf.summary.create_file_writer(str(tmp_path / "deep/a")).as_default(step=0):
        hparams.hparams({"units": 8, "activation": "relu", "dropout": 0.5})
        tf.summary.text("run", json.dumps(described))
        tf.summary.text("thoughts", "no JSON {")
        tf.summary.scalar("gradient norm/dense", 0.25, step=40)
    written("b", epoch_loss=[4.0])

    found = analysis.runs(tmp_path)
    assert sorted(run.name for run in found) == ["b", "deep/a"]
    run = found["deep/a"]
    assert run.history == {"loss": [7.0, 2.0], "val_loss": [2.0, 1.0]}
    assert run.scalars == {
        "gradient norm/dense": ([40], [0.25]),
        "evaluations": ([0], [1.0]),
    }
    parameters = {"units": 8, "activation": "relu", "dropout": 0.5, "from": "text"}
    assert run.parameters == parameters
    assert (run.source, run.description) == ("TensorBoard", described)
    assert run.seconds >= 0 and run.started.tzinfo is datetime.UTC


# MLflow 3.17 with SQLAlchemy 2.1.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_store_of_mlflow_is_read(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    # Where artifacts are is a path or a URL.
    places = {"first": str(tmp_path / "art"), "second": (tmp_path / "b c").as_uri()}
    for name, place in places.items():
        experiment = client.create_experiment(name, place)
        run = client.create_run(experiment, run_name="run").info.run_id
        for key, value in {"units": 8, "layers": [1, 2], "note": "x = [1"}.items():
            client.log_param(run, key, value)
        for key, values in {"loss": [3.0, 2.0], "val_loss": [2.5, 1.5]}.items():
            for step, value in enumerate(values):
                client.log_metric(run, key, value, step=step)
        client.log_metric(run, "loss", 1.0, step=1)  # again
        client.log_metric(run, "norm", 0.5, step=7)
        client.log_dict(run, {"seed": 3, "versions": {}}, "run.json")
        client.set_terminated(run)
    found = analysis.runs(tmp_path)
    assert sorted(run.name for run in found) == ["first/run", "second/run"]
    for run in found:
        assert run.history == {"loss": [3.0, 1.0], "val_loss": [2.5, 1.5]}
        assert run.parameters == {"units": 8, "layers": [1, 2], "note": "x = [1"}
        assert run.scalars == {"norm": ([7], [0.5])}
        assert run.description == {"seed": 3, "versions": {}} and run.source == "MLflow"
        assert run.seconds >= 0


@pytest.mark.tensorflow_only
def test_texts_and_folders_of_any_kind_are_met(tmp_path):
    import tensorflow as tf

    folder = tmp_path / "train"
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        tf.summary.text("several", ["a", "b"])
        tf.summary.text("deep", "[" * 100_000)
        odd = {"parameters": [1], "model": "m", "training": [], "data": [1]}
        tf.summary.text("odd", json.dumps({"versions": {}, **odd}))
        tf.summary.scalar("epoch_loss", 2.0)
    (run,) = analysis.runs(folder)
    assert run.history == {"loss": [2.0]} and run.description == {"versions": {}}


@pytest.fixture
def logs(tmp_path):
    """A folder with a run of five epochs; the rest is written beside it."""
    tf = pytest.importorskip("tensorflow")
    with tf.summary.create_file_writer(str(tmp_path / "good")).as_default():
        for step, loss in enumerate(LOSSES):
            tf.summary.scalar("epoch_loss", loss, step=step)
    return tmp_path


LOSSES = [5.0, 4.0, 3.0, 2.0, 1.0]


def odd_series(folder, values):
    """A series of TensorBoard's scalars that are none."""
    import tensorflow as tf

    about = tf.compat.v1.SummaryMetadata()
    about.plugin_data.plugin_name = "scalars"
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        tf.summary.write("odd", tf.constant(values), metadata=about)
        tf.summary.scalar("epoch_loss", 0.5)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("values", [[1.0, 2.0], "words"])
def test_a_series_that_is_none_of_numbers_is_passed_over(values, logs):
    odd_series(logs / "bad", values)
    with pytest.warns(UserWarning, match="'odd' of the run in .*bad cannot be read"):
        found = analysis.runs(logs)
    assert {run.name: run.history["loss"] for run in found} == {
        "good": LOSSES,
        "bad": [0.5],
    }


def flipped(content):
    """One bit in the record of the fourth epoch is another."""
    at = len(content) * 3 // 4
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("damage", "epochs"),
    [
        (lambda content: content[:-7], 4),
        (flipped, 3),
        (lambda content: content + b"x" * 40, 5),
        (lambda content: b"x" * 400, None),
        (lambda content: b"x", None),
    ],
    ids=["cut off", "a bit", "more at the end", "garbage", "a byte"],
)
def test_what_is_damaged_of_an_event_file_is_told(damage, epochs, logs):
    (file,) = (logs / "good").iterdir()
    (logs / "bad").mkdir()
    (logs / "bad" / file.name).write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match="bad.* cannot be read.*behind byte") as caught:
        found = analysis.runs(logs)
    assert len(caught) == 1
    expected = {"good": LOSSES} | ({"bad": LOSSES[:epochs]} if epochs else {})
    assert {run.name: run.history["loss"] for run in found} == expected


@pytest.mark.tensorflow_only
def test_a_run_that_brings_about_an_error_is_passed_over(logs, monkeypatch):
    from keras_trainkit.analysis import _tensorboard_runs

    odd_series(logs / "bad", 1.0)
    read = _tensorboard_runs._hyperparameters

    def of_good_runs(events):
        if events.path.endswith("bad"):
            raise OverflowError("too large")
        return read(events)

    monkeypatch.setattr(_tensorboard_runs, "_hyperparameters", of_good_runs)
    with pytest.warns(UserWarning, match="bad cannot be read.*OverflowError"):
        found = analysis.runs(logs)
    assert [run.name for run in found] == ["good"]


def test_a_file_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0")
    opened = type(tmp_path).open

    def refused(path, *args, **kwargs):
        if path.name == "a.db":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr("pathlib.Path.open", refused)
    with pytest.warns(UserWarning, match="a.db cannot be read .*PermissionError"):
        assert len(analysis.runs(tmp_path)) == 0


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_store_may_lie_anywhere_and_a_broken_one_is_passed_over(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    made = tmp_path / "made.db"
    client = mlflow.MlflowClient(f"sqlite:///{made}")
    experiment = client.create_experiment("e", str(tmp_path / "art"))
    for _ in range(2):
        run = client.create_run(experiment, run_name="same").info.run_id
        client.log_param(run, "note", "1_000")
        client.log_param(run, "set", "{1, 2}")
    (tmp_path / "a").mkdir()
    odd = tmp_path / "a" / "s?q#50%20x"
    odd.mkdir()
    made.rename(odd / "m.db")
    (tmp_path / "a" / "folder.db").mkdir()
    (tmp_path / "a" / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    before = sorted((tmp_path / "a").rglob("*"))
    with pytest.warns(UserWarning, match="broken.db cannot be read and is passed over"):
        found = analysis.runs(tmp_path / "a")
    assert [run.name for run in found] == ["e/same", "e/same (2)"]
    assert found[0].parameters["note"] == "1_000"
    json.dumps(found.to_dict(), allow_nan=False)
    assert sorted((tmp_path / "a").rglob("*")) == before


# What a run can be told by


def test_a_description_tells_runs_apart_and_can_be_written():
    x = np.arange(12.0).reshape(4, 3)
    model = models.mlp((3,), 1, (2,))
    model.compile(
        keras.optimizers.SGD(0.5),
        keras.losses.BinaryCrossentropy(True, label_smoothing=0.25),
    )
    parameters = {"rate": np.float32(0.5), "units": (2,), "bad": np.nan, 3: len}
    found = analysis.run_description(
        model, (x, {"y": x[:, 0]}), seed=np.int64(7), parameters=parameters
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["seed"] == 7
    assert found["parameters"]["rate"] == 0.5 and found["parameters"]["units"] == [2]
    assert found["parameters"]["bad"] is None and "len" in found["parameters"]["3"]
    assert found["model"]["trainable_weights"] == model.count_params()
    assert found["training"]["optimizer"] == "SGD"
    assert found["training"]["arguments"]["learning_rate"] == pytest.approx(0.5)
    assert found["training"]["loss"]["class"] == "BinaryCrossentropy"
    assert found["training"]["loss"]["label_smoothing"] == 0.25
    assert found["data"][0]["shapes"] == [4, 3] and found["data"][1]["shapes"] == {
        "y": [4]
    }
    assert found["versions"]["keras"] == keras.__version__
    assert found["backend"]["name"] == keras.config.backend()
    again = analysis.run_description(model, x + 1, seed=7)
    assert again["data"][0]["fingerprint"] != found["data"][0]["fingerprint"]


def test_a_model_that_is_not_built_or_compiled():
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="^`model` is what is described and must be"):
        analysis.run_description(model)
    model = models.mlp((3,), 1)
    assert analysis.run_description(model)["training"] is None
    with pytest.raises(ValueError, match="`parameters` are names .*parameters=.'a'"):
        analysis.run_description(model, parameters=["a"])
    with pytest.raises(ValueError, match="`seed` made the random numbers"):
        analysis.run_description(model, seed="a")
