"""Base class of the scaling layers."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_number
from keras_trainkit._statistics import rows_of
from keras_trainkit._steps import over_features
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import (
    add_adapted_weight,
    check_adapted,
    check_features_seen,
    check_num_features,
    in_float_type,
    numbers_of,
)


class Scaling(keras.layers.Layer):
    """`(x - center) / spread` per feature of the last axis, learned by `adapt`.

    A subclass names the statistics that it needs, turns them into a center and a
    spread (0 for a constant feature), and may map the scaled values further. The
    center is kept as the sum of two float32 weights: one alone cannot tell 100000003
    from 100000000.
    """

    _statistics: tuple[type, ...]  # the first is `Extremes`

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # computes in float32 at least
        self.supports_masking = True
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"{self.name} keeps its statistics per feature, so the last axis must "
                f"have a known size. Received: input_shape={tuple(input_shape)}."
            )
        self.center = add_adapted_weight(self, "center", (features,))
        self.center_rest = add_adapted_weight(self, "center_rest", (features,))
        self.spread = add_adapted_weight(self, "spread", (features,))
        self.input_spec = keras.layers.InputSpec(axes={-1: features})

    def adapt(
        self, data: Any, mask: Any = None, mask_value: float | None = None
    ) -> None:
        """Learns the statistics from `data`, afresh at every call.

        They are gathered in float64, in one pass, and depend neither on the order of
        the rows nor on how they are cut into batches. Every axis but the last counts
        as rows, so the steps of a sequence share the statistics of their feature.

        Args:
            data: One array `(batch, ..., features)` (NumPy, tensor, pandas with any
                types of numbers, nested lists, ragged tensor of steps), or batches of
                such arrays (list, generator, `tf.data.Dataset`,
                `keras.utils.PyDataset`). Of batches `(x, y)` or
                `(x, y, sample_weight)` x is taken. NaN and other missing values are
                skipped.
            mask: Booleans, the shape of `data` without its last axis, False where a
                step is padding and does not count; for batches an iterable of such
                arrays. None counts every step.
            mask_value: Float. Steps whose features all equal it do not count (the
                rule of `keras.layers.Masking`). None: no such value.

        Raises:
            ValueError: No data, infinite values, a feature that is NaN throughout,
                another number of features than the layer has.
        """
        if mask_value is not None:
            check_number("mask_value", mask_value, "marks the steps that do not count")
        statistics = [statistic() for statistic in self._statistics]
        for rows in rows_of(data, mask, mask_value):
            self._check_features(rows.shape)
            for statistic in statistics:
                statistic.update(rows)
        step = "step that is not masked"
        check_features_seen(self, "statistics", statistics[0], step)
        self._assign(*self._center_and_spread(*statistics))

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        self._check_dense(inputs)
        self._check_adapted()
        x, center, center_rest, spread = self._in_float_type(inputs)
        if mask is not None:
            mask = over_features(mask, x)
            x = ops.where(mask, x, ops.zeros_like(x))  # padding may hold anything
        constant = ops.equal(spread, 0)
        difference = (x - center) - center_rest
        outputs = self._transform(difference / ops.where(constant, 1.0, spread))
        fixed = ops.logical_and(constant, ops.logical_not(ops.isnan(x)))
        outputs = ops.where(fixed, self._constant_output(), outputs)
        if mask is not None:
            outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def inverse(self, outputs: Tensor) -> Tensor:
        """Maps scaled values back to the units of the data.

        Args:
            outputs: Array or tensor `(batch, ..., features)`.

        Returns:
            Tensor of the same shape, float32 (float64 for float64 values, where the
            backend has it). A constant feature gives its constant, NaN stays NaN.
        """
        outputs = ops.convert_to_tensor(outputs)
        self._check_features(outputs.shape)
        self._check_adapted()
        y, center, center_rest, spread = self._in_float_type(outputs)
        constant = ops.logical_and(ops.equal(spread, 0), ops.logical_not(ops.isnan(y)))
        difference = ops.where(constant, 0.0, self._inverse_transform(y) * spread)
        return center + (center_rest + difference)

    def _center_and_spread(self, *statistics: Any) -> tuple[np.ndarray, np.ndarray]:
        """Center and spread of each feature; the subclass decides."""
        raise NotImplementedError

    def _transform(self, z: Tensor) -> Tensor:
        """Maps scaled values to outputs."""
        return z

    def _inverse_transform(self, y: Tensor) -> Tensor:
        """Maps outputs to scaled values."""
        return y

    def _constant_output(self) -> float:
        """Output of a feature that was constant in `adapt`."""
        return 0.0

    def _check_features(self, shape: Shape) -> None:
        if not self.built:
            self.build((None,) * (len(shape) - 1) + (shape[-1],))
        check_num_features(
            self, "keeps its statistics per feature", self.spread.shape[0], shape[-1]
        )

    def _assign(self, center: np.ndarray, spread: np.ndarray) -> None:
        float32 = np.finfo("float32")
        fits = (spread == 0) | ((spread >= float32.tiny) & (spread <= float32.max))
        outside = ~(fits & (np.abs(center) <= float32.max))
        if outside.any():
            raise ValueError(
                f"{self.name} computes in float32, so the values of each feature must "
                "lie within 3.4e38 and spread over more than 1.2e-38. Received: other "
                f"values in feature {numbers_of(outside)}."
            )
        nearest = center.astype("float32")
        self.center.assign(nearest)
        self.center_rest.assign((center - nearest).astype("float32"))
        self.spread.assign(spread.astype("float32"))
        self._is_adapted = True

    def _check_dense(self, inputs: Tensor) -> None:
        if hasattr(inputs, "flat_values"):
            raise ValueError(
                f"{self.name} tells padding by its mask, so its inputs must be a dense "
                "tensor (`to_tensor()`). Received: a ragged tensor."
            )

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            self._is_adapted = check_adapted(
                self, self.spread, "scales with statistics that it learns from data"
            )

    def _in_float_type(self, values: Tensor) -> list[Tensor]:
        """Values, center, rest of the center and spread, in one float type."""
        return in_float_type(values, self.center, self.center_rest, self.spread)
