"""Memory that fits, searches and exports leave in a process, one after the other.

Run as a program:

    python tests/memory_of_fits.py KIND [COUNT]
    python tests/memory_of_fits.py all [COUNT]
    python tests/memory_of_fits.py all --seconds 7200

`KIND` is one of `KINDS`, done `COUNT` times; `keras clear_session` and the like call
that function after each. It prints the megabytes that the process grows by with each:
the slope of a line through the last two thirds, after collections of garbage.

`all` does all kinds but Keras' own in turns, `COUNT` of them or for so many seconds.
It prints megabytes after each turn, and at last what one turn adds.
"""

import argparse
import gc
import os
import tempfile
import time

import keras
import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
Y = X[:, :1] * X[:, 1:2]
LEAST_TURNS = 9  # of `--seconds`; the first third fills pools and is left out
FIT = {"epochs": 2, "batch_size": 16, "verbose": 0}


def plain():
    hidden = [keras.layers.Dense(16, "relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def fit_of_keras():
    plain().fit(X, Y, **FIT)


def fit_of_the_kit():
    from keras_trainkit import callbacks, models, optimizers

    model = models.mlp((6,), 1, (16, 16), task="regression")
    model.compile(optimizers.AdamW(), models.loss_for(model))
    model.fit(X, Y, callbacks=[callbacks.OneCycle(0.01)], **FIT)


def monitored_fit():
    from keras_trainkit import callbacks

    plain().fit(X, Y, callbacks=[callbacks.GradientMonitor(every=2)], **FIT)


def range_test(trained=[]):  # noqa: B006 (the same model each time)
    from keras_trainkit import analysis

    trained or trained.append(plain())
    analysis.learning_rate_range_test(trained[0], X, Y)


def estimator():
    from keras_trainkit import estimators

    small = {"hidden_units": (16,), "members": 2, "epochs": 2, "folds": 2}
    estimators.TableRegressor(**small).fit(X, Y[:, 0])


def sequences():
    from keras_trainkit import callbacks, models, optimizers

    model = models.bilstm_attention((6, 1), 1, (8,), task="regression")
    model.compile(optimizers.AdamW(), models.loss_for(model))
    model.fit(X[:, :, None], Y, callbacks=[callbacks.OneCycle(0.01)], **FIT)


def search():
    from keras_trainkit import hypermodels, tuners

    space = {"layers": (1, 2), "units": [8, 16], "learning_rate": (1e-3, 1e-1)}
    hypermodel = hypermodels.HyperMLP((6,), 1, task="regression", space=space)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tuners.RandomSearch(
            hypermodel, "val_loss", max_trials=3, directory=folder
        )
        tuner.search(X, Y, epochs=2, validation_data=(X, Y), verbose=0)


def export():
    from keras_trainkit import models, serving

    model = models.mlp((6,), 1, (16,), task="regression")
    model.compile("adam", "mse")
    model.fit(X, Y, **FIT)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded = keras.saving.load_model(f"{folder}/model.keras")
        serving.export(loaded, f"{folder}/served", X[:4])


KINDS = {
    "keras": fit_of_keras,
    "kit": fit_of_the_kit,
    "monitor": monitored_fit,
    "range": range_test,
    "sequences": sequences,
    "estimator": estimator,
    "search": search,
    "export": export,
}


def megabytes():
    """Resident memory of this process (Linux)."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope(seen):
    """Of a line through the last two thirds."""
    late = seen[len(seen) // 3 :]
    return np.polyfit(range(len(late)), late, 1)[0]


def growth(kind, count, after=""):
    """Megabytes that each adds."""
    seen = []
    for _ in range(count):
        KINDS[kind]()
        if after:
            getattr(keras.backend, after)()
        seen.append(megabytes())
    return slope(seen)


def growth_of_all(least, seconds=0):
    """Megabytes that a turn of all kinds adds; prints those in use after each turn.

    Takes the least number of turns, and more until so many seconds are over.
    """
    end, turns = time.monotonic() + seconds, []
    while time.monotonic() < end or len(turns) < least:
        for kind, function in KINDS.items():
            if kind != "keras":
                function()
        turns.append(megabytes())
        print(len(turns), turns[-1], flush=True)
    return slope(turns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind")
    parser.add_argument("count", type=int, nargs="?", default=60)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    kind, _, after = options.kind.partition(" ")
    if kind == "all" and options.seconds:
        print(growth_of_all(LEAST_TURNS, options.seconds))
    elif kind == "all":
        print(growth_of_all(options.count))
    else:
        print(growth(kind, options.count, after))
