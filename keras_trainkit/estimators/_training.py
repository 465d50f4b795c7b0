"""The training of a network, or of several in folds.

It takes the numbers that a recipe has chosen, whatever the network is built of.
"""

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._optimizer_access import averages_weights, learning_rate_schedule
from keras_trainkit._types import Model
from keras_trainkit.callbacks import CooldownOnPlateau, EarlyStopping, TrainState
from keras_trainkit.data import SequenceBatches
from keras_trainkit.estimators._outputs import rows_at_once
from keras_trainkit.estimators._padding import padding_of, steps_of
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.models import ensemble, loss_for, metrics_for
from keras_trainkit.optimizers import AdamW


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
        verbose: As in `fit`.
        steps_at_once: Int >= 1. Steps that are one call, at most: 1 where a step takes
            longer than a call. JAX compiles all of them one behind the other.
        watch: Callbacks that neither keep nor change what they find.
    """

    task: str
    classes: list | None = None
    optimizer: Any = None
    loss: Any = None
    metrics: Sequence | None = None
    callbacks: Sequence[keras.callbacks.Callback] = ()
    verbose: Any = 0
    steps_at_once: int = 16
    watch: Sequence[keras.callbacks.Callback] = ()


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model, and how it came about.

    Args:
        model: The model, with the weights of the best epoch.
        histories: For each training, dict of name to a value per epoch.
        outputs: `(validation rows, outputs)`. What the model, or in folds the network
            that has not seen the row, gives for it; in the order of the parts.
        predict_seconds: What these outputs took.
        trials: Number of the trial that each history is of, where there are trials.
        networks: Those of which the model is the mean, one for each fold, or several
            times as many, fold after fold; none where the mean is of others too.
        shares: That of each in the mean; empty where all count alike.
    """

    model: Model
    histories: list[dict[str, list]]
    outputs: np.ndarray
    predict_seconds: float = 0.0
    trials: Sequence[int] = ()
    networks: Sequence[Model] = ()
    shares: Sequence[float] = ()


def train(
    recipe: Mapping[str, Mapping[str, Any]],
    build: Callable[[dict[str, Any]], Model],
    parts: Sequence[Part],
    goal: Goal,
    seed: int,
    folder: pathlib.Path | None = None,
) -> Trained:
    """Trains a network for each part; of several it makes one model.

    The rate is held until the validation loss gets no better, and then cools down. A
    given optimizer that has a schedule, or averages weights, runs for all epochs.

    Args:
        recipe: Dict of name to `choice`.
        build: Function of the values of the recipe: a new model, not compiled.
        parts: Of each the validation rows choose the best epoch.
        seed: Int. Keras' seed for the first part; each part has the next.
        folder: Where the states of the trainings are kept, which go on from them.
    """
    values = {name: choice["value"] for name, choice in recipe.items()}
    trained = list(trained_networks(values, build, parts, goal, seed, folder))
    networks = [network.model for network in trained]
    model = networks[0]
    if len(networks) > 1:
        model = ensemble(networks)
        compile_network(model, values, parts[0].training, goal)
    return Trained(
        model,
        [history for network in trained for history in network.histories],
        np.concatenate([network.outputs for network in trained]),
        networks=networks,
    )


def trained_networks(
    values: dict[str, Any],
    build: Callable[[dict[str, Any]], Model],
    parts: Sequence[Part],
    goal: Goal,
    seed: int,
    folder: pathlib.Path | None = None,
) -> Iterator[Trained]:
    """A trained network for each part, from the state in `folder` on.

    All of them train in the compiled program of the first, with their own variables
    put into it: to compile takes longer than to train on few rows. Each has its own on
    torch, which compiles nothing, and with callbacks of the user's, which may keep or
    change what they find.
    """
    first: Model = None
    own = None
    apart = bool(goal.callbacks) or keras.config.backend() == "torch"
    for number, part in enumerate(parts):
        keras.utils.set_random_seed(seed + number)
        if goal.verbose and len(parts) > 1:
            print(f"Network {number + 1} of {len(parts)}")
        network = build(values)
        if first is None or apart:
            first = network
            metrics = compile_network(network, values, part.training, goal)
        else:
            own = own or _values(first.variables)
            _begin_as(network, first, _optimizer(values, goal.optimizer))
        # Not by the accuracy, which few validation rows know only roughly.
        monitor = f"val_{_name_of(metrics[0])}" if goal.metrics else "val_loss"
        history = first.fit(
            **_training_data(part.training, values, goal, seed + number),
            validation_data=_as_arguments(part.validation, goal),
            validation_batch_size=values["batch_size"],
            epochs=values["epochs"],
            callbacks=[
                ending_of(first, monitor, values),
                *goal.watch,
                *goal.callbacks,
                *([] if folder is None else [TrainState(folder / f"network_{number}")]),
            ],
            verbose=goal.verbose,
        )
        x, began = part.validation.x, time.perf_counter()
        outputs = first.predict(x, batch_size=rows_at_once(x), verbose=0)
        seconds = time.perf_counter() - began
        if network is not first:
            _assign(network.variables, _values(first.variables))
        yield Trained(network, [history.history], outputs, seconds)
    if own is not None:
        _assign(first.variables, own)


