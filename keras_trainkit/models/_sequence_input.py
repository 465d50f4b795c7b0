"""The start of a model of sequences: token ids or floats, padding masked."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_counts,
    check_flag,
    check_number,
)
from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import MissingIndicator
from keras_trainkit.models._arguments import augmented, check_scaling


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


def check_embedding_matrix(
    matrix: Any, is_trained: Any, vocabulary_size: int | None, embedding_units: int
) -> None:
    check_flag("train_embedding", is_trained, "lets training change the word vectors")
    if matrix is None:
        if not is_trained:
            raise ValueError(
                "`train_embedding` lets training change the word vectors and must be "
                "True without `embedding_matrix`, where they are random. "
                "Received: train_embedding=False."
            )
        return
    purpose = "`embedding_matrix` holds the vectors of the token ids and must"
    if vocabulary_size is None:
        raise ValueError(
            f"{purpose} be None without `vocabulary_size`, for floats. "
            f"Received: embedding_matrix={type(matrix).__name__}."
        )
    wanted = (vocabulary_size, embedding_units)
    allowed = f"numbers of the shape (vocabulary_size, embedding_units), here {wanted}"
    try:
        vectors = as_numpy(matrix)
    except ValueError as error:
        raise ValueError(
            f"{purpose} be {allowed}. Received: lists of unequal lengths."
        ) from error
    is_number = vectors.dtype.kind in "iuf" or vectors.dtype.name == "bfloat16"
    if vectors.shape != wanted or not is_number:
        raise ValueError(
            f"{purpose} be {allowed}. "
            f"Received: {vectors.dtype} of the shape {vectors.shape}."
        )
    rows = np.flatnonzero(~np.isfinite(_vectors(vectors)).all(axis=1))
    if len(rows):
        raise ValueError(
            f"{purpose} be finite. Received: {len(rows)} rows with NaN, an infinity or "
            f"a number beyond {keras.config.floatx()}, such as row {rows[0]}."
        )


def check_convolutions(
    convolutions: Any, pool_size: Any, convolution_mean: Any
) -> None:
    """Refuses what is no convolution, and what needs one where there is none."""
    purpose = "is the number of steps that become one behind the convolutions"
    check_count("pool_size", pool_size, purpose)
    shows = "shows the head the mean of the convolved steps"
    check_flag("convolution_mean", convolution_mean, shows)
    if convolutions is None:
        for name, value, off, what in (
            ("pool_size", pool_size, 1, purpose),
            ("convolution_mean", convolution_mean, False, shows),
        ):
            if value != off:
                raise ValueError(
                    f"`{name}` {what} and must be {off} without `convolutions`. "
                    f"Received: {name}={value}."
                )
        return
    pairs = convolutions if isinstance(convolutions, list | tuple) else []
    if not pairs or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise ValueError(
            "`convolutions` are those before the recurrence and must be None or pairs "
            "(filters, kernel_size), at least one, in a tuple or list. "
            f"Received: convolutions={convolutions!r}."
        )
    for index, (filters, kernel_size) in enumerate(pairs):
        # Keras 3.15 cannot normalize one masked channel on JAX and torch.
        name = f"convolutions[{index}]"
        check_count(f"{name}[0]", filters, "is the number of filters", at_least=2)
        check_count(f"{name}[1]", kernel_size, "is the length of a filter in steps")


def _vectors(matrix: Any) -> np.ndarray:
    """The matrix in Keras' float type, where too large a number is infinite."""
    with np.errstate(over="ignore"):
        return as_numpy(matrix).astype(keras.config.floatx(), copy=False)


def sequence_input(
    input_shape: Sequence[int | None],
    vocabulary_size: int | None,
    embedding_units: int,
    mask_value: float | None,
    truncation: Layer,
    scaling: Layer | None,
    augmentation: Layer | Sequence[Layer] | None = None,
    missing: str | None = None,
    embedding_matrix: Any = None,
    train_embedding: bool = True,
) -> tuple[Tensor, Tensor]:
    """The model's input, and the input of its first layer along time."""
    if vocabulary_size is not None:
        tokens = keras.Input(tuple(input_shape), dtype="int32", name="tokens")
        valid = keras.ops.not_equal(tokens, 0)
        embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_units,
            mask_zero=True,
            # Not an initializer: that would be in the file too, and as text.
            weights=None if embedding_matrix is None else _vectors(embedding_matrix),
            trainable=train_embedding,
            name="embedding",
        )
        x = augmented(truncation(tokens, mask=valid), augmentation)
        return tokens, embedding(x)
    sequences = keras.Input(tuple(input_shape), name="sequences")
    x = sequences
    if mask_value is not None:
        # Half precision has no numbers as large as some mask values.
        x = keras.layers.Masking(mask_value, dtype=x.dtype, name="masking")(x)
    x = truncation(x)
    x = x if scaling is None else scaling(x)
    x = augmented(x, augmentation)
    return sequences, x if missing is None else MissingIndicator(name="missing")(x)
