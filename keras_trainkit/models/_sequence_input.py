"""The start of a model of sequences: token ids or floats, padding masked."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_trainkit._checks import check_choice, check_count, check_counts, check_number
from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import MissingIndicator
from keras_trainkit.models._arguments import check_scaling


def check_sequence_input(
    input_shape: Any,
    vocabulary_size: Any,
    embedding_units: Any,
    mask_value: Any,
    scaling: Any,
    missing: Any = None,
) -> None:
    axes = 2 if vocabulary_size is None else 1
    known = list(input_shape) if isinstance(input_shape, (tuple, list)) else []
    if len(known) != axes:
        raise ValueError(
            "`input_shape` is the shape of one sequence and must be (time,) for token "
            "ids, with `vocabulary_size`, or (time, features) for floats, without. "
            f"Received: input_shape={input_shape!r}, "
            f"vocabulary_size={vocabulary_size!r}."
        )
    if known[0] is None:
        known[0] = 1
    check_counts("input_shape", known, "is the shape of one sequence", 1)
    check_scaling(scaling)
    check_choice(
        "missing",
        missing,
        "says what becomes of values that are NaN",
        (None, "indicator"),
    )
    if vocabulary_size is None:
        if mask_value is not None:
            check_number("mask_value", mask_value, "marks the steps that are padding")
        return
    check_count(
        "vocabulary_size",
        vocabulary_size,
        "is the number of token ids, padding's 0 included,",
        at_least=2,
    )
    check_count("embedding_units", embedding_units, "is the number of units per token")
    given = {"mask_value": mask_value, "scaling": scaling, "missing": missing}
    for argument, value in given.items():
        if value is not None:
            raise ValueError(
                f"`{argument}` is for float sequences and must be None with "
                "`vocabulary_size`, where 0 is padding. "
                f"Received: {argument}={value!r}."
            )


def sequence_input(
    input_shape: Sequence[int | None],
    vocabulary_size: int | None,
    embedding_units: int,
    mask_value: float | None,
    truncation: Layer,
    scaling: Layer | None,
    missing: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The model's input, and the input of its first layer along time."""
    if vocabulary_size is not None:
        tokens = keras.Input(tuple(input_shape), dtype="int32", name="tokens")
        valid = keras.ops.not_equal(tokens, 0)
        embedding = keras.layers.Embedding(
            vocabulary_size, embedding_units, mask_zero=True, name="embedding"
        )
        return tokens, embedding(truncation(tokens, mask=valid))
    sequences = keras.Input(tuple(input_shape), name="sequences")
    x = sequences
    if mask_value is not None:
        x = keras.layers.Masking(mask_value, name="masking")(x)
    x = truncation(x)
    x = x if scaling is None else scaling(x)
    return sequences, x if missing is None else MissingIndicator(name="missing")(x)
