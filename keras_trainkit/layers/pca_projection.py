from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count, check_flag, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Covariance, rows_of
from keras_trainkit._steps import over_features
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import (
    add_adapted_weight,
    check_adapted,
    check_num_features,
    in_float_type,
)


@serializable
class PCAProjection(keras.layers.Layer):
    """Projects features onto the directions in which the data varies most.

    `(x - mean) @ components.T`, learned once by `adapt` and then part of the model. The
    units are uncorrelated on that data, the one with the largest variance first. Scale
    the features before, unless they have one unit of measure.

    | value                                   | output                        |
    | --------------------------------------- | ----------------------------- |
    | of a row with a NaN                     | NaN; `adapt` leaves it out    |
    | of a direction in which nothing varied  | 0, whatever the value         |
    | at a masked step                        | 0; the mask goes on           |
    | any, before `adapt` and without weights | ValueError                    |

    `adapt` works in float64, in one pass over any portions, with memory for features^2
    numbers; the layer in float32 (float64 for float64 inputs, where the backend has it)
    under every policy, its output then in the policy's compute dtype. A step that JAX
    compiles cannot raise: there outputs before `adapt` are NaN. Signs are fixed: the
    largest entry of a component is positive.

    Args:
        units: Int >= 1 and at most the number of features, or float in (0, 1): as few
            as explain this share of the variance. How many is known only after `adapt`,
            which must then come before the layer is used in a model.
        whiten: True divides each unit by its standard deviation.
        width: Leave it None. Number of units that a share came to: `adapt` sets it, and
            files and clones carry it.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Attributes, weights that are not trained, after `adapt` or loading:
        components: `(units, features)`, rows of length 1.
        deviation: `(units,)`. Standard deviation along each (divided by n - 1).
        explained_variance_ratio: `(units,)`. Share of the variance of each.

    Input shape: `(batch, ..., features)`; `features` must be known.
    Output shape: `(batch, ..., units)`.

    Example:

    ```python
    projection = keras_trainkit.layers.PCAProjection(0.95)
    projection.adapt(x_train)
    model = keras.Sequential([keras.Input((30,)), projection, keras.layers.Dense(1)])
    projection.inverse(projection(x_train))  # x_train but for 5 % of its variance
    ```

    Source: `sklearn.decomposition.PCA`, with the same signs and the same deviations.
    There a whitened direction without variance is divided by nearly 0.
    """

    def __init__(
        self,
        units: float,
        whiten: bool = False,
        width: int | None = None,
        **kwargs: Any,
    ):
        purpose = "is the number of units kept, or the share of variance they explain,"
        is_share = isinstance(units, float)
        if is_share:
            check_number("units", units, purpose, above=0, below=1)
        else:
            check_count("units", units, purpose)
        check_flag("whiten", whiten, "decides if units get the standard deviation 1")
        if width is not None:
            _check_width(width, is_share)
        super().__init__(autocast=False, **kwargs)  # computes in float32 at least
        self.units = units
        self.whiten = whiten
        self.width = width
        self.supports_masking = True
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        features, units = input_shape[-1], self._output_width(input_shape)
        self.center = add_adapted_weight(self, "center", (features,))
        self.center_rest = add_adapted_weight(self, "center_rest", (features,))
        self.components = add_adapted_weight(self, "components", (units, features))
        self.deviation = add_adapted_weight(self, "deviation", (units,))
        self.explained_variance_ratio = add_adapted_weight(
            self, "explained_variance_ratio", (units,)
        )
        self.input_spec = keras.layers.InputSpec(axes={-1: features})

    def adapt(
        self, data: Any, mask: Any = None, mask_value: float | None = None
    ) -> None:
        """Learns mean and components from `data`, afresh at every call.

        Args:
            data: One array `(batch, ..., features)` or an iterable of batches, as in
                `StandardScaling.adapt`.
            mask: Booleans, False where a step is padding; as there.
            mask_value: Float. Steps whose features all equal it do not count.

        Raises:
            ValueError: Fewer than two rows without NaN, infinite values, nothing that
                varies, another number of features, or units, than the layer has.
        """
        if mask_value is not None:
            check_number("mask_value", mask_value, "marks the steps that do not count")
        covariance, features = Covariance(), None
        for rows in rows_of(data, mask, mask_value):
            features = features or rows.shape[1]
            self._check_features(rows.shape[1], features)
            covariance.update(rows)
        found = _principal_components(covariance, self.units, self.name)
        self._set_width(len(found.deviation))
        if not self.built:
            self.build((None, features))
        for name, values in found._asdict().items():
            getattr(self, name).assign(values)
        self._is_adapted = True

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        self._check_adapted()
        x, center, rest, components, deviation = self._in_float_type(inputs)
        if mask is not None:
            mask = over_features(mask, x)
            x = ops.where(mask, x, ops.zeros_like(x))  # padding may hold anything
        outputs = ops.matmul((x - center) - rest, ops.transpose(components))
        if self.whiten:
            outputs = outputs / ops.where(ops.equal(deviation, 0), 1.0, deviation)
        if mask is not None:
            outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self._output_width(input_shape))

    def inverse(self, outputs: Tensor) -> Tensor:
        """Maps units back to features: exactly, if no direction was left out.

        Args:
            outputs: Array or tensor `(batch, ..., units)`.

        Returns:
            Tensor `(batch, ..., features)`, float32 (float64 for float64 values, where
            the backend has it).
        """
        self._check_adapted()
        outputs = ops.convert_to_tensor(outputs)
        y, center, rest, components, deviation = self._in_float_type(outputs)
        y = y * deviation if self.whiten else y
        return center + (rest + ops.matmul(y, components))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "whiten": self.whiten,
            "width": self.width,
        }

    def _output_width(self, input_shape: Shape) -> int:
        features = input_shape[-1]
        width = self.width if isinstance(self.units, float) else self.units
        if width is None:
            raise ValueError(
                f"{self.name} learns how many units explain the share of variance: "
                "call `adapt(data)` before using it, or give `units` as an integer. "
                f"Received: units={self.units}."
            )
        if features is None or width > features:
            raise ValueError(
                f"{self.name} has weights per feature and unit, so the last axis must "
                f"have a known size of at least {width}, its units. Received: "
                f"input_shape={tuple(input_shape)}."
            )
        return width

    def _check_features(self, received: int, first: int) -> None:
        expected = self.center.shape[0] if self.built else first
        check_num_features(self, "has weights per feature", expected, received)
        if not isinstance(self.units, float):
            self._output_width((None, received))

    def _set_width(self, found: int) -> None:
        if not isinstance(self.units, float):
            return
        if self.width is not None and self.width != found:
            raise ValueError(
                f"{self.name} learned {self.width} units before, and a model relies on "
                "their number: adapt a new layer to this data. Received: data that "
                f"needs {found} units to explain {self.units} of its variance."
            )
        self.width = found

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            if not self.built:
                self._output_width((None, None))
            self._is_adapted = check_adapted(
                self,
                self.deviation,
                "projects onto components that it learns from data",
            )

    def _in_float_type(self, values: Tensor) -> list[Tensor]:
        """Values, center, rest of it, components and deviation, in one float type."""
        weights = (self.center, self.center_rest, self.components, self.deviation)
        return in_float_type(values, *weights)


