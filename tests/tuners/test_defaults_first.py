"""The defaults of the kit's hypermodels go first, so that no search ends below them."""

import keras_tuner
import pytest
from searching import METHODS, every_method, table

from keras_trainkit import hypermodels, tuners

SPACE = {"layers": 1, "activation": ["relu", "tanh"], "batch_size": [32, 64]}
DEFAULTS = {"units_0": 256, "activation": "relu", "learning_rate": 0.01, "dropout": 0.2}


class Scored(hypermodels.HyperMLP):
    """Returns a score without training."""

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        epochs = kwargs.get("epochs", 1)
        for epoch in range(epochs):
            for callback in callbacks:
                callback.set_model(model)
                # The defaults are the worst of all until their last epoch.
                is_default = hp.values.items() >= DEFAULTS.items()
                last = epoch == epochs - 1
                loss = (0.0 if last else 9.0) if is_default else 1.0
                callback.on_epoch_end(epoch, {"val_loss": loss})
        return loss


@pytest.mark.slow
@every_method
def test_defaults_go_first_and_are_never_stopped(method, tmp_path):
    cls, options = METHODS[method]
    hypermodel = Scored((3,), 2, space=SPACE)
    options = {"directory": tmp_path, "seed": 3, **options, "max_trials": 4}
    tuner = cls(hypermodel, "val_loss", **options)
    chosen = {"activation": "tanh", "batch_size": 64}
    tuner.enqueue(chosen)
    tuner.search(epochs=3, verbose=0)
    rows = table(tuner)
    assert rows[0][2].items() >= chosen.items()
    assert rows[1][2].items() >= DEFAULTS.items()
    assert rows[1][1] == "COMPLETED" and rows[1][3] == 0.0
    assert tuner.get_best_hyperparameters()[0].values == rows[1][2]
    assert not any(row[2] == rows[1][2] for row in rows[2:])


def test_a_study_that_was_begun_without_them_goes_on(tmp_path, monkeypatch):
    options = {"directory": tmp_path, "seed": 3}
    monkeypatch.setattr(Scored, "begins_with_defaults", False)
    tuners.RandomSearch(Scored((3,), 2, space=SPACE), "val_loss", 2, **options).search(
        verbose=0
    )
    monkeypatch.setattr(Scored, "begins_with_defaults", True)
    space = {**SPACE, "dropout": (0.2, 0.5)}
    tuner = tuners.RandomSearch(Scored((3,), 2, space=space), "val_loss", 4, **options)
    tuner.search(verbose=0)
    assert len(table(tuner)) == 4
    assert not any(row[2].items() >= DEFAULTS.items() for row in table(tuner))


def test_another_default_is_no_other_space(tmp_path):
    def build(hp):
        return hp.Float("a", 0, 1, default=default) and 1.0

    class Plain(tuners.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return build(trial.hyperparameters)

    for default, count in ((0.25, 2), (0.75, 3)):
        given = keras_tuner.HyperParameters()
        given.Float("a", 0, 1, default=default)
        tuner = Plain(max_trials=count, hyperparameters=given, directory=tmp_path)
        tuner.search(verbose=0)
    assert len(table(tuner)) == 3
