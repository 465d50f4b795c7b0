"""Searches that commit 099c28f began, small enough to be carried on in a test."""

import keras
import numpy as np

from keras_trainkit import hypermodels, layers, tuners

MLP_SPACE = {"layers": (1, 2), "units": [3, 5], "batch_size": [8, 16]}
BILSTM_SPACE = {
    "embedding_units": [2, 3],
    "layers": (1, 2),
    "units": [2, 3],
    "batch_size": [16, 32],
}


def rows():
    """Four numbers a row, and two classes."""
    rng = np.random.default_rng(5)
    x = rng.normal(2, 3, size=(60, 4)).astype("float32")
    y = (x[:, 0] > x[:, 1]).astype("int32")
    return x, y


def sequences():
    """Token ids, 0 at the end of shorter rows, and a number to predict."""
    rng = np.random.default_rng(6)
    x = rng.integers(1, 9, size=(32, 5)).astype("int32")
    x[::3, 3:] = 0
    return x, x.sum(axis=1, keepdims=True).astype("float32")


def scaled(x, y):
    """Prepares the inputs of each trial, as a user's search does."""
    scaling = layers.StandardScaling()
    scaling.adapt(x)
    return {"scaling": scaling}


def mlp_space(cls=hypermodels.HyperMLP):
    return cls((4,), 2, "classification", space=MLP_SPACE, prepare=scaled)


def bilstm_space(cls=hypermodels.HyperBiLSTMAttention):
    return cls((5,), 1, "regression", vocabulary_size=9, space=BILSTM_SPACE)


SEARCHES = {
    "bayesian": (
        tuners.BayesianOptimization,
        mlp_space,
        rows,
        {"max_trials": 6, "num_initial_points": 2},
    ),
    "hyperband": (
        tuners.Hyperband,
        mlp_space,
        rows,
        {"max_trials": 7, "max_epochs": 4, "factor": 2},
    ),
    "bilstm": (tuners.RandomSearch, bilstm_space, sequences, {"max_trials": 2}),
}


def tuner(name, directory, hypermodel=None):
    """The tuner of a search, as the script says that is started again."""
    cls, space, _, options = SEARCHES[name]
    return cls(
        hypermodel or space(),
        "val_loss",
        seed=11,
        directory=directory,
        project_name=name,
        **options,
    )


def search(name, made):
    """Begins the search, or carries it on."""
    x, y = SEARCHES[name][2]()
    cut = len(x) * 3 // 4
    made.search(
        x[:cut], y[:cut], validation_data=(x[cut:], y[cut:]), epochs=2, verbose=0
    )


def table(made):
    """What each trial tried and got, as plain rows."""
    trials = made.oracle.trials.values()
    return [[t.trial_id, t.status, t.hyperparameters.values, t.score] for t in trials]


def predictions(name, made):
    """Of the best model, for the rows of the search."""
    keras.utils.set_random_seed(0)
    return made.get_best_models()[0].predict(SEARCHES[name][2]()[0], verbose=0)
