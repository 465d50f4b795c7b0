"""The objective of every epoch, for Optuna's dashboard and other readers of a study."""

import keras
import keras_tuner
import numpy as np
import optuna
from optuna.trial import TrialState

from keras_trainkit import tuners


class Loop(keras_tuner.HyperModel):
    """Has the losses of `curves`, one list for each training, without training."""

    def __init__(self, *curves):
        super().__init__()
        self.curves = list(curves)

    def build(self, hp):
        hp.Float("a", 0, 1)
        return keras.Sequential()

    def fit(self, hp, model, *args, callbacks, **kwargs):
        losses = self.curves.pop(0)
        for callback in callbacks:
            callback.set_model(model)
        for epoch, loss in enumerate(losses):
            if loss is None:
                raise OSError("no disk")
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"val_loss": loss})
            if getattr(model, "stop_training", False):
                break
        history = keras.callbacks.History()
        history.history = {"val_loss": losses[: epoch + 1]}
        return history


def curves(cls, *losses, **options):
    tuner = cls(Loop(*losses), "val_loss", seed=1, **options)
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
        Loop(*([value, 9.0] for value in (3.0, 1.0, 2.0))),
        *("val_loss", 1),
        folds=3,
        seed=1,
        directory=tmp_path,
    )
    tuner.search(np.arange(9.0)[:, None], np.arange(9.0), verbose=0)
    assert tuner.study.trials[0].intermediate_values == {0: 3.0, 1: 1.0, 2: 2.0}


def test_a_retry_is_drawn_over_the_attempt_that_failed(tmp_path, recwarn):
    (curve,) = curves(
        *(tuners.RandomSearch, [0.5, None], [0.75, 0.25]),
        max_trials=1,
        max_retries_per_trial=1,
        directory=tmp_path,
    )
    assert curve == {1: 0.75, 2: 0.25}
    assert not recwarn.list


def test_a_stopped_trial_ends_with_the_value_it_was_judged_by(tmp_path):
    tuner = tuners.Hyperband(
        Loop([0.1] * 4, [0.5, 0.7, 0.6, 0.6]),
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
