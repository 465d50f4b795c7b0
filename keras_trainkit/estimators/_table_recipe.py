"""The recipe for tables: what it takes for given data, and how it trains.

`chosen` says which numbers, `train` does what they say. The one recipe serves every
table; where its numbers come from is in docs/figures/tables.md.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._optimizer_access import averages_weights, learning_rate_schedule
from keras_trainkit._types import Model
from keras_trainkit.callbacks import CooldownOnPlateau, EarlyStopping
from keras_trainkit.layers import (
    PiecewiseLinearEmbedding,
    StandardScaling,
    TableEncoder,
)
from keras_trainkit.models import loss_for, metrics_for, mlp
from keras_trainkit.optimizers import AdamW

PRESETS = ("default", "fast")
ROWS_SEEN = 540_000  # rows times epochs, at most
MANY_ROWS = 30_000


@dataclasses.dataclass(frozen=True)
class Part:
    """Rows of a table, with what is to be predicted.

    Args:
        columns: Dict of name to column.
        y: Codes of the classes, ints `(rows,)`, or numbers `(rows, outputs)`.
        weights: `(rows,)`, or None where all count alike.
    """

    columns: dict[str, Any]
    y: np.ndarray
    weights: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Goal:
    """The task of a training and its parts, beside the numbers of the recipe.

    Args:
        task: "classification", "binary" or "regression".
        classes: List of the names of the codes, or None for numbers.
        optimizer: Optimizer of Keras, its name, or None for the recipe's.
        loss: As in `compile`, or None for the recipe's.
        metrics: As in `compile`, or None for the recipe's; the best epoch is chosen
            by the first of them.
        callbacks: Further callbacks.
        verbose: As in `fit`; the encoder's summary is printed unless it is 0.
    """

    task: str
    classes: list | None = None
    optimizer: Any = None
    loss: Any = None
    metrics: Sequence | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    verbose: Any = 0


def chosen(
    rows: int, columns: int, task: str, preset: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each number of the recipe as `{"value": ..., "reason": ...}`.

    Args:
        rows: Int. Training rows.
        columns: Int. Columns of the table.
        task: As in `Goal`.
        preset: One of `PRESETS`.
        given: What the user gave, by name; None leaves it to the recipe. Beside those
            of the result "optimizer" and "loss", which have numbers of their own.
    """
    every = "the recipe's for every table"
    found: dict[str, tuple[Any, str]] = {
        "members": (16, every),
        "hidden_units": ((256, 256, 256), every),
        "dropout": (
            0.0 if rows > MANY_ROWS else 0.1,
            f"{rows:,} training rows, of which more than {MANY_ROWS:,} need none",
        ),
        "numeric_embedding": (True, every),
        "epochs": (
            min(135, max(30, ROWS_SEEN // rows)),
            f"the most: {rows:,} training rows are seen {ROWS_SEEN:,} times in all, "
            "from 30 to 135 epochs; ended where validation gets no better",
        ),
        "batch_size": (
            min(256, max(64, rows // 40)),
            f"a fortieth of {rows:,} training rows, from 64 to 256",
        ),
        "learning_rate": (0.003, every),
        "weight_decay": (0.02, every),
    }
    if task != "regression":
        found["label_smoothing"] = (0.0, every)
    if preset == "fast":
        found["members"] = (1, 'of the preset "fast"')
    if given.get("optimizer") is not None:
        own = (None, "the given optimizer has its own")
        found |= {"learning_rate": own, "weight_decay": own}
    if given.get("loss") is not None and task != "regression":
        found["label_smoothing"] = (None, "the given loss has its own")
    for name in found:
        if given.get(name) is not None:
            found[name] = (given[name], "given")
    return {name: {"value": v, "reason": why} for name, (v, why) in found.items()}


def train(
    recipe: Mapping[str, Mapping[str, Any]],
    encoder: TableEncoder,
    training: Part,
    validation: Part,
    goal: Goal,
) -> tuple[TableEncoder, Model, keras.callbacks.History]:
    """Encoder, model and history; the weights are those of the best epoch.

    The rate is held until the validation loss gets no better, and then cools down. A
    given optimizer that has a schedule, or averages weights, runs for all epochs.

    Args:
        recipe: What `chosen` gave.
        encoder: Not adapted yet.
        validation: Rows by which the best epoch is chosen.
    """
    values = {name: choice["value"] for name, choice in recipe.items()}
    encoder.adapt(training.columns)
    if goal.verbose:
        print(encoder.summary())
    x, y = encoder(training.columns), targets(training.y, goal)
    model = model_for(values, encoder, x["numeric"], training.y, goal)
    metrics = _metrics(model, goal)
    weighted = training.weights is not None
    model.compile(
        _optimizer(values, goal.optimizer),
        loss=goal.loss or _loss(model, values, goal),
        metrics=None if weighted else metrics,
        weighted_metrics=metrics if weighted else None,
        steps_per_execution=steps_per_execution(len(y), values["batch_size"]),
    )
    held_out = (encoder(validation.columns), targets(validation.y, goal))
    # Not by the accuracy, which few validation rows know only roughly.
    monitor = f"val_{_name_of(metrics[0])}" if goal.metrics else "val_loss"
    history = model.fit(
        x,
        y,
        sample_weight=training.weights,
        validation_data=(*held_out, validation.weights) if weighted else held_out,
        epochs=values["epochs"],
        batch_size=values["batch_size"],
        callbacks=[ending_of(model, monitor, values["epochs"]), *goal.callbacks],
        verbose=goal.verbose,
    )
    return encoder, model, history


def ending_of(model: Model, monitor: str, epochs: int) -> keras.callbacks.Callback:
    """Callback that ends the training and keeps the weights of the best epoch."""
    optimizer = model.optimizer
    if learning_rate_schedule(optimizer) or averages_weights(optimizer):
        return EarlyStopping(monitor, patience=epochs)
    return CooldownOnPlateau(monitor)


def _unused(metric: Any) -> Any:
    """A metric without what it counted in an earlier training."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def _name_of(metric: Any) -> str:
    if isinstance(metric, str):
        return metric
    return getattr(metric, "name", None) or metric.__name__


def model_for(
    values: Mapping[str, Any],
    encoder: TableEncoder,
    numbers: np.ndarray,
    y: np.ndarray,
    goal: Goal,
) -> Model:
    """The uncompiled model; embedding and target scaling learn from these rows."""
    embedding = scaling = None
    if values["numeric_embedding"] and numbers.shape[1]:
        embedding = PiecewiseLinearEmbedding()
        embedding.adapt(numbers)
    if goal.task == "regression":
        scaling = StandardScaling()
        scaling.adapt(y)
    return mlp(
        encoder.numeric_shape,
        targets(y[:1], goal).shape[1],
        values["hidden_units"],
        dropout=values["dropout"],
        numeric_embedding=embedding,
        category_sizes=encoder.category_sizes,
        members=values["members"],
        target_scaling=scaling,
        task=goal.task,
        classes=goal.classes,
    )


def targets(y: np.ndarray, goal: Goal) -> np.ndarray:
    """`(rows, outputs)`: one-hot for several classes, 0 and 1 for two, or numbers."""
    if goal.task == "classification":
        return keras.utils.to_categorical(y, len(goal.classes or ()))
    return np.asarray(y, "float32").reshape(len(y), -1)


def steps_per_execution(rows: int, batch_size: int) -> int:
    """Steps that are one call; Keras' torch trainer knows no other number than 1."""
    if keras.config.backend() == "torch":
        return 1
    return min(16, math.ceil(rows / batch_size))


def _loss(model: Model, values: Mapping[str, Any], goal: Goal) -> Any:
    if goal.task == "regression":
        return "mse"
    one_hot, smoothing = goal.task == "classification", values["label_smoothing"]
    return loss_for(model, one_hot=one_hot, label_smoothing=smoothing)


def _metrics(model: Model, goal: Goal) -> list:
    if goal.metrics is not None:
        return [_unused(metric) for metric in goal.metrics]
    if goal.task == "regression":
        return [keras.metrics.RootMeanSquaredError(name="rmse")]
    return metrics_for(model, one_hot=goal.task == "classification")


def _optimizer(values: Mapping[str, Any], given: Any) -> keras.optimizers.Optimizer:
    rate = values["learning_rate"]
    if given is None:
        return AdamW(rate, weight_decay=values["weight_decay"])
    given = keras.optimizers.get(given)
    config = given.get_config()
    if rate is not None:
        config["learning_rate"] = rate
    return type(given).from_config(config)  # one for this training alone
