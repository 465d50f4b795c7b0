import contextlib
import functools
import inspect
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import h5py
import keras

from keras_trainkit._serialization import serializable
from keras_trainkit.layers import Head
from keras_trainkit.models._compile_arguments import unfit_arguments
from keras_trainkit.models._task import task_of
from keras_trainkit.models._warn_on_nan import WarnOnNaN


@serializable
class TaskModel(keras.Model):
    """A functional model that knows its task, and warns of losses that do not fit it.

    What `models.mlp` and `models.bilstm_attention` return; used like any Keras model,
    and `predict` gives what its last layer gives. Task and classes are those of that
    layer, a `layers.Head` or a `layers.MemberMean` (behind it there may be a
    `layers.TemperatureScaling`), so files, clones and models that share the layer keep
    them.

    `compile` warns (UserWarning) where a loss or metric of Keras would take logits for
    probabilities or the other way round, or belongs to another task; it names one that
    fits. `models.loss_for` and `models.metrics_for` give those that do. Losses and
    metrics of one's own are not judged.

    `fit` warns (UserWarning) after the first batch with a loss of NaN, and at the end
    of the first epoch with a validation loss of NaN or a weight that is NaN or
    infinite. It names the columns of the inputs, the targets or the weights of rows
    that are, in arrays and tables.

    Args:
        inputs: As in `keras.Model`.
        outputs: As in `keras.Model`.
        name: String or None.
        **kwargs: Passed to `keras.Model` (`trainable`).

    Attributes:
        task: "classification", "binary", "regression", or None where the last layer
            does not say.
        classes: Tuple of the names of the classes, or None.

    Example:

    ```python
    inputs = keras.Input((4,), name="features")
    outputs = layers.Head(2, "classification", ["ham", "spam"])(inputs)
    model = TaskModel(inputs, outputs)
    model.compile("adam", loss_for(model), metrics=metrics_for(model))
    ```
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ):
        super().__init__(inputs, outputs, name=name, **kwargs)
        known = task_of(self)
        self.task = known.name
        self.classes = known.classes

    @functools.wraps(keras.Model.compile)
    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)
        given = inspect.signature(super().compile).bind(*args, **kwargs).arguments
        chosen = (given.get(name) for name in ("loss", "metrics", "weighted_metrics"))
        for text in unfit_arguments(self.name, task_of(self), *chosen):
            warnings.warn(text, stacklevel=2)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        given = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        callbacks = given.get("callbacks") or []
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
            given["callbacks"] = [*listed, _warn_on_nan(**given)]
        return super().fit(**given)

    def load_weights(
        self, filepath: str | os.PathLike, skip_mismatch: bool = False, **kwargs: Any
    ):
        """Loads weights as Keras does, also those of a time when no `Head` was.

        Args:
            filepath: String or path.
            skip_mismatch: Bool. Whether layers that do not fit keep their weights.
            **kwargs: Passed to `keras.Model`, to its `load_weights`.
        """
        with _with_head(self, filepath) as path:
            super().load_weights(path, skip_mismatch, **kwargs)

    def compile_from_config(self, config: dict) -> None:
        """As Keras does for a model that does not override `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)


def _warn_on_nan(
    x: Any = None,
    y: Any = None,
    sample_weight: Any = None,
    validation_data: Any = None,
    **_: Any,
) -> WarnOnNaN:
    if isinstance(validation_data, list | tuple):
        validation_data = keras.utils.unpack_x_y_sample_weight(validation_data)
    else:
        validation_data = None
    return WarnOnNaN((x, y, sample_weight), validation_data)


@contextlib.contextmanager
def _with_head(
    model: keras.Model, filepath: str | os.PathLike
) -> Iterator[str | os.PathLike]:
    """The file, or a copy of one that was written when the head was a `Dense` layer.

    Keras names weights in files after the classes of layers: what "dense_2" was is
    "head" since `layers.Head` is the last layer.
    """
    name = _dense_for_head(model, filepath)
    if name is None:
        yield filepath
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(filepath, folder)
        with h5py.File(copy, "r+") as file:
            file.move(f"layers/{name}", "layers/head")
        yield copy


def _dense_for_head(model: keras.Model, filepath: str | os.PathLike) -> str | None:
    """The name of the head's weights in such a file; None in any other."""
    if not str(filepath).endswith(".weights.h5") or not os.path.isfile(filepath):
        return None
    kinds = [type(layer) for layer in model.layers]
    number = kinds.count(keras.layers.Dense)
    with h5py.File(filepath) as file:
        saved = set(file.get("layers", ()))
    names = ["dense", *(f"dense_{n}" for n in range(1, number + 1))]
    is_earlier = kinds.count(Head) == 1 and "head" not in saved
    return names[-1] if is_earlier and saved.issuperset(names) else None
