"""Graphs that TensorFlow's registered gradients would keep."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_trainkit import (
    analysis,
    callbacks,
    estimators,
    hypermodels,
    models,
    tuners,
)
from keras_trainkit._tensorflow.custom_gradients import release_graphs

pytestmark = [
    pytest.mark.tensorflow_only,
    # What was frozen is never seen by `gc.get_objects`, nor collected.
    pytest.mark.usefixtures("libraries_in_collections"),
]


def registered():
    from tensorflow.python.framework import ops

    names = ops.gradient_registry.list()
    return {name for name in names if name.startswith("CustomGradient-")}


def graphs():
    from tensorflow.python.framework.func_graph import FuncGraph

    gc.collect()
    return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())


def traced():
    """A function of its own gradient, 5 in place of 2, which uses the graph's `x`."""
    import tensorflow as tf

    @tf.custom_gradient
    def doubled(x):
        return 2 * x, lambda upstream: 5 * upstream + 0 * x

    return tf.function(lambda x: doubled(x)).get_concrete_function(
        tf.TensorSpec((), "float32")
    )


def slope(function):
    import tensorflow as tf

    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    assert y == 6
    return float(tape.gradient(y, x))


def test_tensorflow_still_has_the_private_names_that_are_read():
    from tensorflow.python.framework import ops

    before = registered()
    function = traced()
    (name,) = registered() - before
    wrapper = ops.gradient_registry._registry[name]["type"]
    tape_gradient = closure_of(closure_of(wrapper)["tape_grad_fn"])
    assert closure_of(tape_gradient["grad_fn"])["x"].graph is function.graph
    if "result" in tape_gradient:  # until TensorFlow 2.21
        assert tape_gradient["result"].graph is function.graph


def closure_of(function):
    cells = [cell.cell_contents for cell in function.__closure__]
    return dict(zip(function.__code__.co_freevars, cells, strict=True))


def test_gradient_of_a_graph_in_use_stays():
    before = registered()
    function = traced()
    (name,) = registered() - before
    release_graphs()
    release_graphs()
    gc.collect()
    assert name in registered()
    assert slope(function) == 5  # looked up only now


def test_graph_that_nobody_uses_goes_and_takes_its_gradient_along():
    before = registered()
    graph = weakref.ref(traced().graph)
    gc.collect()
    assert graph() is not None  # TensorFlow keeps it
    release_graphs()
    gc.collect()
    assert graph() is None
    assert registered() <= before


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_a_search_leaves_no_graph_behind(activation, tmp_path):
    hypermodel = hypermodels.HyperMLP(
        (3,), 2, space={"layers": 1, "units": 2, "activation": activation}
    )
    x, y = np.ones((8, 3), "float32"), np.arange(8) % 2
    seen = []

    class Counting(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(graphs())

    tuner = tuners.RandomSearch(hypermodel, max_trials=4, directory=tmp_path, seed=0)
    tuner.search(
        x, y, validation_data=(x, y), epochs=1, verbose=0, callbacks=[Counting()]
    )
    assert len(seen) == 4
    assert seen[3] == seen[2] == seen[1]  # two at most: of the trial before, of this


def network(build=keras.Sequential):
    model = build([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


X, Y = np.ones((64, 3), "float32"), np.arange(64.0)


def fit(model, *callbacks):
    model.fit(X, Y, epochs=1, verbose=0, callbacks=list(callbacks))


def builder():
    model = models.mlp((3,), 1, (2,), task="regression")
    model.compile("adam", "mse")
    fit(model)


def estimator():
    small = {"hidden_units": (2,), "members": 1, "epochs": 1, "random_state": 0}
    estimators.TableRegressor(**small).fit(X + Y[:, None], Y)


def range_test():
    analysis.learning_rate_range_test(network(), X, Y, batch_size=16, num_steps=20)


def cross_validation():
    analysis.cross_validate(network, X, Y, folds=2, fit_arguments={"verbose": 0})


KINDS = {
    "builder": builder,
    "one cycle": lambda: fit(network(), callbacks.OneCycle(0.1, max_momentum=None)),
    "gradient monitor": lambda: fit(network(), callbacks.GradientMonitor()),
    "range test": range_test,
    "cross-validation": cross_validation,
    "estimator": estimator,
}


def growth(train):
    """Graphs that are added by each of the fits behind the second."""
    counts = []
    for _ in range(4):
        train()
        counts.append(graphs())
    return set(np.diff(counts[1:]).tolist())


WAITING = {"estimator": pytest.mark.slow}  # the others: tests/test_memory.py has them


@pytest.mark.parametrize(
    "kind",
    ["builder"]
    + [pytest.param(k, marks=WAITING.get(k, pytest.mark.soak)) for k in [*KINDS][1:]],
)
def test_fits_one_after_the_other_leave_no_graph_behind(kind):
    assert growth(KINDS[kind]) == {0}


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="TensorFlow 2.21 keeps the graph of each fit")
def test_fits_of_keras_alone_leave_no_graph_behind():
    assert growth(lambda: fit(network())) == {0}


@pytest.mark.slow
def test_a_model_that_is_fitted_again_keeps_no_earlier_graph():
    model = network()
    assert growth(lambda: fit(model, callbacks.OneCycle(0.1, max_momentum=None))) == {0}


def test_entries_that_go_while_the_registry_is_read_are_left_out(monkeypatch):
    from tensorflow.python.framework import ops

    class Shrinking(dict):
        def get(self, name, default=None):
            self.pop(name)  # as a collection of garbage does
            return default

    registry = Shrinking({"CustomGradient-1": {"type": len}})
    monkeypatch.setattr(ops.gradient_registry, "_registry", registry)
    release_graphs()
    assert registry == {}


def test_what_is_no_wrapper_of_tensorflow_is_left_alone(monkeypatch):
    from tensorflow.python.framework import ops

    def foreign(*args):
        raise AssertionError

    entry = {"type": foreign}
    registry = {"CustomGradient-foreign": entry, "Sub": {"type": foreign}}
    monkeypatch.setattr(ops.gradient_registry, "_registry", registry)
    release_graphs()
    assert registry["CustomGradient-foreign"]["type"] is foreign
