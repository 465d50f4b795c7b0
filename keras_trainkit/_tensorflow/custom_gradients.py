"""Gradients that TensorFlow registers and never drops, and with them whole graphs."""

import contextlib
import weakref
from typing import Any

import keras


def release_graphs() -> None:
    """Lets the graphs of models that are gone be collected.

    Where a function with a gradient of its own (`tf.custom_gradient`) is traced,
    TensorFlow enters the gradient into a registry, for good, and the gradient refers to
    the graph. Keras' optimizers, `silu` and the recurrent loops are such functions, so
    every trained model would leave its graph behind: some MB, and longer collections
    of garbage with every trial. From here on the graph keeps the gradient, and the
    registry knows where to find it for as long as there is a graph.
    """
    if keras.backend.backend() != "tensorflow":
        return
    # No public name; without it, graphs stay as they do in TensorFlow.
    from tensorflow.python.framework import ops

    registry = getattr(ops.gradient_registry, "_registry", {})
    for name in list(registry):
        # Collections of garbage, and other threads, take entries out meanwhile.
        gradient = registry.get(name, {}).get("type")
        if not name.startswith("CustomGradient-") or gradient is None:
            continue
        graph = _graph_of(gradient)
        if graph is not None:
            registry[name]["type"] = _KeptByGraph(gradient, graph, registry, name)


class _KeptByGraph:
    """Stands for a gradient in the registry; the graph keeps the gradient alive."""

    def __init__(self, gradient: Any, graph: Any, registry: dict, name: str):
        graph.kept_gradients = [*getattr(graph, "kept_gradients", ()), gradient]
        self._gradient = weakref.ref(gradient, lambda _: registry.pop(name, None))

    def __call__(self, *args: Any) -> Any:
        gradient = self._gradient()
        if gradient is None:
            raise LookupError("The graph of this gradient is gone.")
        return gradient(*args)


def _graph_of(gradient: Any) -> Any:
    """The graph that TensorFlow's wrapper of a gradient refers to, None if unknown.

    The wrapper holds the results of the function. From TensorFlow 2.22 on it does not,
    and refers to the graph only through tensors that the gradient itself uses.
    """
    wrapper = _closure(_closure(gradient).get("tape_grad_fn"))
    captured = list(_closure(wrapper.get("grad_fn")).values())
    tensors = keras.tree.flatten(wrapper.get("result", captured))
    graphs = {getattr(t, "graph", None) for t in tensors if keras.ops.is_tensor(t)}
    graphs.discard(None)  # of values that are in no graph
    return graphs.pop() if len(graphs) == 1 else None


def _closure(function: Any) -> dict[str, Any]:
    """The values that a function takes from around it, by name."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    values = {}
    for name, cell in zip(names, cells, strict=True):
        with contextlib.suppress(ValueError):  # a name without a value yet
            values[name] = cell.cell_contents
    return values
