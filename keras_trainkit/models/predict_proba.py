from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit.models._task import labelled_task


def predict_proba(
    model: keras.Model,
    x: Any,
    *,
    batch_size: int | None = None,
    verbose: int | str = "auto",
) -> np.ndarray:
    """Probabilities by class, on every backend, from a model loaded or not.

    Args:
        model: `keras.Model` that knows its classes: one of `models.mlp` or
            `models.bilstm_attention` with the task "classification" or "binary", or
            another that ends in a `layers.Head`; a `layers.TemperatureScaling` may
            follow.
        x: What `model.predict` takes.
        batch_size: As in `model.predict`.
        verbose: As in `model.predict`.

    Returns:
        Array `(rows, classes)`, whose rows sum to 1, its columns in the order of
        `model.classes`: for a single yes/no output those of no and yes. For several
        yes/no labels `(rows, labels)`, each the probability of yes.

    Raises:
        ValueError: The model does not know its classes.

    Example:

    ```python
    model = keras.saving.load_model("model.keras")  # after `import keras_trainkit`
    models.predict_proba(model, x)  # [[0.1, 0.9]]
    models.predict_labels(model, x)  # ["yes"]
    ```
    """
    task = labelled_task(model)
    outputs = model.predict(x, batch_size=batch_size, verbose=verbose)
    return ops.convert_to_numpy(task.probabilities(ops.convert_to_tensor(outputs)))
