"""The losses, metrics and label smoothing of a task, and the objective of trials."""

from collections.abc import Iterable
from typing import Any

import keras
import keras_tuner

from keras_trainkit._checks import check_choice
from keras_trainkit.hypermodels._domains import NumberDomain
from keras_trainkit.models._heads import check_head
from keras_trainkit.models._task import Task
from keras_trainkit.models.loss_for import check_one_hot
from keras_trainkit.models.loss_for import loss_of as loss_of_task
from keras_trainkit.models.metrics_for import metrics_of as metrics_of_task

_TASKS = ("classification", "binary", "regression")


def check_task(task: Any, outputs: Any, one_hot: Any, classes: Any = None) -> None:
    check_choice("task", task, "decides the head and the loss", _TASKS)
    check_head(task, outputs, None, classes)
    check_one_hot(Task(task), one_hot)


def label_smoothing_domain(
    task: str, one_hot: bool, space: dict[str, Any] | None
) -> dict[str, NumberDomain]:
    """Domains by name; none where the loss cannot smooth."""
    if task == "binary" or one_hot:
        purpose = "is the share of a label given to all classes alike"
        bounds = {"at_least": 0, "below": 1}
        return {"label_smoothing": NumberDomain(purpose, 0.0, 0.0, bounds=bounds)}
    if task == "classification" and space and "label_smoothing" in space:
        raise ValueError(
            "`space['label_smoothing']` is the share of a label given to all classes "
            "alike and must be left out with integer labels, for which Keras has no "
            "smoothed loss; give labels of `keras.utils.to_categorical` and "
            f"`one_hot=True`. Received: {space['label_smoothing']!r}."
        )
    return {}


def loss_of(task: str, one_hot: bool, values: dict[str, Any]) -> keras.losses.Loss:
    """A new loss on logits or on values."""
    return loss_of_task(
        Task(task, "linear"), one_hot, values.get("label_smoothing", 0.0)
    )


def metrics_of(
    task: str, one_hot: bool, loss_varies: bool, extra: Iterable
) -> list[keras.metrics.Metric | str]:
    """New metrics of the task, and copies of `extra`.

    Where the loss has terms that vary from trial to trial (smoothing, penalties), the
    loss without them is among the metrics.
    """
    metrics = metrics_of_task(Task(task, "linear"), one_hot)
    if loss_varies and task != "regression":
        # A loss, for the metric of this name wants labels in the shape of the outputs.
        plain = _cross_entropy(task, one_hot)(from_logits=True, reduction=None)
        metrics.append(keras.metrics.MeanMetricWrapper(plain, name="cross_entropy"))
    return metrics + [_copied(metric) for metric in extra]


def objective_of(task: str, loss_varies: bool) -> keras_tuner.Objective:
    """An objective that compares trials fairly."""
    name = "val_loss"
    if loss_varies:
        regression = task == "regression"
        name = "val_root_mean_squared_error" if regression else "val_cross_entropy"
    return keras_tuner.Objective(name, "min")


def check_metrics(metrics: Any) -> None:
    named = isinstance(metrics, list | tuple) and all(
        isinstance(metric, str | keras.metrics.Metric) for metric in metrics
    )
    if not named:
        raise ValueError(
            "`metrics` are shown beside those of the task and must be a list of names "
            f"and `keras.metrics.Metric` objects. Received: metrics={metrics!r}."
        )


def _cross_entropy(task: str, one_hot: bool) -> type[keras.losses.Loss]:
    if task == "binary":
        return keras.losses.BinaryCrossentropy
    if one_hot:
        return keras.losses.CategoricalCrossentropy
    return keras.losses.SparseCategoricalCrossentropy


def _copied(metric: keras.metrics.Metric | str) -> keras.metrics.Metric | str:
    """A copy, since one metric object for two models would mix their sums."""
    if isinstance(metric, str):
        return metric
    return type(metric).from_config(metric.get_config())
