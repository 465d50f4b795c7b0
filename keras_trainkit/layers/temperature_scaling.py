import keras
import numpy as np
from keras import ops

from keras_trainkit._arrays import class_labels
from keras_trainkit._serialization import serializable
from keras_trainkit._tables.numbers import number_array
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit.layers._learned import learned
from keras_trainkit.layers._temperature import best_temperature

LOGITS = (
    "`logits` are what the model gives and must be finite numbers of the shape "
    "(rows, 1) or (rows, classes), at least one row."
)
LABELS = "`y` are the labels and must be whole numbers from 0 (one-hot: `argmax`)."


@serializable
class TemperatureScaling(keras.layers.Layer):
    """Divides logits by one number, so that their probabilities can be believed.

    `adapt` finds the temperature T > 0 with the highest likelihood of labels that the
    model was not trained on. Above 1 the model was too sure of itself, below 1 not sure
    enough. The order of the classes, and so the accuracy, stays.

    | shape of the logits | probabilities             |
    | ------------------- | ------------------------- |
    | `(batch, 1)`        | `sigmoid(logits / T)`     |
    | `(batch, classes)`  | `softmax(logits / T)`     |

    T is a weight, saved and loaded with the model and not trained. A call before
    `adapt` and without loaded weights is a ValueError; a step that JAX compiles cannot
    raise, there outputs before `adapt` are NaN. Outputs have the dtype of the inputs
    under every policy; float16 and integers are divided as float32.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Attributes, after `adapt` or loading:
        temperature: T, a weight of shape `()`.

    Input shape: `(batch, ..., classes)`.
    Output shape: as the input.

    Example:

    ```python
    scaling = keras_trainkit.layers.TemperatureScaling()
    scaling.adapt(model.predict(x_validation), y_validation)
    calibrated = keras.Model(model.input, scaling(model.output))
    ```

    Source: Guo, Pleiss, Sun and Weinberger, 2017, arXiv:1706.04599, section 4.2.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self._learned = None

    def build(self, input_shape=None):
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            dtype="float32",
            initializer=keras.initializers.Constant(float("nan")),  # not learned yet
            trainable=False,
            autocast=False,
        )

    def adapt(self, logits, y):
        """Finds the temperature, in float64, afresh at every call.

        Args:
            logits: Array `(rows, 1)` or `(rows, classes)`, what the model gives for
                rows that it was not trained on.
            y: Labels `(rows,)` or `(rows, 1)`: 0 and 1, or class numbers from 0.

        Raises:
            ValueError: No temperature is best, since all rows are right or the logits
                say nothing about the labels; infinite logits; labels that are none of
                the classes; lengths that differ.
        """
        logits = _logits(number_array(logits, LOGITS))
        labels = class_labels(number_array(y, LABELS), *logits.shape)
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        found = best_temperature(logits, labels)
        if not self.built:
            self.build()
        self.temperature.assign(found)
        self._learned = True

    def __call__(self, inputs, *args, **kwargs):
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs):
        if not self._learned:
            purpose = "divides by a temperature that it learns from data"
            self._learned = learned(self, self.temperature, purpose, "adapt(logits, y)")
        outputs = _dtype_of(inputs)
        dtype = "float64" if outputs == "float64" else "float32"
        scaled = ops.cast(inputs, dtype) / ops.cast(self.temperature, dtype)
        return ops.cast(scaled, outputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=_dtype_of(inputs))


def _dtype_of(inputs):
    came = keras.backend.standardize_dtype(inputs.dtype)
    return came if "float" in came else "float32"


def _logits(logits):
    fine = logits.ndim == 2 and logits.size and logits.dtype.kind in "iuf"
    if not fine or not np.isfinite(logits).all():
        raise ValueError(f"{LOGITS} Received: {logits.dtype} of shape {logits.shape}.")
    return logits.astype("float64")