def _begin_as(
    network: Model, compiled: Model, fresh: keras.optimizers.Optimizer
) -> None:
    """Gives a compiled model the variables of a new network and a fresh optimizer."""
    _assign(compiled.variables, _values(network.variables))
    scaled = keras.optimizers.LossScaleOptimizer
    if isinstance(compiled.optimizer, scaled) and not isinstance(fresh, scaled):
        fresh = scaled(fresh)  # as `compile` does for mixed_float16
    fresh.build(network.trainable_variables)
    _assign(compiled.optimizer.variables, _values(fresh.variables))


def _training_data(
    rows: Rows, values: Mapping[str, Any], goal: Goal, seed: int
) -> dict[str, Any]:
    """Arguments of `fit`: arrays, or batches of sequences of like length."""
    y, size, groups = targets(rows.y, goal), values["batch_size"], "num_lengths"
    if values.get(groups, 1) == 1:
        return {
            "x": rows.x,
            "y": y,
            "sample_weight": rows.weights,
            "batch_size": size,
        }
    batches = SequenceBatches(
        rows.x,
        y,
        rows.weights,
        lengths=steps_of(rows.x),
        batch_size=size,
        num_lengths=values[groups],
        value=padding_of(rows.x),
        seed=seed,
    )
    return {"x": batches, "shuffle": False}  # in an order of their own


def _as_arguments(rows: Rows, goal: Goal) -> tuple:
    pair = (rows.x, targets(rows.y, goal))
    return pair if rows.weights is None else (*pair, rows.weights)


def compile_network(
    model: Model, values: Mapping[str, Any], training: Rows, goal: Goal
) -> list:
    """Compiles, and returns the metrics."""
    metrics, weighted = _metrics(model, goal), training.weights is not None
    steps = steps_per_execution(len(training.y), values["batch_size"])
    model.compile(
        _optimizer(values, goal.optimizer),
        loss=_loss(model, values, goal) if goal.loss is None else goal.loss,
        metrics=None if weighted else metrics,
        weighted_metrics=metrics if weighted else None,
        steps_per_execution=min(steps, goal.steps_at_once),
    )
    # Built in the compiled step, Keras 3.15's ScheduleFreeAdamW begins at zeros.
    model.optimizer.build(model.trainable_variables)
    return metrics


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def ending_of(
    model: Model, monitor: str, values: Mapping[str, Any]
) -> keras.callbacks.Callback:
    """Callback that ends the training and keeps the weights of the best epoch."""
    optimizer = model.optimizer
    if learning_rate_schedule(optimizer) or averages_weights(optimizer):
        return EarlyStopping(monitor, patience=values["epochs"])
    return CooldownOnPlateau(monitor, min_epoch_steps=values["min_epoch_steps"])


def _unused(metric: Any) -> Any:
    """A metric without what it counted in an earlier training."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def _name_of(metric: Any) -> str:
    if isinstance(metric, str):
        return metric
    return getattr(metric, "name", None) or metric.__name__


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
        clipnorm = values.get("global_clipnorm")
        decay = values["weight_decay"]
        return AdamW(rate, weight_decay=decay, global_clipnorm=clipnorm)
    given = keras.optimizers.get(given)
    config = given.get_config()
    if rate is not None:
        config["learning_rate"] = rate
    return type(given).from_config(config)  # one for this training alone


def finite_history(
    histories: list[dict[str, list]], rate: Any, trials: Sequence[int] = ()
) -> dict[str, list]:
    """Plain values of all epochs, fold after fold, trial after trial.

    In each fold there must be one with a finite validation loss. What is logged from a
    later epoch on alone has NaN before it.
    """
    names = dict.fromkeys(name for history in histories for name in history)
    found: dict[str, list] = {name: [] for name in names}
    for history in histories:
        for name in names:
            values = plain_values(history.get(name, []))
            lacking = len(history["val_loss"]) - len(values)
            found[name] += [math.nan] * lacking * (len(histories) > 1) + values
    lengths = [len(history["val_loss"]) for history in histories]
    starts = np.cumsum([0, *lengths[:-1]])
    finite = np.isfinite(found["val_loss"])
    if not all(np.logical_or.reduceat(finite, starts)):
        raise ValueError(
            "`learning_rate` is the rate that is held and must keep the validation "
            "loss finite (as must `weight_decay`, `optimizer` and `loss`). "
            f"Received: {rate}, and no epoch with a finite loss."
        )
    of_trials = list(trials) or [0] * len(histories)
    folds = [of_trials[:number].count(trial) for number, trial in enumerate(of_trials)]
    if any(folds):
        found["fold"] = np.repeat(folds, lengths).tolist()
    if trials:
        found["trial"] = np.repeat(of_trials, lengths).tolist()
    return found


def plain_values(found: list) -> list:
    """A number for each epoch, or numbers where a metric has one per class."""
    return [np.asarray(ops.convert_to_numpy(value)).tolist() for value in found]
