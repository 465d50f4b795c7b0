"""Preprocessing of raw inputs, joined in front of the model."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_trainkit.layers import TableEncoder
from keras_trainkit.serving._inference_only import layers_of
from keras_trainkit.serving._names import check_names, has_given_name
from keras_trainkit.serving._signature import (
    Signature,
    Tensors,
    check_has_graph,
    signature_with,
    traced,
)
from keras_trainkit.serving._table import of_table
from keras_trainkit.serving.served_columns import served_columns

PURPOSE = "makes the inputs of `model` from raw ones"
EDGE_CASES = (b"", b"\xff\xfe\x80")  # without a token, and no UTF-8
LOOKUPS = (
    keras.layers.TextVectorization,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
)


def joined(preprocessing: Any, signature: Signature) -> Signature:
    """The signature of `signature`'s model with `preprocessing` in front of it."""
    if isinstance(preprocessing, keras.layers.TextVectorization):
        front = _of_text(preprocessing, signature)
    elif isinstance(preprocessing, TableEncoder):
        front = of_table(preprocessing, signature)
    else:
        front = _of_model(preprocessing, signature)
    _check_adapted(front)
    _check_fits(front, signature)

    def call(tensors: Tensors) -> Tensors:
        made = front.call(tensors)
        return signature.call({name: _at_least_one_step(made[name]) for name in made})

    sources = (*front.sources, *signature.sources)
    return dataclasses.replace(
        signature,
        inputs=front.inputs,
        call=call,
        sources=sources,
        edge_cases=front.edge_cases,
    )


def raw_examples(preprocessing: Any, examples: Any) -> Any:
    """Examples by the inputs of `joined`; a table's columns are made plain."""
    if isinstance(preprocessing, TableEncoder):
        return served_columns(preprocessing, examples)
    return examples


def _of_text(layer: keras.layers.TextVectorization, signature: Signature) -> Signature:
    if len(signature.inputs) > 1:
        raise ValueError(
            f"`preprocessing` {PURPOSE} and must be a `keras.Model` with an output per "
            f"input where there are several, {list(signature.inputs)}. "
            f"Received: preprocessing={layer!r}."
        )
    (made,) = signature.inputs
    name = layer.name if has_given_name(layer) else made
    check_names("input", [name])

    def call(tensors: Tensors) -> Tensors:
        # With a row more, for a few settings of the layer fail on none.
        texts = tf.concat([tensors[name], [""]], axis=0)
        ids = layer(texts[:, tf.newaxis])
        return {made: ids if isinstance(ids, tf.SparseTensor) else ids[:-1]}

    edge_cases = tuple({name: np.array([text], dtype=object)} for text in EDGE_CASES)
    spec = tf.TensorSpec((None,), tf.string, name)
    return Signature({name: spec}, (made,), call, (layer,), edge_cases)


def _of_model(model: Any, signature: Signature) -> Signature:
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`preprocessing` {PURPOSE} and must be a "
            "`keras.layers.TextVectorization`, a `layers.TableEncoder` or a "
            "`keras.Model`; wrap another layer as `x = keras.Input(..., name=...)`, "
            "`keras.Model(x, layer(x))`. "
            f"Received: preprocessing={model!r}."
        )
    check_has_graph("preprocessing", PURPOSE, model)
    wanted = tuple(signature.inputs)
    structure = getattr(model, "output", None)
    if isinstance(structure, dict):
        made = tuple(structure)
    else:
        made = wanted if len(wanted) == len(model.outputs) == 1 else ()
    if set(made) != set(wanted):
        raise ValueError(
            f"`preprocessing` {PURPOSE} and must give one output per input: a dict "
            f"with the keys {list(wanted)}, or a single tensor for a single input. "
            f"Received: outputs {structure}."
        )
    return signature_with(model, made)


def _check_adapted(front: Signature) -> None:
    for layer in layers_of(front.sources):
        if not isinstance(layer, LOOKUPS):
            continue
        if not layer.get_vocabulary(include_special_tokens=False):
            raise ValueError(
                f"`preprocessing` {PURPOSE} and must have learned its vocabulary, by "
                "`adapt` or `vocabulary=...`. "
                f"Received: an empty vocabulary in {layer.name!r}."
            )


def _check_fits(front: Signature, signature: Signature) -> None:
    """Checks the types in the graph, since Keras' symbolic types can be wrong."""
    made = traced(front).structured_outputs
    for name, spec in signature.inputs.items():
        tensor = made[name]
        if not isinstance(tensor, tf.Tensor):
            _refuse(name, spec, f"a {type(tensor).__name__}")
        if not (_casts(tensor.dtype, spec.dtype) and _holds(spec.shape, tensor.shape)):
            _refuse(name, spec, f"{tensor.dtype.name} {tuple(tensor.shape)}")


def _casts(made: tf.DType, wanted: tf.DType) -> bool:
    """True if Keras casts such inputs of a model without loss."""
    if made.is_integer:
        return wanted.is_floating or (wanted.is_integer and wanted.size >= 4)
    return made == wanted or (made.is_floating and wanted.is_floating)


def _holds(wanted: tf.TensorShape, made: tf.TensorShape) -> bool:
    """True if every tensor of the shape `made` has the shape `wanted`."""
    if made.rank != wanted.rank:
        return False
    pairs = zip(wanted, made, strict=True)
    return all(size is None or size == given for size, given in pairs)


def _refuse(name: str, spec: tf.TensorSpec, received: str) -> None:
    raise ValueError(
        f"`preprocessing` {PURPOSE} and must, for {name!r}, give a dense tensor of "
        f"the shape {tuple(spec.shape)}, where None is any size, that becomes "
        f"{spec.dtype.name} without loss; a fixed number of tokens is a "
        f"TextVectorization's `output_sequence_length`. Received: {received}."
    )


def _at_least_one_step(ids: tf.Tensor) -> tf.Tensor:
    """Makes texts without any token one step of padding: layers need a step."""
    if not (ids.dtype.is_integer and ids.shape.rank == 2 and ids.shape[1] is None):
        return ids
    missing = tf.cast(tf.equal(tf.shape(ids)[1], 0), "int32")
    return tf.pad(ids, [[0, 0], [0, missing]])