def _check_width(width: Any, is_share: bool) -> None:
    purpose = "is the number of units that a share of variance came to"
    check_count("width", width, purpose)
    if not is_share:
        raise ValueError(
            f"`width` {purpose} and must be None where `units` is an integer. "
            f"Received: width={width}."
        )


class _PrincipalComponents(NamedTuple):
    """Values of the weights, float32, under their names."""

    center: np.ndarray
    center_rest: np.ndarray
    components: np.ndarray
    deviation: np.ndarray
    explained_variance_ratio: np.ndarray


def _principal_components(
    statistics: Covariance, units: float, name: str
) -> _PrincipalComponents:
    """The first principal components.

    Args:
        units: Int, their number; or float, the share of variance that they explain.
        name: Name of the layer, for messages.
    """
    if statistics.count < 2:
        raise ValueError(
            f"{name} learns directions from the rows of `data`, of which at least two "
            f"must be without NaN and not masked. Received: {statistics.count}."
        )
    covariance = statistics.products / (statistics.count - 1)
    _check_range(covariance, statistics.mean, name)
    variance, components = np.linalg.eigh(covariance)
    variance, components = variance[::-1], components.T[::-1]
    rounding = len(variance) * np.finfo("float64").eps * variance[0]
    varies = variance > rounding
    variance = np.where(varies, variance, 0.0)
    ratio = variance / variance.sum()
    if isinstance(units, float):
        total = np.cumsum(ratio)  # its end may differ from `ratio.sum()` by a rounding
        units = int(np.argmax(total >= min(units, total[-1]))) + 1
    largest = np.argmax(np.abs(components), axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    components = np.where(varies, signs, 0.0)[:, None] * components
    nearest = statistics.mean.astype("float32")
    return _PrincipalComponents(
        nearest,
        (statistics.mean - nearest).astype("float32"),
        components[:units].astype("float32"),
        np.sqrt(variance[:units]).astype("float32"),
        ratio[:units].astype("float32"),
    )


def _check_range(covariance: np.ndarray, mean: np.ndarray, name: str) -> None:
    float32 = np.finfo("float32")
    widest = np.sqrt(np.abs(np.diag(covariance)).max())
    if widest == 0:
        raise ValueError(
            f"{name} learns in which directions `data` varies, so at least one feature "
            "must. Received: features that are all constant."
        )
    fits = float32.tiny <= widest <= float32.max / 2**10
    if not (fits and (np.abs(mean) <= float32.max).all()):
        raise ValueError(
            f"{name} computes in float32, so values must lie within 3.4e38 and deviate "
            "by more than 1.2e-38 and less than 3e35. Received: other values."
        )
