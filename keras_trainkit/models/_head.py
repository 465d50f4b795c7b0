"""The last layer of every builder: what a task asks of it."""

import keras

from keras_trainkit._checks import check_choice, check_count
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


def is_activation(value):
    """Whether `value` is a name that Keras knows, or a function or layer."""
    if not isinstance(value, str):
        return callable(value) and not isinstance(value, type)
    try:
        keras.activations.get(value)
    except ValueError:
        return False
    return True


def head(outputs, output_activation, regularizer, task=None, classes=None):
    """The layer "outputs": Glorot, and float32 under mixed precision."""
    arguments = {
        "activation": output_activation,
        "kernel_initializer": for_activation(None),
        "kernel_regularizer": regularizer,
        "dtype": keras.config.dtype_policy().variable_dtype,
        "name": "outputs",
    }
    if task is None:
        return keras.layers.Dense(int(outputs), **arguments)
    return Head(int(outputs), task, classes, **arguments)
