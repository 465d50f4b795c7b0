"""The serving signature: named inputs and outputs that clients rely on."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_trainkit.serving._names import (
    alike,
    check_names,
    check_not_counted,
    served_name,
)

HALF = ("float16", "bfloat16")

Tensors = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Signature:
    """Named tensors in, named tensors out, before they are written.

    Args:
        inputs: Dict of input name to `tf.TensorSpec`; the first axis is None.
        outputs: Tuple of the output names.
        call: Function from a dict of input tensors to a dict of output tensors.
        sources: Tuple of the built Keras objects that hold the weights and tables.
        edge_cases: Requests besides the examples that must have a finite response.
        choices: Dict from an output that follows from probabilities to their output
            and the probability that decides; None for the most probable class.
    """

    inputs: dict[str, tf.TensorSpec]
    outputs: tuple[str, ...]
    call: Callable[[Tensors], Tensors]
    sources: tuple[keras.layers.Layer, ...]
    edge_cases: tuple[dict[str, np.ndarray], ...] = ()
    choices: dict[str, tuple[str, float | None]] = dataclasses.field(
        default_factory=dict
    )


def signature_of(model: keras.Model) -> Signature:
    """The model as named tensors, in inference mode, halves as float32."""
    outputs = _output_names(model)
    check_names("output", outputs)
    return signature_with(model, outputs)


def signature_with(model: keras.Model, outputs: tuple[str, ...]) -> Signature:
    """The model as named tensors with these output names; of a dict, its keys."""
    inputs = _named_inputs(model)
    for name, tensor in inputs.items():
        _check_input(name, tensor)

    def call(tensors: Tensors) -> Tensors:
        given = {n: tf.cast(tensors[n], inputs[n].dtype) for n in inputs}
        result = model(_like(_structure(model), given), training=False)
        flat = result if isinstance(result, dict) else tf.nest.flatten(result)
        values = [flat[n] for n in outputs] if isinstance(flat, dict) else flat
        return {n: _plain(v) for n, v in zip(outputs, values, strict=True)}

    specs = {
        name: tf.TensorSpec((None, *t.shape[1:]), _plain_dtype(t.dtype), name)
        for name, t in inputs.items()
    }
    return Signature(specs, outputs, call, (model,))


def by_served_names(
    signature: Signature, request: dict[str, np.ndarray]
) -> tuple[Signature, dict[str, np.ndarray]]:
    """Signature and request by the names of clients: `input_class` for `class`."""
    served = {name: served_name(name, "input") for name in signature.inputs}
    shared = alike(served.values())
    if shared:
        raise ValueError(
            "Clients send inputs by name. Capitals are ignored and a word of Python "
            "gets `input_` in front; names must differ after that. To rename one: "
            "`x = keras.Input(..., name=...)`, `keras.Model(x, model(x))`. "
            f"Received: inputs {list(signature.inputs)}."
        )

    def call(tensors: Tensors) -> Tensors:
        return signature.call({name: tensors[new] for name, new in served.items()})

    inputs = {
        served[name]: tf.TensorSpec(spec.shape, spec.dtype, served[name])
        for name, spec in signature.inputs.items()
    }
    edge_cases = tuple(
        {served[n]: array for n, array in row.items()} for row in signature.edge_cases
    )
    renamed = dataclasses.replace(
        signature, inputs=inputs, call=call, edge_cases=edge_cases
    )
    return renamed, {served[name]: array for name, array in request.items()}


def traced(signature: Signature) -> Any:
    """The call as a TensorFlow function of one graph."""
    function = tf.function(signature.call, [signature.inputs], autograph=False)
    return function.get_concrete_function()  # a tf.function warns after a few exports


def check_has_graph(argument: str, purpose: str, model: Any) -> None:
    """Refuses all but a model whose inputs and outputs are known."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`{argument}` {purpose} and must be a `keras.Model`. "
            f"Received: {argument}={model!r}."
        )
    if not (model.built and getattr(model, "inputs", None) and model.outputs):
        raise ValueError(
            f"`{argument}` {purpose} and must be a built functional or "
            "sequential model, since a subclass does not say what its inputs are; "
            "wrap one as `x = keras.Input(..., name=...)`, "
            f"`keras.Model(x, model(x))`. Received: {argument}={model!r}."
        )


def _structure(model: keras.Model) -> Any:
    """The inputs as the model takes them: a tensor, a list or a dict."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _named_inputs(model: keras.Model) -> dict[str, Any]:
    structure = _structure(model)
    if isinstance(structure, dict):
        named = list(structure.items())
    else:
        flat = structure if isinstance(structure, list | tuple) else [structure]
        named = [(getattr(tensor, "name", ""), tensor) for tensor in flat]
    if any(isinstance(tensor, list | tuple | dict) for _, tensor in named):
        raise ValueError(
            "The inputs of a served model have one name each and must be a tensor, "
            f"a list or a dict of tensors. Received: model.input={structure}."
        )
    check_names("input", [name for name, _ in named])
    return dict(named)


def _like(structure: Any, given: Tensors) -> Any:
    """The tensors in the structure of the model's inputs."""
    if isinstance(structure, dict):
        return given
    if isinstance(structure, list | tuple):
        return list(given.values())
    return next(iter(given.values()))


def _check_input(name: str, tensor: Any) -> None:
    if tensor.sparse or tensor.ragged or tensor.shape[0] is not None:
        raise ValueError(
            f"The input {name!r} is sent as a dense array of any number of rows and "
            "must be neither sparse nor ragged, and its first axis unknown. "
            f"Received: {tensor}."
        )


def _output_names(model: keras.Model) -> tuple[str, ...]:
    if isinstance(model, keras.Sequential):
        check_not_counted(model, [model.layers[-1].name])
        return (model.layers[-1].name,)
    structure = getattr(model, "output", None)
    if not isinstance(structure, dict):
        check_not_counted(model, model.output_names)
        return tuple(model.output_names)
    if any(isinstance(value, list | tuple | dict) for value in structure.values()):
        raise ValueError(
            "The outputs of a served model have one name each and must be a tensor, "
            f"a list or a dict of tensors. Received: model.output={structure}."
        )
    return tuple(structure)


def _plain_dtype(dtype: str) -> str:
    return "float32" if dtype in HALF else dtype


def _plain(value: Any) -> tf.Tensor:
    value = tf.convert_to_tensor(value)
    return tf.cast(value, _plain_dtype(value.dtype.name))
