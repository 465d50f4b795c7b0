from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from keras_trainkit._arrays import class_labels
from keras_trainkit._checks import check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._tables.numbers import number_array
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import (
    add_adapted_weight,
    check_adapted,
    in_float_type,
)

LOGITS = (
    "`logits` are what the model gives and must be finite numbers of the shape "
    "(rows, 1) or (rows, classes), at least one row."
)
LABELS = "`y` are the labels and must be whole numbers from 0 (one-hot: `argmax`)."
MAX_STEPS = 2000  # about 10 are needed, some more beside a huge logit
PRECISION = 1e-10  # of the temperature


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

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self._is_adapted = False

    def build(self, input_shape: Shape | None = None) -> None:
        self.temperature = add_adapted_weight(self, "temperature", ())

    def adapt(self, logits: Any, y: Any, prior_stddev: float | None = None) -> None:
        """Finds the temperature, in float64, afresh at every call.

        Args:
            logits: Array `(rows, 1)` or `(rows, classes)`, what the model gives for
                rows that it was not trained on.
            y: Labels `(rows,)` or `(rows, 1)`: 0 and 1, or class numbers from 0.
            prior_stddev: Float > 0. The logarithm of T is believed to be 0, give or
                take so much, before a row is seen. Few rows, or rows that are all
                right, then say little, and many rows what they say without it: one
                temperature is always most probable. None: the likelihood alone.

        Raises:
            ValueError: No temperature is best, without `prior_stddev`, since all rows
                are right or the logits say nothing about the labels; infinite logits;
                labels that are none of the classes; lengths that differ.
        """
        if prior_stddev is not None:
            purpose = "is how far the logarithm of the temperature may be from 0"
            check_number("prior_stddev", prior_stddev, purpose, above=0)
        logits = _logits(number_array(logits, LOGITS))
        labels = class_labels(number_array(y, LABELS), *logits.shape)
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        if prior_stddev is None:
            found = _best_temperature(logits, labels)
        else:
            found = _most_probable_temperature(logits, labels, prior_stddev)
        if not self.built:
            self.build()
        self.temperature.assign(found)
        self._is_adapted = True

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        if not self._is_adapted:
            self._is_adapted = check_adapted(
                self,
                self.temperature,
                "divides by a temperature that it learns from data",
                "adapt(logits, y)",
            )
        logits, temperature = in_float_type(inputs, self.temperature)
        return ops.cast(logits / temperature, _output_dtype(inputs))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute_output_spec(self, inputs: Tensor) -> Tensor:
        return keras.KerasTensor(inputs.shape, dtype=_output_dtype(inputs))


def _output_dtype(inputs: Tensor) -> str:
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    return dtype if "float" in dtype else "float32"


def _logits(logits: np.ndarray) -> np.ndarray:
    fine = logits.ndim == 2 and logits.size and logits.dtype.kind in "iuf"
    if not fine or not np.isfinite(logits).all():
        raise ValueError(f"{LOGITS} Received: {logits.dtype} of shape {logits.shape}.")
    return logits.astype("float64")


def _best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 with the highest likelihood of `softmax(logits / T)`.

    In 1 / T the negative log likelihood is convex, so its only minimum is where the
    slope changes sign. Found by Newton's method; a step that leaves the interval known
    to hold the minimum is replaced by bisection.

    Args:
        logits: float64, `(rows, classes)`.
        labels: Ints `(rows,)`.

    Raises:
        ValueError: No such T: all rows right, or no better than without logits.
    """
    logits = logits - logits.max(axis=1, keepdims=True)
    scale = np.abs(logits).max() or 1.0
    logits = logits / scale
    truth = _mean_of_labels(logits, labels)
    if logits.mean() >= truth:
        _refuse("say less about the labels than equal probabilities do", "lowest")
    if truth == 0:
        _refuse("have the label's first in every row", "highest")
    low, high, inverse = 0.0, np.inf, 1.0
    for _ in range(MAX_STEPS):
        slope, curvature = _derivatives(inverse, logits, truth)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        previous, inverse = inverse, inverse - slope / curvature if curvature else -1.0
        if not low < inverse < high:
            inverse = 2 * low if high == np.inf else (low + high) / 2
        if abs(inverse - previous) <= PRECISION * inverse:
            break
    return scale / inverse


def _most_probable_temperature(
    logits: np.ndarray, labels: np.ndarray, stddev: float
) -> float:
    """The T at which likelihood times prior is highest, as seen from T = 1.

    Its logarithm lies between 0 and where the slope along it has changed sign.
    """
    logits = logits - logits.max(axis=1, keepdims=True)
    truth, precision = _mean_of_labels(logits, labels), 1 / (len(logits) * stddev**2)

    def slope(log_t: float) -> float:
        inverse = np.exp(-log_t)
        by_rows, _ = _derivatives(inverse, logits, truth)
        return log_t * precision - inverse * by_rows

    start = slope(0.0)
    if start == 0:
        return 1.0
    low, high = 0.0, -np.sign(start)
    while slope(high) * start > 0:
        low, high = high, 2 * high
    while abs(high - low) > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) * start > 0 else (low, middle)
    return float(np.exp(high))


def _mean_of_labels(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean logit of the label."""
    return np.take_along_axis(logits, labels[:, np.newaxis], axis=1).mean()


def _derivatives(
    inverse: float, logits: np.ndarray, truth: float
) -> tuple[float, float]:
    """First and second derivative of the mean negative log likelihood."""
    weights = np.exp(inverse * logits)
    weights /= weights.sum(axis=1, keepdims=True)
    mean = (weights * logits).sum(axis=1)
    variance = (weights * logits**2).sum(axis=1) - mean**2
    return mean.mean() - truth, max(variance.mean(), 0.0)


def _refuse(reason: str, end: str) -> NoReturn:
    raise ValueError(
        "`logits` and `y` fix the temperature and must be of rows that were not "
        "trained on, some of them right and some wrong, so that the likelihood is "
        f"highest in between. Received: logits that {reason}; it is best at the {end} "
        "confidence."
    )
