"""The `fit` that is running is looked at without holding on to what it lets go of."""

import weakref

import keras
import numpy as np

from keras_trainkit._train_state.running_fit import calling_list, running_fit

X = np.zeros((8, 2), "float32")
SOURCE = """
def fit(callbacks, x):
    iterator = Iterator()
    alive = weakref.ref(iterator)
    found = running_fit(callbacks)
    iterator = None
    return found, alive()
"""


class Iterator:
    """Stands for that of an epoch."""


class Looks(keras.callbacks.Callback):
    """Looks for its `fit` in each epoch, as `TrainState` does."""

    def on_train_begin(self, logs=None):
        self.list = calling_list(self)
        self.found = []

    def on_epoch_begin(self, epoch, logs=None):
        self.found.append(running_fit(self.list))


def test_it_is_found_in_each_epoch_and_gone_at_the_end():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    looks = Looks()
    model.fit(X, X[:, :1], epochs=3, steps_per_epoch=2, verbose=0, callbacks=[looks])
    assert len(looks.found) == 3
    for found in looks.found:
        assert found.callbacks is looks.list
        assert found.data is X
        assert found.steps_per_epoch == 2
    assert running_fit(looks.list) is None


def test_what_a_fit_of_keras_lets_go_of_is_gone():
    scope = {"__name__": "keras.trainer", "weakref": weakref, "Iterator": Iterator}
    scope["running_fit"] = running_fit
    exec(SOURCE, scope)
    callbacks = keras.callbacks.CallbackList()
    found, alive = scope["fit"](callbacks, X)
    assert found.callbacks is callbacks
    assert found.data is X
    assert alive is None


def test_what_locals_has_returned_stays_as_it_is():
    def fit(callbacks, x):
        kept = locals()
        assert running_fit(callbacks).data is X
        return kept

    kept = fit(keras.callbacks.CallbackList(), X)
    assert kept["x"] is X


def test_names_of_a_module_stay_as_they_are():
    """Its frame has no others: a kit of one's own may be called `keras.something`."""
    scope = {"__name__": "keras.own", "calling_list": calling_list}
    exec("found = calling_list(None)", scope)
    assert scope["found"] is None
    assert scope["__name__"] == "keras.own"
