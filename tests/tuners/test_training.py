"""Searches that train: scores, weights, seeds, folds, callbacks."""

import statistics

import keras
import keras_tuner
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from searching import Curves

from keras_trainkit import tuners


@pytest.fixture(scope="module")
def line():
    """`(x, y)`, 24 rows of a noisy line."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(24, 3)).astype("float32")
    return x, x[:, :1] * 2 + rng.normal(size=(24, 1)).astype("float32") / 10


def build(hp):
    inputs = keras.Input((3,))
    x = keras.layers.Dense(hp.Int("units", 2, 5), activation="tanh")(inputs)
    x = keras.layers.Dropout(0.25)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    rate = hp.Float("rate", 1e-2, 0.3, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model


class Last(keras.callbacks.Callback):
    """Keeps itself, one copy for each training."""

    seen: list = []

    def on_train_begin(self, logs=None):
        self.seen.append(self)  # not its `id`, which another may have after it


@pytest.mark.slow
def test_refitting_the_best_gives_its_score_and_its_weights(line, tmp_path):
    tuner = tuners.RandomSearch(build, max_trials=3, seed=0, directory=tmp_path)
    arguments = {"validation_data": line, "epochs": 4, "batch_size": 8, "verbose": 0}
    Last.seen = []
    tuner.search(*line, callbacks=[Last()], **arguments)
    assert len(set(Last.seen)) == 3  # a copy for each training

    best = tuner.oracle.get_best_trials()[0]
    assert best.score == min(t.score for t in tuner.oracle.trials.values())
    result = tuner.study.best_trial.user_attrs["result"]
    (history,) = result["history"]
    assert best.score == min(history["val_loss"]) and len(history["val_loss"]) == 4
    assert best.best_step == int(np.argmin(history["val_loss"]))
    assert best.metrics.get_best_value("val_mae") == history["val_mae"][best.best_step]

    (kept,) = tuner.get_best_models()
    again = tuner.refit_best()
    for model in (kept, again):
        score = model.evaluate(*line, batch_size=8, verbose=0)[0]
        assert score == pytest.approx(best.score, rel=1e-6)
    for ours, theirs in zip(kept.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.first_quick
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("frequency", [2, [1, 3]])
def test_of_epochs_with_validation_the_best_counts(frequency, line, tmp_path):
    class Log(keras.callbacks.Callback):
        epochs: list = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(logs.get("val_loss"))

    Log.epochs = []
    tuner = tuners.RandomSearch(build, max_trials=1, seed=0, directory=tmp_path)
    tuner.search(
        *line,
        validation_data=line,
        epochs=5,
        validation_freq=frequency,
        batch_size=24,
        callbacks=[Log()],
        verbose=0,
    )
    validated = {n: value for n, value in enumerate(Log.epochs) if value is not None}
    assert list(validated) == ([1, 3] if frequency == 2 else [0, 2])
    best = tuner.oracle.get_best_trials()[0]
    assert best.best_step == min(validated, key=validated.get)
    assert best.score == validated[best.best_step]
    (history,) = tuner.histories("0000")
    assert history["loss"][best.best_step] == best.metrics.get_best_value("loss")
    assert len(history["val_loss"]) == len(history["loss"]) == 5
    (model,) = tuner.get_best_models()
    score = model.evaluate(*line, batch_size=24, verbose=0)[0]
    assert score == pytest.approx(best.score, rel=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_an_objective_computed_after_training_leaves_the_last_weights(line, tmp_path):
    class Twice(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, x, y, **kwargs):
            model.fit(x, y, validation_data=(x, y), **kwargs)
            model.fit(x, y, **kwargs)
            self.last = model.get_weights()
            return {"val_loss": 3.0}

    hypermodel = Twice()
    tuner = tuners.RandomSearch(hypermodel, max_trials=1, seed=0, directory=tmp_path)
    tuner.search(*line, batch_size=24, verbose=0)
    (model,) = tuner.get_best_models()
    for kept, last in zip(model.get_weights(), hypermodel.last, strict=True):
        assert np.array_equal(kept, last)


@pytest.mark.slow
def test_executions_have_seeds_of_their_own_and_their_mean_counts(line, tmp_path):
    tuner = tuners.RandomSearch(
        build, max_trials=1, seed=0, executions_per_trial=2, directory=tmp_path
    )
    tuner.search(*line, validation_data=line, epochs=2, batch_size=12, verbose=0)
    result = tuner.study.best_trial.user_attrs["result"]
    first, second = result["scores"]
    assert first != second
    assert tuner.study.best_value == (first + second) / 2
    assert result["spread"] == pytest.approx(statistics.stdev((first, second)))
    assert result["epochs"] == 4
    histories = tuner.histories("0000")
    assert [min(history["val_loss"]) for history in histories] == [first, second]
    assert [len(history["val_mae"]) for history in histories] == [2, 2]
    with pytest.raises(ValueError, match="`trial_id` .*Received: trial_id='7'"):
        tuner.histories("7")
    score = tuner.refit_best().evaluate(*line, batch_size=12, verbose=0)[0]
    assert score == pytest.approx(min(first, second), rel=1e-6)


class Folded(keras_tuner.HyperModel):
    """Returns what `score` says of the rows it gets, without training."""

    def __init__(self, score):
        super().__init__()
        self.score = score
        self.prepared = []
        self.rows = []

    def prepare(self, x_train, y_train):
        self.prepared.append(x_train)

    def build(self, hp):
        hp.Int("a", 1, 90)
        return keras.Sequential([keras.layers.Dense(1)])

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        x_val, y_val = validation_data
        assert np.array_equal(x[:, 0], y) and np.array_equal(x_val[:, 0], y_val)
        self.rows.append((list(y), list(y_val)))
        assert np.array_equal(self.prepared[-1], x)
        return float(self.score(hp.get("a"), y_val))


def test_every_row_is_held_out_once_and_prepare_sees_only_the_others(tmp_path):
    model = Folded(lambda a, y_val: np.mean(y_val))
    tuner = tuners.RandomSearch(
        model, max_trials=2, folds=3, seed=4, directory=tmp_path
    )
    y = np.arange(9.0)
    tuner.search(y[:, None], y)
    held_out = [tuple(rows) for _, rows in model.rows]
    assert held_out[:3] == held_out[3:]  # the same folds for every trial
    assert sorted(sum(held_out[:3], ())) == list(y)
    for train, validation in model.rows:
        assert not set(train) & set(validation) and len(train) == 6
    means = [np.mean(rows) for rows in held_out[:3]]
    frame = tuner.trials_frame()
    assert frame["score"]["0000"] == pytest.approx(4.0)
    assert frame["spread"]["0000"] == pytest.approx(statistics.stdev(means))


class Watched(keras_tuner.HyperModel):
    """Keeps what `prepare` is given; trains nothing."""

    def prepare(self, x_train, y_train):
        self.given = x_train, y_train

    def build(self, hp):
        hp.Int("a", 1, 90)
        return keras.Sequential([keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        return 1.0


@pytest.mark.parametrize(
    ("held_out", "rows"),
    [
        ({"validation_split": 0.25}, 7),  # Keras trains on floor(10 * 0.75)
        ({"validation_split": 0.25, "validation_data": ([1], [1])}, 10),
        ({"validation_split": 0.0}, 10),
        ({}, 10),
    ],
)
def test_prepare_sees_no_row_of_a_validation_split(held_out, rows, tmp_path):
    model, y = Watched(), np.arange(10.0)
    tuner = tuners.RandomSearch(model, None, max_trials=1, directory=tmp_path)
    x = {"numbers": y[:, None], "table": pd.DataFrame({"a": y})}
    tuner.search(x, y=y, **held_out)
    given, targets = model.given
    assert list(targets) == list(range(rows))
    assert list(given["numbers"][:, 0]) == list(given["table"]["a"]) == list(targets)


def test_a_trial_that_loses_three_folds_is_given_up(tmp_path):
    model = Folded(lambda a, y_val: np.mean(y_val) + (a > 1))
    tuner = tuners.RandomSearch(
        model, max_trials=2, folds=5, seed=4, directory=tmp_path
    )
    tuner.enqueue({"a": 1})
    tuner.enqueue({"a": 50})
    y = np.arange(10.0)
    tuner.search(y[:, None], y)
    assert list(tuner.trials_frame()["state"]) == ["COMPLETE", "PRUNED"]
    assert len(model.rows) == 5 + 3


def test_classes_keep_their_shares_in_every_fold(tmp_path):
    shares = []
    model = Folded(lambda a, y_val: shares.append(float(np.mean(y_val))) or 1.0)
    tuner = tuners.RandomSearch(
        model, max_trials=1, folds=4, seed=4, directory=tmp_path
    )
    y = np.repeat([0, 1], [24, 8])
    tuner.search(y[:, None], y)
    assert shares == [0.25] * 4


@pytest.mark.parametrize(
    "arguments",
    [{"validation_data": (1, 2)}, {"validation_split": 0.2}],
)
def test_folds_leave_no_other_validation(arguments, tmp_path):
    tuner = tuners.RandomSearch(
        Folded(lambda a, y_val: 1.0), folds=3, directory=tmp_path, max_trials=1
    )
    y = np.arange(9.0)
    with pytest.raises((ValueError, RuntimeError), match="must be left out"):
        tuner.search(y[:, None], y, **arguments)


def test_a_model_that_is_too_large_fails_and_says_so(line, tmp_path):
    tuner = tuners.RandomSearch(
        build, max_trials=2, seed=0, max_model_size=21, directory=tmp_path
    )
    tuner.enqueue({"units": 5})  # 3 * 5 + 5 + 5 + 1 = 26 numbers
    tuner.enqueue({"units": 4})  # 3 * 4 + 4 + 4 + 1 = 21 numbers
    tuner.search(*line, validation_data=line, verbose=0)
    frame = tuner.trials_frame()
    assert list(frame["state"]) == ["FAIL", "COMPLETE"]
    assert "Oversized model: 26 parameters" in frame["reason"]["0000"]


def test_a_model_that_fit_builds_is_too_large_as_well(line, tmp_path):
    def unbuilt(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 9))])
        model.compile("sgd", "mse")
        return model

    width = np.shape(line[0])[1]
    tuner = tuners.RandomSearch(
        unbuilt,
        max_trials=2,
        seed=0,
        max_model_size=5 * (width + 1),
        directory=tmp_path,
    )
    tuner.enqueue({"units": 6})
    tuner.enqueue({"units": 5})
    tuner.search(*line, validation_data=line, verbose=0)
    frame = tuner.trials_frame()
    assert list(frame["state"]) == ["FAIL", "COMPLETE"]
    assert f"Oversized model: {6 * (width + 1)} par" in frame["reason"]["0000"]


def test_loss_and_metrics_of_the_tuner_replace_the_models(line, tmp_path):
    tuner = tuners.RandomSearch(
        build,
        "val_mape",
        max_trials=1,
        seed=0,
        optimizer="sgd",
        loss="mae",
        metrics=["mape"],
        directory=tmp_path,
    )
    tuner.search(*line, validation_data=line, verbose=0)
    (model,) = tuner.get_best_models()
    assert model.loss == "mae" and model.optimizer.name == "sgd"


def test_an_epoch_that_is_not_finite_is_not_the_best(tmp_path):
    class Diverging(keras_tuner.HyperModel):
        def build(self, hp):
            hp.Int("a", 1, 3)
            return keras.Sequential([keras.layers.Dense(1)])

        def fit(self, hp, model, *args, **kwargs):
            history = keras.callbacks.History()
            history.history = {"val_loss": [np.nan, 5.0, 4.0, -np.inf, np.nan]}
            return history

    tuner = tuners.RandomSearch(Diverging(), max_trials=1, directory=tmp_path)
    tuner.search()
    trial = tuner.oracle.get_best_trials()[0]
    assert (trial.score, trial.best_step) == (4.0, 2)


def test_an_objective_of_validation_needs_rows_to_validate(line, tmp_path):
    tuner = tuners.RandomSearch(build, max_trials=2, directory=tmp_path)
    with pytest.raises(ValueError, match="rows that 'val_loss' is measured on"):
        tuner.search(*line, verbose=0)
    assert len(tuner.trials_frame()) == 0


@pytest.mark.slow
def test_hooks_of_a_subclass_are_called(line, tmp_path):
    class Hooked(tuners.RandomSearch):
        calls: list = []

        def on_epoch_end(self, trial, model, epoch, logs=None):
            self.calls.append((trial.trial_id, epoch, "val_loss" in logs))

        def on_batch_end(self, trial, model, batch, logs=None):
            self.calls.append(batch)

    tuner = Hooked(build, max_trials=1, seed=0, directory=tmp_path)
    tuner.search(*line, validation_data=line, epochs=2, batch_size=12, verbose=0)
    expected = [0, 1, ("0000", 0, True), 0, 1, ("0000", 1, True)]
    assert Hooked.calls == expected


def test_a_search_without_a_search_cannot_be_refitted(line, tmp_path):
    tuner = tuners.RandomSearch(build, directory=tmp_path)
    with pytest.raises(ValueError, match="`refit_best`.*neither"):
        tuner.refit_best()
    with pytest.raises(ValueError, match="completed one"):
        tuner.refit_best(*line)


def curves(cls, *losses, **options):
    tuner = cls(Curves(*losses), "val_loss", seed=1, **options)
    tuner.search(verbose=0)
    return [trial.intermediate_values for trial in tuner.study.trials]


def test_every_epoch_is_a_point_of_the_trial(tmp_path):
    (curve,) = curves(
        tuners.RandomSearch, [0.5, 0.7, 0.4], max_trials=1, directory=tmp_path
    )
    assert curve == {1: 0.5, 2: 0.7, 3: 0.4}


def test_of_several_executions_the_first_is_drawn(tmp_path):
    (curve,) = curves(
        *(tuners.RandomSearch, [0.5, 0.25], [0.75, 0.125]),
        max_trials=1,
        executions_per_trial=2,
        directory=tmp_path,
    )
    assert curve == {1: 0.5, 2: 0.25}


def test_of_folds_the_points_are_the_folds(tmp_path):
    tuner = tuners.RandomSearch(
        Curves(*([value, 9.0] for value in (3.0, 1.0, 2.0))),
        *("val_loss", 1),
        folds=3,
        seed=1,
        directory=tmp_path,
    )
    tuner.search(np.arange(9.0)[:, None], np.arange(9.0), verbose=0)
    assert tuner.study.trials[0].intermediate_values == {0: 3.0, 1: 1.0, 2: 2.0}


def test_a_retry_is_drawn_over_the_attempt_that_failed(tmp_path, recwarn):
    (curve,) = curves(
        *(tuners.RandomSearch, [0.5, OSError("no disk")], [0.75, 0.25]),
        max_trials=1,
        max_retries_per_trial=1,
        directory=tmp_path,
    )
    assert curve == {1: 0.75, 2: 0.25}
    assert not recwarn.list


def test_a_retry_is_given_up_by_its_own_folds(tmp_path, recwarn):
    fold_scores = iter([0.5, 0.5, 0.5, 0.5, None, 2.0, 3.0, 4.0])

    def score(a, y_val):
        if a == 1:
            return 1.0
        value = next(fold_scores)
        if value is None:
            raise OSError("no disk")
        return value

    tuner = tuners.RandomSearch(
        Folded(score),
        max_trials=2,
        folds=5,
        seed=4,
        max_retries_per_trial=1,
        directory=tmp_path,
    )
    tuner.enqueue({"a": 1})
    tuner.enqueue({"a": 50})
    y = np.arange(10.0)
    tuner.search(y[:, None], y)
    trial = tuner.study.trials[1]
    assert trial.state == TrialState.PRUNED and trial.value == 4.0
    values = [trial.intermediate_values[fold] for fold in range(3)]
    assert values == [2.0, 3.0, 4.0]
    assert not [w for w in recwarn if "reported" in str(w.message)]


def test_a_stopped_trial_ends_with_the_value_it_was_judged_by(tmp_path):
    tuner = tuners.Hyperband(
        Curves([0.1] * 4, [0.5, 0.7, 0.6, 0.6]),
        *("val_loss", 4, 2),
        max_trials=2,
        seed=1,
        directory=tmp_path,
    )
    tuner.search(verbose=0)
    whole, stopped = tuner.study.trials
    assert whole.intermediate_values == dict.fromkeys((1, 2, 3, 4), 0.1)
    assert stopped.state == TrialState.PRUNED and stopped.value == 0.5
    assert stopped.intermediate_values == {1: 0.5}


def test_a_curve_that_cannot_be_written_costs_no_training(tmp_path, monkeypatch):
    def broken(self, *args):
        raise optuna.exceptions.StorageInternalError("away")

    monkeypatch.setattr(
        optuna.storages._CachedStorage,
        "set_trial_intermediate_value",
        broken,
        raising=False,
    )
    monkeypatch.setattr(
        optuna.storages.RDBStorage, "set_trial_intermediate_value", broken
    )
    (curve,) = curves(tuners.RandomSearch, [0.5], max_trials=1, directory=tmp_path)
    assert curve == {}
