"""Outputs by their meaning: the same names for every model that knows its task."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_trainkit.layers._classes import checked_classes
from keras_trainkit.models._heads import check_head
from keras_trainkit.models._task import Task, task_of
from keras_trainkit.serving._signature import Signature, Tensors, signature_with

ACTIVATIONS = {
    "classification": ("linear", "softmax"),
    "binary": ("linear", "sigmoid"),
}


def served_task(model: keras.Model, task: str | None, classes: Sequence | None) -> Task:
    """The model's own task, completed by the caller's arguments."""
    known = task_of(model)
    if task is None and classes is None:
        return known
    if known.outputs is None:
        raise ValueError(
            "`task` and `classes` say what the outputs stand for, which must be one "
            "tensor (batch, outputs). Received: outputs "
            f"{getattr(model, 'output_shape', None)}."
        )
    name = task or known.name or _guessed(known)
    check_head(name, known.outputs, None)
    if known.name not in (None, name):
        raise ValueError(
            f"`task` says what the outputs stand for and must be {known.name!r}, which "
            f"the model's last layer says, or None. Received: task={task!r}."
        )
    given = checked_classes(classes, name, known.outputs)
    _check_activation(name, known.activation)
    names = known.classes if given is None else tuple(given)
    return Task(name, known.activation, known.outputs, names)


def _guessed(known: Task) -> str:
    yes_no = known.outputs == 1 or known.activation == "sigmoid"
    return "binary" if yes_no else "classification"


def _check_activation(task: str, activation: str | None) -> None:
    allowed = ACTIVATIONS.get(task)
    if allowed is not None and activation not in allowed:
        raise ValueError(
            "`model` gives logits or probabilities, and its last layer must show by "
            f"its activation which: one of {allowed}, such as a "
            f'`keras.layers.Activation("linear")` put last. Received: {activation}.'
        )


def task_signature(
    model: keras.Model,
    task: Task,
    min_probability: float | None = None,
    class_sets: keras.Model | None = None,
) -> Signature:
    """A signature with `predictions`, or `probabilities`, `classes` and `label`.

    Args:
        min_probability: Float, for an output `set` of the classes that are at least so
            probable; None for none.
        class_sets: Model of the same inputs that gives `set` instead; None for none.
    """
    if not task.labelled:
        return signature_with(model, ("predictions",))
    raw = signature_with(model, ("given",))
    sets = None if class_sets is None else signature_with(class_sets, ("set",))
    values = np.array(task.class_values)

    def call(tensors: Tensors) -> Tensors:
        given = raw.call(tensors)["given"]
        probabilities = task.probabilities(given)
        codes = tf.cast(task.codes(given), "int64")
        classes = tf.constant(values)
        found = {
            "probabilities": probabilities,
            "classes": tf.broadcast_to(classes, tf.shape(probabilities)),
            "label": codes if task.multi_label else tf.gather(classes, codes),
        }
        if min_probability is not None:
            found["set"] = probabilities >= min_probability
        if sets is not None:
            found |= sets.call(tensors)
        return found

    names: tuple[str, ...] = ("probabilities", "classes", "label")
    limits: dict[str, float | None] = {"label": 0.5 if task.multi_label else None}
    if min_probability is not None:
        names, limits["set"] = (*names, "set"), min_probability
    sources = raw.sources
    if sets is not None:
        names, sources = (*names, "set"), (*sources, *sets.sources)
    choices = {name: ("probabilities", limit) for name, limit in limits.items()}
    return Signature(raw.inputs, names, call, sources, choices=choices)
