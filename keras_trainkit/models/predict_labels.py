from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit.models._task import labelled_task


def predict_labels(
    model: keras.Model,
    x: Any,
    *,
    batch_size: int | None = None,
    verbose: int | str = "auto",
) -> np.ndarray:
    """The most probable class of each row, as `classes` names it.

    Args:
        model: `keras.Model` that knows its classes, as in `models.predict_proba`.
        x: What `model.predict` takes.
        batch_size: As in `model.predict`.
        verbose: As in `model.predict`.

    Returns:
        Array `(rows,)` of strings, integers, bools or floats, as the classes were
        given; of their codes where none were. For several yes/no labels
        `(rows, labels)`, 1 where the label holds and 0 where not.

    Raises:
        ValueError: The model does not know its classes.
    """
    task = labelled_task(model)
    outputs = model.predict(x, batch_size=batch_size, verbose=verbose)
    codes = ops.convert_to_numpy(task.codes(ops.convert_to_tensor(outputs)))
    return codes if task.multi_label else np.array(task.class_values)[codes]
