import keras

from keras_trainkit._checks import check_flag, check_number
from keras_trainkit.models._task import Task, known_task


def loss_for(
    model: keras.Model, *, one_hot: bool = False, label_smoothing: float = 0.0
) -> keras.losses.Loss:
    """A new loss that fits what the last layer of `model` gives.

    | task             | loss                                                    |
    | ---------------- | ------------------------------------------------------- |
    | "classification" | `SparseCategoricalCrossentropy`; `CategoricalCrossentropy`|
    |                  | with `one_hot`                                          |
    | "binary"         | `BinaryCrossentropy`                                    |
    | "regression"     | `MeanSquaredError`                                      |

    `from_logits` is True where the head is linear.

    Args:
        model: `keras.Model` that knows its task, such as a builder of `models` with
            `task=` gives, loaded from a file or not.
        one_hot: Bool. Labels of a classification are rows of
            `keras.utils.to_categorical`, not integers.
        label_smoothing: Float in [0, 1). Share of a label given to all classes alike;
            not with integer labels, for which Keras has no smoothed loss.

    Raises:
        ValueError: `model` does not know its task, or an argument is out of range.

    Example:

    ```python
    model = models.mlp((30,), 1, task="binary")
    model.compile("adam", models.loss_for(model), metrics=models.metrics_for(model))
    ```
    """
    return loss_of(known_task(model), one_hot, label_smoothing)


def loss_of(task: Task, one_hot: bool, label_smoothing: float) -> keras.losses.Loss:
    """A new loss that fits outputs of this task."""
    check_one_hot(task, one_hot)
    purpose = "is the share of a label given to all classes alike"
    check_number("label_smoothing", label_smoothing, purpose, at_least=0, below=1)
    arguments: dict = {"from_logits": task.activation == "linear"}
    if label_smoothing:
        if task.name != "binary" and not one_hot:
            raise ValueError(
                f"`label_smoothing` {purpose} and must be 0 unless the task is "
                '"binary" or labels are one-hot. Received: '
                f"label_smoothing={label_smoothing!r}, task={task.name!r}."
            )
        arguments["label_smoothing"] = label_smoothing
    if task.name == "regression":
        return keras.losses.MeanSquaredError()
    if task.name == "binary":
        return keras.losses.BinaryCrossentropy(**arguments)
    if one_hot:
        return keras.losses.CategoricalCrossentropy(**arguments)
    return keras.losses.SparseCategoricalCrossentropy(**arguments)


def check_one_hot(task: Task, one_hot: bool) -> None:
    """Refuses one-hot labels where there are no classes to choose from."""
    check_flag("one_hot", one_hot, "tells that labels come as rows of 0 and one 1")
    if one_hot and task.name != "classification":
        raise ValueError(
            "`one_hot` tells that labels come as rows of 0 and one 1, which must be "
            "those of a classification. "
            f"Received: one_hot=True, task={task.name!r}."
        )
