"""A table's columns, one input each, encoded in front of a model."""

import numpy as np
import tensorflow as tf

from keras_trainkit.layers import TableEncoder
from keras_trainkit.serving._signature import Signature, Tensors
from keras_trainkit.serving.served_columns import input_names, served_columns

NAMES = ("numeric", "categorical")
UNSEEN = "\ufffd" * 3  # a text that no column has as a level, most likely


def of_table(encoder: TableEncoder, signature: Signature) -> Signature:
    """The signature of the encoder: an input per column, the model's inputs out."""
    names = input_names(encoder)
    keys = _encoder_keys(encoder, signature)
    edge_cases = (
        _edge_case(encoder, "", np.nan),
        _edge_case(encoder, UNSEEN, np.inf),
    )
    specs = {
        name: tf.TensorSpec((None,), _dtype(array), name)
        for name, array in edge_cases[0].items()
    }

    def call(tensors: Tensors) -> Tensors:
        made = encoder({column: tensors[name] for column, name in names.items()})
        return {name: made[key] for name, key in keys.items()}

    return Signature(specs, tuple(keys), call, (encoder,), edge_cases)


def _encoder_keys(encoder: TableEncoder, signature: Signature) -> dict[str, str]:
    """Input of the model to the key of the encoder's outputs that feeds it."""
    wanted = list(signature.inputs)
    there = (encoder.numeric_names, encoder.categorical_names)
    given = [name for name, columns in zip(NAMES, there, strict=True) if columns]
    if set(given) <= set(wanted) <= set(NAMES):
        return {name: name for name in wanted}
    if len(wanted) == len(given) == 1 and wanted[0] not in NAMES:
        return {wanted[0]: given[0]}
    raise ValueError(
        f"`preprocessing` makes the inputs of `model`. This encoder gives {given}, so "
        "the model's inputs must have these names; a single input may have any name "
        f"where the encoder gives one. Received: a model with the inputs {wanted}."
    )


def _edge_case(
    encoder: TableEncoder, text: str, number: float
) -> dict[str, np.ndarray]:
    """A request of one row without a usable value."""
    nothing: dict[str, list] = {name: [None] for name in encoder.column_names}
    row = served_columns(encoder, nothing)
    for name, array in row.items():
        if array.dtype == object:
            row[name] = np.array([text.encode()], object)
        elif array.dtype.kind == "f":
            row[name] = np.array([number])
    return row


def _dtype(array: np.ndarray) -> tf.DType:
    return tf.string if array.dtype == object else tf.as_dtype(array.dtype)
