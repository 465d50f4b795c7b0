"""Graphs that TensorFlow's registered gradients would keep."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_trainkit import hypermodels, tuners
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


def test_what_is_no_wrapper_of_tensorflow_is_left_alone(monkeypatch):
    from tensorflow.python.framework import ops

    def foreign(*args):
        raise AssertionError

    entry = {"type": foreign}
    registry = {"CustomGradient-foreign": entry, "Sub": {"type": foreign}}
    monkeypatch.setattr(ops.gradient_registry, "_registry", registry)
    release_graphs()
    assert registry["CustomGradient-foreign"]["type"] is foreign
