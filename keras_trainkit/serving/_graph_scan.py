"""Operations in the file of a SavedModel that a server cannot run."""

import fnmatch
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from tensorflow.core.protobuf import saved_model_pb2

REFUSED = {
    "Cudnn*": (
        "runs on an NVIDIA GPU only; build the layer with `use_cudnn=False`, or of "
        "plain operations where it has no such argument"
    ),
    "*PyFunc*": (
        "calls a Python function of this process; write it in `keras.ops`, or move "
        "it before the model"
    ),
    "*Xla*": (
        "needs kernels of XLA, which a server may lack; take it out of what inference "
        "computes (`keras.ops.slice_update` draws XlaDynamicUpdateSlice)"
    ),
    "*TPU*": "runs on a TPU only; build and export the model on a CPU or GPU",
    "Nccl*": "talks to other GPUs; export the model from outside a strategy",
    "Collective*": "talks to other machines; export the model from outside a strategy",
    "ReadFile": "reads a path of this machine; keep the contents as a weight",
    "WriteFile": "writes to a path of this machine; take it out of the model",
    "MatchingFiles": "reads a path of this machine; keep the contents as a weight",
}
COMPILED = (
    "must be compiled by XLA, which a server may lack; drop `jit_compile=True` from "
    "the function that inference calls"
)


def check_servable(folder: pathlib.Path) -> None:
    """Refuses a graph with an operation that only this machine could run."""
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in saved_model.meta_graphs:
        graph = meta_graph.graph_def
        _check_nodes(graph.node, "the main graph")
        functions = graph.library.function
        for function in functions:  # a node's name tells the layer: nodes first
            _check_nodes(function.node_def, _named(function))
        for function in functions:
            if function.attr["_XlaMustCompile"].b:
                _refuse(f"{_named(function)} {COMPILED}")


def _named(function: Any) -> str:
    return f"the function {function.signature.name!r}"


def _check_nodes(nodes: Iterable, graph: str) -> None:
    for node in nodes:
        for reason in _reasons(node):
            _refuse(f"the operation {node.op} (node {node.name!r} of {graph}) {reason}")


def _reasons(node: Any) -> Iterator[str]:
    for pattern, reason in REFUSED.items():
        if fnmatch.fnmatchcase(node.op, pattern):
            yield reason
    if "_XlaMustCompile" in node.attr and node.attr["_XlaMustCompile"].b:
        yield COMPILED


def _refuse(found: str) -> NoReturn:
    raise ValueError(
        "`model` is served without Python, Keras or this machine's devices and must "
        f"be a graph of plain TensorFlow operations. Received: {found}."
    )
