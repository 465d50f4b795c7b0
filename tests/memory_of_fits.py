"""Memory that fits of small models, one after the other, leave in a process.

Run as a program, `python memory_of_fits.py KIND [COUNT]`: it prints the megabytes that
the process grows by with each fit, after the first third of them, measured after a
collection of garbage. `KIND` is one of `KINDS`; `keras clear_session` and the like
call that function after each fit.
"""

import gc
import os
import sys

import keras
import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
Y = X[:, :1] * X[:, 1:2]
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


KINDS = {
    "keras": fit_of_keras,
    "kit": fit_of_the_kit,
    "monitor": monitored_fit,
    "range": range_test,
    "estimator": estimator,
}


def megabytes():
    """Resident memory of this process (Linux)."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def growth(kind, count, after=""):
    """Megabytes per fit, the slope of a line through the last two thirds."""
    seen = []
    for _ in range(count):
        KINDS[kind]()
        if after:
            getattr(keras.backend, after)()
        seen.append(megabytes())
    late = seen[count // 3 :]
    return np.polyfit(range(len(late)), late, 1)[0]


if __name__ == "__main__":
    kind, _, after = sys.argv[1].partition(" ")
    print(growth(kind, int(sys.argv[2]) if sys.argv[2:] else 60, after))
