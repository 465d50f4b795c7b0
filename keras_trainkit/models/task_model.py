import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

import keras

from keras_trainkit._serialization import serializable
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._tensorflow.replicas import replicas_of
from keras_trainkit._warnings import warn_user
from keras_trainkit.models._compile_arguments import unfit_arguments
from keras_trainkit.models._data_checks import check_fit_data
from keras_trainkit.models._device_checks import check_devices
from keras_trainkit.models._input_checks import check_inputs
from keras_trainkit.models._masked_arrays import unmasked_arguments
from keras_trainkit.models._task import task_of
from keras_trainkit.models._warn_on_nan import WarnOnNaN
from keras_trainkit.models._weight_files import with_head


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

    `fit` refuses (ValueError) before the first step arrays that it cannot learn from:
    inputs of another shape, texts, NaN and infinity, arrays of unequal lengths, targets
    that the loss of Keras makes nonsense of. They are read once. NaN passes where a
    layer reads it (`layers.MissingIndicator`, one of one's own), or a loss of one's
    own; data sets and generators are not looked at. Trained on several devices, it
    refuses what Keras cannot do there, such as batches that they cannot share evenly.

    What is masked in an input that is a masked array of NumPy is NaN to `fit`,
    `evaluate`, `predict` and those of a batch. Where no layer reads NaN it is refused,
    as it is among targets and weights.

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
            warn_user(text)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        given = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        given = unmasked_arguments(self, given)
        check_fit_data(self, **given)
        check_devices(self, **given)
        release_graphs()
        callbacks = given.get("callbacks") or []
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
            given["callbacks"] = [*listed, _warn_on_nan(**given)]
        self._build_optimizer()
        return super().fit(**given)

    def _build_optimizer(self) -> None:
        """Makes the variables of the optimizer, as Keras does first on JAX and torch.

        On TensorFlow Keras 3.15 makes them within the first step, which is then traced
        twice: a third of the time to the end of the first epoch of a small model.
        """
        optimizer = self.optimizer if self.compiled else None
        if optimizer is None or optimizer.built or replicas_of(self) > 1:
            return
        optimizer.build(self.trainable_variables)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return self._without_masks(super().evaluate, args, kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return self._without_masks(super().predict, args, kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._without_masks(super().train_on_batch, args, kwargs)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._without_masks(super().test_on_batch, args, kwargs)

    @functools.wraps(keras.Model.predict_on_batch)
    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        return self._without_masks(super().predict_on_batch, args, kwargs)

    def _without_masks(self, method: Callable, args: tuple, kwargs: dict) -> Any:
        """The result of one of Keras' methods, for arrays without masks."""
        given = inspect.signature(method).bind(*args, **kwargs)
        check_inputs(self, given.arguments.get("x"))
        given.arguments |= unmasked_arguments(self, given.arguments)
        return method(*given.args, **given.kwargs)

    def load_weights(
        self, filepath: str | os.PathLike, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Loads weights as Keras does, also those saved before there was a `Head`.

        Args:
            filepath: String or path.
            skip_mismatch: Bool. True: layers that do not fit keep their weights.
            **kwargs: Passed to `keras.Model`, to its `load_weights`.
        """
        with with_head(self, filepath) as path:
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
