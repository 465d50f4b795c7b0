"""The network of the recipe for tables, around what an encoder gives."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_trainkit._types import Model
from keras_trainkit.estimators._parts import Rows
from keras_trainkit.estimators._training import Goal, targets
from keras_trainkit.layers import (
    PiecewiseLinearEmbedding,
    StandardScaling,
    TableEncoder,
)
from keras_trainkit.models import kernel_machine, mlp

ADDITIVE_BINS = 16  # of each number
LEAST_BINS = 4
MOST_FEATURES = 800  # bins and categories of the additive part


def table_network(
    encoder: TableEncoder, goal: Goal, seen: Rows, values: Mapping[str, Any]
) -> Model:
    """The uncompiled model; embedding and target scaling learn from `seen`."""
    numbers = seen.x["numeric"]
    embedding = None
    if values["numeric_embedding"] and numbers.shape[1]:
        embedding = PiecewiseLinearEmbedding()
        embedding.adapt(numbers)
    return mlp(
        encoder.numeric_shape,
        targets(seen.y[:1], goal).shape[1],
        values["hidden_units"],
        dropout=values["dropout"],
        numeric_embedding=embedding,
        category_sizes=encoder.category_sizes,
        members=values["members"],
        target_scaling=_target_scaling(goal, seen),
        task=goal.task,
        classes=goal.classes,
    )


def table_machine(
    encoder: TableEncoder, goal: Goal, seen: Rows, seed: int, centers: int
) -> Model:
    """The uncompiled kernel machine, likewise."""
    return kernel_machine(
        encoder.numeric_shape,
        targets(seen.y[:1], goal).shape[1],
        centers,
        seed=seed,
        additive_bins=_additive_bins(encoder),
        category_sizes=encoder.category_sizes,
        target_scaling=_target_scaling(goal, seen),
        task=goal.task,
        classes=goal.classes,
    )


def _additive_bins(encoder: TableEncoder) -> int:
    """Bins of each number; 0, no additive part, where it would be too large."""
    left = MOST_FEATURES - sum(encoder.category_sizes)
    bins = min(ADDITIVE_BINS, left // max(encoder.numeric_shape[0], 1))
    return bins if bins >= LEAST_BINS else 0


def _target_scaling(goal: Goal, seen: Rows) -> StandardScaling | None:
    if goal.task != "regression":
        return None
    scaling = StandardScaling(dtype="float32")
    scaling.adapt(seen.y)
    return scaling


def fit_together(model: Any, encoder: Any) -> bool:
    """True for a model that takes what the encoder gives."""
    if not isinstance(model, keras.Model) or not isinstance(encoder, TableEncoder):
        return False
    inputs = model.input if isinstance(model.input, dict) else {}
    shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
    wanted = {
        "numeric": (None, *encoder.numeric_shape),
        "categorical": (None, len(encoder.category_sizes)),
    }
    return encoder.built and shapes == wanted
