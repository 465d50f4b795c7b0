"""The start of an MLP: features, or columns of a table, before the first block."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_trainkit._checks import check_counts
from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import CategoricalEmbedding
from keras_trainkit.models._arguments import augmented


def check_table_input(
    input_shape: Any, numeric_embedding: Any, category_sizes: Any
) -> None:
    purpose = "is the shape of one sample"
    no_numbers = category_sizes is not None and input_shape in ((0,), [0])
    if not no_numbers:
        check_counts("input_shape", input_shape, purpose, 1)
    if category_sizes is not None:
        check_counts("category_sizes", category_sizes, "is the codes per column", 0)
        if no_numbers and not category_sizes:
            raise ValueError(
                "`category_sizes` is the codes per column and must hold one at least "
                "where there are no numbers. Received: category_sizes="
                f"{category_sizes!r} with input_shape={input_shape!r}."
            )
    embeds = numeric_embedding is not None
    if embeds and not isinstance(numeric_embedding, keras.layers.Layer):
        raise ValueError(
            "`numeric_embedding` turns each number into a vector and must be a layer "
            f"or None. Received: numeric_embedding={numeric_embedding!r}."
        )
    if (embeds or category_sizes is not None) and len(input_shape) != 1:
        raise ValueError(
            f"`input_shape` {purpose} and must be `(columns,)` with "
            f"`numeric_embedding` or `category_sizes`. "
            f"Received: input_shape={input_shape!r}."
        )


def table_input(
    input_shape: Sequence[int],
    scaling: Layer | None,
    numeric_embedding: Layer | None,
    category_sizes: Sequence[int] | None,
    augmentation: Layer | Sequence[Layer] | None = None,
) -> tuple[Any, Tensor, list[int] | None]:
    """The inputs, the tensor `(batch, width)` made of them, and its groups.

    A group is the numbers that one column was turned into: the start of `MemberAdapter`
    is equal over them. None where every number is a column.
    """
    if category_sizes is None:
        inputs = keras.Input(tuple(input_shape), name="features")
        x, groups = _numeric(inputs, scaling, numeric_embedding, augmentation)
        return inputs, x, groups
    inputs = {
        "numeric": keras.Input(tuple(input_shape), name="numeric"),
        "categorical": keras.Input(
            (len(category_sizes),), dtype="int32", name="categorical"
        ),
    }
    embedding = CategoricalEmbedding(list(category_sizes), name="categories")
    categorical = embedding(inputs["categorical"])
    numeric, groups = inputs["numeric"], []
    if input_shape[0]:
        numeric, groups = _numeric(numeric, scaling, numeric_embedding, augmentation)
        groups = [1] * input_shape[0] if groups is None else groups
    joined = keras.layers.Concatenate(name="columns")([numeric, categorical])
    return inputs, joined, [*groups, *embedding.widths]


def _numeric(
    features: Tensor,
    scaling: Layer | None,
    numeric_embedding: Layer | None,
    augmentation: Layer | Sequence[Layer] | None,
) -> tuple[Tensor, list[int] | None]:
    x = features if scaling is None else scaling(features)
    x = augmented(x, augmentation)
    groups = None
    if numeric_embedding is not None:
        x = numeric_embedding(x)
        if len(x.shape) != 3 or None in x.shape[1:]:
            raise ValueError(
                "`numeric_embedding` turns each number into a vector and must give "
                "(batch, features, units), both known. "
                f"Received: {numeric_embedding!r} gives the shape {x.shape}."
            )
        groups = [x.shape[2]] * x.shape[1]
    if len(x.shape) > 2:
        x = keras.layers.Flatten(name="flatten")(x)
    return x, groups
