"""The last layers of every builder, as the task demands them, and its model."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_trainkit._checks import check_choice, check_count, check_counts
from keras_trainkit._types import Layer, Tensor
from keras_trainkit.initializers import for_activation
from keras_trainkit.layers import Head, MemberDense, MemberMean
from keras_trainkit.layers._classes import LABELLED, TASKS, checked_classes
from keras_trainkit.layers.member_mean import check_target_scaling
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.task_model import TaskModel

MEMBER_KINDS = {"classification": "logits", "binary": "binary_logits"}  # else "values"


def check_head(
    task: Any, outputs: Any, output_activation: Any, classes: Any = None
) -> None:
    """Refuses heads that the stock losses would train wrongly and in silence."""
    check_choice("task", task, "decides what the head gives", (None, *TASKS))
    if task == "classification":
        check_count("outputs", outputs, "is the number of classes", at_least=2)
    check_count("outputs", outputs, "is the number of units of the head")
    checked_classes(classes, task, outputs)
    if output_activation is None:
        return
    if task in LABELLED:
        raise ValueError(
            "`output_activation` is applied to the head and must be None where the "
            f"task's head gives logits; for probabilities leave `task` None. "
            f"Received: task={task!r}, output_activation={output_activation!r}."
        )
    if not is_activation(output_activation):
        raise ValueError(
            "`output_activation` is applied to the head and must be the name of a "
            "Keras activation, a function or None. "
            f"Received: output_activation={output_activation!r}."
        )


def check_members(members: Any, target_scaling: Any, task: str | None) -> None:
    check_count("members", members, "is the number of members of the ensemble")
    check_target_scaling(target_scaling)
    if target_scaling is not None and task in LABELLED:
        raise ValueError(
            "`target_scaling` brings the targets to unit size and must be None where "
            f"they are labels. Received: task={task!r}."
        )


def prediction_shape(outputs: Any, task: str | None) -> tuple[int, ...]:
    """Shape of the prediction for one sample; of several axes for values alone."""
    if not isinstance(outputs, tuple | list):
        return (outputs,)
    if task in LABELLED:
        raise ValueError(
            "`outputs` is the number of classes or labels and must be a whole number; "
            "a shape is for the task 'regression' or None. "
            f"Received: outputs={outputs!r}, task={task!r}."
        )
    check_counts("outputs", outputs, "is the shape of one prediction", 1)
    return tuple(map(int, outputs))


def is_activation(value: Any) -> bool:
    """True for a name that Keras knows, a function or a layer."""
    if not isinstance(value, str):
        return callable(value) and not isinstance(value, type)
    try:
        keras.activations.get(value)
    except ValueError:
        return False
    return True


def headed_model(
    inputs: Any,
    x: Tensor,
    shape: tuple[int, ...],
    *,
    output_activation: str | Callable | None,
    task: str | None,
    members: int,
    target_scaling: Layer | None,
    classes: Sequence | None,
    name: str,
    regularizer: keras.regularizers.Regularizer | None = None,
    baseline: Tensor | None = None,
) -> keras.Model:
    """The model that ends in a head over `x`, its last layer named "outputs".

    Args:
        inputs: Input of the model, or a dict of them.
        x: `(batch, width)`; with several members `(batch, members, width)`.
        shape: Shape of one prediction.
        output_activation: As in `mlp`, and so are the next ones.
        task: Likewise.
        members: Likewise.
        target_scaling: Likewise.
        classes: Likewise.
        name: Likewise.
        regularizer: Of the head's kernel.
        baseline: `(batch, 1, ...)`, added to what each member gives, or None.
    """
    if members == 1 and target_scaling is None and baseline is None:
        outputs = _shaped_head(x, shape, output_activation, regularizer, task, classes)
        return TaskModel(inputs, outputs, name=name)
    outputs = _member_head(
        x,
        shape,
        output_activation,
        regularizer,
        task,
        members,
        target_scaling,
        classes,
        baseline,
    )
    return MemberModel(inputs, outputs, name=name)


def _shaped_head(
    x: Tensor,
    shape: tuple[int, ...],
    output_activation: str | Callable | None,
    regularizer: keras.regularizers.Regularizer | None,
    task: str | None,
    classes: Sequence | None,
) -> Tensor:
    """The layer "outputs" over `x`, behind the head where it has to be reshaped."""
    if len(shape) == 1:
        return _head(shape[0], output_activation, regularizer, task, classes)(x)
    units = math.prod(shape)
    values = _head(units, None, regularizer, task, classes, name="answers")(x)
    if output_activation is None:
        return keras.layers.Reshape(shape, name="outputs")(values)
    x = keras.layers.Reshape(shape, name="answer_shape")(values)
    dtype = values.dtype
    return keras.layers.Activation(output_activation, dtype=dtype, name="outputs")(x)


def _head(
    outputs: int,
    output_activation: str | Callable | None,
    regularizer: keras.regularizers.Regularizer | None,
    task: str | None,
    classes: Sequence | None,
    name: str = "outputs",
) -> Layer:
    """The layer "outputs": Glorot, and float32 under mixed precision."""
    arguments: dict[str, Any] = {
        "activation": output_activation,
        "kernel_initializer": for_activation(None),
        "kernel_regularizer": regularizer,
        "dtype": _head_dtype(),
        "name": name,
    }
    if task is None:
        return keras.layers.Dense(int(outputs), **arguments)
    return Head(int(outputs), task, classes, **arguments)


def _member_head(
    x: Tensor,
    shape: tuple[int, ...],
    output_activation: str | Callable | None,
    regularizer: keras.regularizers.Regularizer | None,
    task: str | None,
    members: int,
    target_scaling: Layer | None,
    classes: Sequence | None,
    baseline: Tensor | None = None,
) -> Tensor:
    """Outputs per member, then their mean: the layers "members" and "outputs"."""
    if members == 1:
        x = keras.layers.Reshape((1, x.shape[-1]), name="member")(x)
    shaped = len(shape) > 1
    x = MemberDense(
        math.prod(shape),
        activation=None if shaped else output_activation,
        kernel_regularizer=regularizer,
        dtype=_head_dtype(),
        name="members",
    )(x)
    if shaped:
        each = (members, *shape)
        x = keras.layers.Reshape(each, dtype=_head_dtype(), name="member_answers")(x)
        if output_activation is not None:  # over the last axis, as without members
            x = keras.layers.Activation(
                output_activation, dtype=_head_dtype(), name="member_activation"
            )(x)
    if baseline is not None:
        x = keras.layers.Add(dtype=_head_dtype(), name="corrected")([x, baseline])
    kind = MEMBER_KINDS.get(str(task), "values")
    mean = MemberMean(
        kind, target_scaling, task, classes, dtype=_head_dtype(), name="outputs"
    )
    return mean(x)


def _head_dtype() -> str:
    return keras.config.dtype_policy().variable_dtype
