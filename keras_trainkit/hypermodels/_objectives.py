"""What a task is trained on and shown with: losses, metrics, label smoothing."""

import keras
import keras_tuner

from keras_trainkit._checks import check_choice
from keras_trainkit.hypermodels._kinds import Number
from keras_trainkit.models._heads import check_head
from keras_trainkit.models._task import Task
from keras_trainkit.models.loss_for import check_one_hot
from keras_trainkit.models.loss_for import loss_of as loss_of_task
from keras_trainkit.models.metrics_for import metrics_of as metrics_of_task

_TASKS = ("classification", "binary", "regression")


def check_task(task, outputs, one_hot, classes=None):
    check_choice("task", task, "decides the head and the loss", _TASKS)
    check_head(task, outputs, None, classes)
    check_one_hot(Task(task), one_hot)


def label_smoothing_kind(task, one_hot, space):
    """Kinds by name: none where the loss cannot smooth."""
    if task == "binary" or one_hot:
        purpose = "is the share of a label given to all classes alike"
        bounds = {"at_least": 0, "below": 1}
        return {"label_smoothing": Number(purpose, 0.0, 0.0, bounds=bounds)}
    if task == "classification" and "label_smoothing" in (space or {}):
        raise ValueError(
            "`space['label_smoothing']` is the share of a label given to all classes "
            "alike and must be left out with integer labels, for which Keras has no "
            "smoothed loss; give labels of `keras.utils.to_categorical` and "
            f"`one_hot=True`. Received: {space['label_smoothing']!r}."
        )
    return {}


def loss_of(task, one_hot, values):
    """A new loss on logits or on values."""
    return loss_of_task(
        Task(task, "linear"), one_hot, values.get("label_smoothing", 0.0)
    )


def metrics_of(task, one_hot, pure, extra):
    """New metrics, the loss without smoothing and penalties among them if `pure`."""
    metrics = metrics_of_task(Task(task, "linear"), one_hot)
    if pure and task != "regression":
        # A loss, for the metric of this name wants labels in the shape of the outputs.
        plain = _cross_entropy(task, one_hot)(from_logits=True, reduction=None)
        metrics.append(keras.metrics.MeanMetricWrapper(plain, name="cross_entropy"))
    return metrics + [_own(metric) for metric in extra]


def objective_of(task, pure):
    """What trials may be compared by."""
    name = "val_loss"
    if pure:
        regression = task == "regression"
        name = "val_root_mean_squared_error" if regression else "val_cross_entropy"
    return keras_tuner.Objective(name, "min")


def check_metrics(metrics):
    named = isinstance(metrics, list | tuple) and all(
        isinstance(metric, str | keras.metrics.Metric) for metric in metrics
    )
    if not named:
        raise ValueError(
            "`metrics` are shown beside those of the task and must be a list of names "
            f"and `keras.metrics.Metric` objects. Received: metrics={metrics!r}."
        )


def _cross_entropy(task, one_hot):
    if task == "binary":
        return keras.losses.BinaryCrossentropy
    if one_hot:
        return keras.losses.CategoricalCrossentropy
    return keras.losses.SparseCategoricalCrossentropy


def _own(metric):
    """A metric is state: one object for two models would mix their sums."""
    if isinstance(metric, str):
        return metric
    return type(metric).from_config(metric.get_config())
