"""The last layer of every builder: what a task asks of it."""

import math

import keras

from keras_trainkit._checks import check_choice, check_count, check_counts
from keras_trainkit.initializers import for_activation
from keras_trainkit.layers import Head
from keras_trainkit.layers._classes import LABELLED, TASKS, checked_classes


def check_head(task, outputs, output_activation, classes=None):
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


def answer_shape(outputs, task):
    """Shape of one answer; of several axes for values alone."""
    if not isinstance(outputs, tuple | list):
        return (outputs,)
    if task in LABELLED:
        raise ValueError(
            "`outputs` is the number of classes or labels and must be a whole number; "
            "a shape is for the task 'regression' or None. "
            f"Received: outputs={outputs!r}, task={task!r}."
        )
    check_counts("outputs", outputs, "is the shape of one answer", 1)
    return tuple(map(int, outputs))


def is_activation(value):
    """Whether `value` is a name that Keras knows, or a function or layer."""
    if not isinstance(value, str):
        return callable(value) and not isinstance(value, type)
    try:
        keras.activations.get(value)
    except ValueError:
        return False
    return True


def head(
    outputs,
    output_activation,
    regularizer,
    task=None,
    classes=None,
    name="outputs",
):
    """The layer "outputs": Glorot, and float32 under mixed precision."""
    arguments = {
        "activation": output_activation,
        "kernel_initializer": for_activation(None),
        "kernel_regularizer": regularizer,
        "dtype": keras.config.dtype_policy().variable_dtype,
        "name": name,
    }
    if task is None:
        return keras.layers.Dense(int(outputs), **arguments)
    return Head(int(outputs), task, classes, **arguments)


def shaped_head(x, shape, output_activation, task, classes):
    """The layer "outputs" over `x`; of a shape it only puts the values in order."""
    if len(shape) == 1:
        return head(shape[0], output_activation, None, task, classes)(x)
    values = head(math.prod(shape), None, None, task, classes, name="answers")(x)
    if output_activation is None:
        return keras.layers.Reshape(shape, name="outputs")(values)
    x = keras.layers.Reshape(shape, name="answer_shape")(values)
    dtype = values.dtype
    return keras.layers.Activation(output_activation, dtype=dtype, name="outputs")(x)
