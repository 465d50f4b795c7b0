from collections.abc import Sequence
from typing import Any

import keras

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit.layers._classes import check_task, checked_classes

_ACTIVATIONS = {
    "classification": (None, "linear", "softmax"),
    "binary": (None, "linear", "sigmoid"),
}


@serializable
class Head(keras.layers.Dense):
    """The last `Dense` layer of a network, which knows what its outputs stand for.

    | `task`           | `units`                 | `classes` names                    |
    | ---------------- | ----------------------- | ---------------------------------- |
    | "classification" | classes, >= 2           | each unit                          |
    | "binary"         | 1                       | no and yes: 2 names                |
    | "binary"         | labels, each yes or no  | each unit                          |
    | "regression"     | values                  | nothing: None                      |

    Computes what `Dense` computes. `task` and `classes` tell `models.TaskModel` which
    losses fit, and `models.predict_proba`, `models.predict_labels` and
    `serving.export` the names of the outputs. Files, clones and other models that the
    layer becomes part of keep them.

    Args:
        units: Int >= 1. Outputs.
        task: "classification", "binary" or "regression".
        classes: Sequence of different strings, integers, bools or finite floats, all of
            one type, in the order of the label codes 0, 1, ...; None for the codes.
        **kwargs: Passed to `keras.layers.Dense` (`activation`, `name`, ...). The
            activation of "classification" is linear (logits) or "softmax", that of
            "binary" linear or "sigmoid".

    Input shape: `(batch, ..., features)`.
    Output shape: `(batch, ..., units)`.

    Example:

    ```python
    inputs = keras.Input((4,), name="features")
    head = Head(3, "classification", ["setosa", "versicolor", "virginica"])
    model = models.TaskModel(inputs, head(inputs))
    ```
    """

    def __init__(
        self, units: int, task: str, classes: Sequence | None = None, **kwargs: Any
    ):
        check_task(task)
        check_count("units", units, "is the number of outputs")
        if task == "classification":
            check_count("units", units, "is the number of classes", at_least=2)
        super().__init__(int(units), **kwargs)  # Keras takes no integer of NumPy
        allowed = _ACTIVATIONS.get(task)
        if allowed and not any(
            self.activation is keras.activations.get(name) for name in allowed
        ):
            raise ValueError(
                "`activation` is applied to the outputs and must, where they stand for "
                f"classes, be one of {allowed}. Received: "
                f"activation={kwargs.get('activation')!r}, task={task!r}."
            )
        self.task = task
        self.classes = checked_classes(classes, task, units)

    def get_config(self) -> dict[str, Any]:
        classes = None if self.classes is None else list(self.classes)
        return {**super().get_config(), "task": self.task, "classes": classes}
