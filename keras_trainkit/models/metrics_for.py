import keras

from keras_trainkit.models._task import Task, known_task
from keras_trainkit.models.loss_for import check_one_hot


def metrics_for(
    model: keras.Model, *, one_hot: bool = False
) -> list[keras.metrics.Metric]:
    """New metrics that fit what the last layer of `model` gives.

    | task             | metric                                                  |
    | ---------------- | ------------------------------------------------------- |
    | "classification" | "accuracy" of the class with the highest output         |
    | "binary"         | "accuracy" of the side of one half that the probability |
    |                  | is on (a logit's side of 0)                             |
    | "regression"     | "root_mean_squared_error"                               |

    Args:
        model: `keras.Model` that knows its task, as in `models.loss_for`.
        one_hot: Bool. Labels of a classification are rows of
            `keras.utils.to_categorical`, not integers.

    Raises:
        ValueError: `model` does not know its task, or `one_hot` does not suit it.
    """
    return metrics_of(known_task(model), one_hot)


def metrics_of(task: Task, one_hot: bool) -> list[keras.metrics.Metric]:
    """New metrics that fit outputs of this task."""
    check_one_hot(task, one_hot)
    if task.name == "regression":
        return [keras.metrics.RootMeanSquaredError()]
    if task.name == "binary":
        threshold = 0.0 if task.activation == "linear" else 0.5
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)]
    if one_hot:
        return [keras.metrics.CategoricalAccuracy(name="accuracy")]
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
