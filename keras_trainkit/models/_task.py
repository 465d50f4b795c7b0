"""A model's task, the meaning of its outputs, as its last layer has it."""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_trainkit.layers import Head, MemberDense, MemberMean, TemperatureScaling
from keras_trainkit.layers._classes import LABELLED

_OF_MEMBERS = {"logits": "classification", "binary_logits": "binary"}
_ACTIVATED = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.EinsumDense,
    MemberDense,
)
_FUNCTIONS = {
    keras.activations.linear: "linear",
    keras.activations.log_softmax: "linear",
    keras.activations.sigmoid: "sigmoid",
    keras.activations.softmax: "softmax",
}
_OPERATIONS = {"LogSoftmax": "linear", "Sigmoid": "sigmoid", "Softmax": "softmax"}
_PASSING = (TemperatureScaling, keras.layers.Rescaling, keras.layers.Reshape)


@dataclasses.dataclass(frozen=True)
class Task:
    """The meaning of a model's output, as far as it is known.

    Args:
        name: "classification", "binary", "regression"; None where it is unknown.
        activation: "linear", "sigmoid" or "softmax", applied last; None for
            another or where it cannot be told.
        outputs: Size of the last axis; None without one output of a known size.
        classes: Names of the classes, in the order of their codes; None: the codes.
    """

    name: str | None = None
    activation: str | None = None
    outputs: int | None = None
    classes: tuple | None = None

    @property
    def labelled(self) -> bool:
        return self.name in LABELLED

    @property
    def multi_label(self) -> bool:
        """True if each output is a yes or no of its own."""
        return self.name == "binary" and self.outputs != 1

    @property
    def class_values(self) -> tuple:
        """Names of the last axis of `probabilities`."""
        count = 2 if self.outputs == 1 else self.outputs or 0
        return tuple(range(count)) if self.classes is None else self.classes

    def probabilities(self, outputs: Any) -> Any:
        """Tensor `(..., classes)`; of several yes/no labels, that of each yes."""
        linear = self.activation == "linear"
        if self.name == "classification":
            return ops.softmax(outputs, axis=-1) if linear else outputs
        yes = ops.sigmoid(outputs) if linear else outputs
        if self.multi_label:
            return yes
        no = ops.sigmoid(-outputs) if linear else 1 - outputs
        return ops.concatenate([no, yes], axis=-1)

    def codes(self, outputs: Any) -> Any:
        """Integers `(...)`; of several yes/no labels a 0 or 1 for each, `(..., n)`."""
        if self.name == "classification":
            return ops.argmax(outputs, axis=-1)
        yes = ops.cast(outputs > (0 if self.activation == "linear" else 0.5), "int32")
        return yes if self.multi_label else yes[..., 0]


def task_of(model: keras.Model) -> Task:
    """The task of `model`, as far as it is known; of several outputs nothing."""
    outputs: Any = getattr(model, "outputs", None) or ()
    if len(outputs) != 1 or isinstance(getattr(model, "output", None), dict):
        return Task()
    width = outputs[0].shape[-1] if len(outputs[0].shape) > 1 else None
    *operations, last = _operations(model)
    passed = []
    while operations and isinstance(last, _PASSING):
        passed.append(type(last))
        *operations, last = operations
    found = dataclasses.replace(_made_by(last, operations), outputs=width)
    calibrated = all(layer is TemperatureScaling for layer in passed)
    if not passed or (calibrated and found.activation == "linear"):
        return found
    return Task("regression" if found.name == "regression" else None, None, width)


def _operations(model: keras.Model) -> list:
    return model.layers if isinstance(model, keras.Sequential) else model.operations


def _made_by(last: Any, before: list) -> Task:
    if isinstance(last, keras.Model):
        return task_of(last)
    if isinstance(last, keras.layers.TimeDistributed):
        return _made_by(last.layer, [])
    activation = _activation_of(last, before)
    if isinstance(last, Head | MemberMean):
        name = last.task or _OF_MEMBERS.get(getattr(last, "kind", "values"))
        classes = None if last.classes is None else tuple(last.classes)
        return Task(name, activation, None, classes)
    is_of_values = isinstance(last, keras.layers.Activation) and _are_values(before)
    return Task("regression" if is_of_values else None, activation)


def _are_values(operations: list) -> bool:
    """True if the last of the operations, but for reshaping, are those of values."""
    *before, last = operations or [None]
    if before and isinstance(last, _PASSING):
        return _are_values(before)
    return _made_by(last, before).name == "regression"


def _activation_of(last: Any, before: list) -> str | None:
    if isinstance(last, MemberMean):
        if last.kind != "values":
            return "linear"
        scaled = last.target_scaling is not None or not before
        return None if scaled else _activation_of(before[-1], [])
    if isinstance(last, _ACTIVATED):
        return _FUNCTIONS.get(keras.activations.get(last.activation))
    return _OPERATIONS.get(type(last).__name__)


def known_task(model: keras.Model) -> Task:
    """The task of `model`; an error where its last layer does not say."""
    task = task_of(model)
    if task.name is None:
        raise ValueError(
            "`model` knows what its outputs stand for and must be built with `task=`, "
            "or end in a `layers.Head`. "
            f"Received: model={model!r}, whose last layer does not say."
        )
    return task


def labelled_task(model: keras.Model) -> Task:
    """The task of a model that tells classes apart; an error for another."""
    task = known_task(model)
    if not task.labelled:
        raise ValueError(
            '`model` tells classes apart and must be of the task "classification" or '
            f'"binary"; for values there is `model.predict`. '
            f"Received: model={model!r} of the task {task.name!r}."
        )
    return task
