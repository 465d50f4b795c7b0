"""A small training that can be stopped anywhere, and what it ends with."""

import keras
import numpy as np

from keras_trainkit.callbacks import EarlyStopping, OneCycle, TrainState

ROWS, BATCH, EPOCHS = 18, 6, 3  # 3 batches an epoch
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


class Killed(BaseException):
    """Nobody catches it, as nobody catches a kill."""


class Kill(keras.callbacks.Callback):
    """Ends the `fit` as an epoch begins, or before a batch of it."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.at == (epoch, None):
            raise Killed

    def on_train_batch_begin(self, batch, logs=None):
        if self.at == (self.epoch, batch):
            raise Killed


def network(units=4, optimizer=None, **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(units, "tanh"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1),
        ]
    )
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.5)
    model.compile(optimizer, "mse", metrics=["mae"], **compile_arguments)
    return model


def usual_callbacks():
    return [OneCycle(0.2, max_momentum=None), EarlyStopping("loss", patience=3)]


def usual_fit(folder, *more, every="epoch", **arguments):
    return fit(TrainState(folder, every), *usual_callbacks(), *more, **arguments)


def fit(*callbacks, data=None, build=network, seed=1, **arguments):
    """Trains a new network from a seed; returns all that a training ends with."""
    keras.utils.set_random_seed(seed)
    model = build()
    if data is None:
        data = (X, Y)
        arguments = {"batch_size": BATCH, **arguments}
    else:
        data = data()
        data = data if isinstance(data, tuple) else (data,)
    arguments = {"epochs": EPOCHS, **arguments}
    history = model.fit(*data, verbose=0, callbacks=list(callbacks), **arguments)
    return outcome(model, history)


def outcome(model, history):
    variables = [*model.variables, *model.optimizer.variables]
    return {
        "epochs": history.epoch,
        "history": history.history,
        "variables": [np.array(keras.ops.convert_to_numpy(v)) for v in variables],
    }


def assert_same(one, other):
    """Bit for bit: `assert_array_equal` holds NaN equal to NaN, and nothing near."""
    assert one["epochs"] == other["epochs"]
    assert one["history"] == other["history"]
    assert len(one["variables"]) == len(other["variables"])
    for a, b in zip(one["variables"], other["variables"], strict=True):
        np.testing.assert_array_equal(a, b)


def stopped_and_resumed(folder, epoch, batch, callbacks=usual_callbacks, **arguments):
    """What a fit ends with that is stopped once, and called again."""
    every = arguments.pop("every", "epoch" if batch is None else 1)
    try:
        fit(TrainState(folder, every), *callbacks(), Kill(epoch, batch), **arguments)
    except Killed:
        return fit(TrainState(folder, every), *callbacks(), **arguments)
    raise AssertionError(f"There is no epoch {epoch} with a batch {batch}.")
