"""What the scalings of this family share; each of them says only what is its own."""

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_number
from keras_trainkit._statistics import Extremes, rows_of
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit.layers._learned import learned


class Scaling(keras.layers.Layer):
    """`(x - center) / spread` per feature of the last axis, learned by `adapt`.

    A subclass names what it gathers, turns that into a center and a spread (0 for a
    constant feature), and may bend the scaled value z further (`_bend`, `_unbend`).
    The center is kept as the sum of two float32 weights: one alone cannot tell
    100000003 from 100000000.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # half precision comes afterwards
        self.supports_masking = True
        self._learned = None

    def build(self, input_shape):
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"{self.name} keeps its statistics per feature, so the last axis must "
                f"have a known size. Received: input_shape={tuple(input_shape)}."
            )
        self.center = self._add_statistic("center", features)
        self.center_rest = self._add_statistic("center_rest", features)
        self.spread = self._add_statistic("spread", features)
        self.input_spec = keras.layers.InputSpec(axes={-1: features})

    def adapt(self, data, mask=None, mask_value=None):
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
        gathered = [kind() for kind in self._gathers]
        for rows in rows_of(data, mask, mask_value):
            self._check_features(rows.shape)
            for statistics in gathered:
                statistics.update(rows)
        self._check_seen(gathered[0])
        self._assign(*self._center_and_spread(*gathered))

    def __call__(self, inputs, *args, **kwargs):
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs, mask=None):
        self._check_dense(inputs)
        self._check_learned()
        x, center, center_rest, spread = self._aligned(inputs)
        if mask is not None:
            mask = ops.reshape(mask, (*ops.shape(mask), *[1] * _missing_axes(mask, x)))
            x = ops.where(mask, x, ops.zeros_like(x))  # padding may hold anything
        constant = ops.equal(spread, 0)
        difference = (x - center) - center_rest
        outputs = self._bend(difference / ops.where(constant, 1.0, spread))
        fixed = ops.logical_and(constant, ops.logical_not(ops.isnan(x)))
        outputs = ops.where(fixed, self._constant_output(), outputs)
        if mask is not None:
            outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def inverse(self, outputs):
        """Maps scaled values back to the units of the data.

        Args:
            outputs: Array or tensor `(batch, ..., features)`.

        Returns:
            Tensor of the same shape, float32 (float64 for float64 values, where the
            backend has it). A constant feature gives its constant, NaN stays NaN.
        """
        outputs = ops.convert_to_tensor(outputs)
        self._check_features(outputs.shape)
        self._check_learned()
        y, center, center_rest, spread = self._aligned(outputs)
        constant = ops.logical_and(ops.equal(spread, 0), ops.logical_not(ops.isnan(y)))
        difference = ops.where(constant, 0.0, self._unbend(y) * spread)
        return center + (center_rest + difference)

    def _add_statistic(self, name, features):
        return self.add_weight(
            name=name,
            shape=(features,),
            dtype="float32",
            initializer=keras.initializers.Constant(float("nan")),  # not learned yet
            trainable=False,
            autocast=False,
        )

    def _check_features(self, shape):
        if not self.built:
            self.build((None,) * (len(shape) - 1) + (shape[-1],))
        features = self.spread.shape[0]
        if shape[-1] != features:
            raise ValueError(
                f"{self.name} keeps its statistics per feature and was built for "
                f"{features} of them. Received: data with {shape[-1]} features."
            )

    def _check_seen(self, extremes: Extremes):
        if not extremes.lowest.ndim:
            raise ValueError(
                f"{self.name} learns its statistics from `data`, which must hold at "
                "least one step that is not masked. Received: none."
            )
        absent = np.flatnonzero(np.isinf(extremes.lowest))
        if len(absent):
            raise ValueError(
                f"{self.name} learns from the values of each feature, so each must "
                "have one that is not NaN (drop the feature or fill it). Received: "
                f"only NaN in feature {', '.join(map(str, absent))} of the last axis."
            )

    def _assign(self, center, spread):
        float32 = np.finfo("float32")
        fits = (spread == 0) | ((spread >= float32.tiny) & (spread <= float32.max))
        outside = ~(fits & (np.abs(center) <= float32.max))
        if outside.any():
            raise ValueError(
                f"{self.name} computes in float32, so the values of each feature must "
                "lie within 3.4e38 and spread over more than 1.2e-38. Received: other "
                f"values in feature {', '.join(map(str, np.flatnonzero(outside)))}."
            )
        nearest = center.astype("float32")
        self.center.assign(nearest)
        self.center_rest.assign((center - nearest).astype("float32"))
        self.spread.assign(spread.astype("float32"))
        self._learned = True

    def _check_dense(self, inputs):
        if hasattr(inputs, "flat_values"):
            raise ValueError(
                f"{self.name} tells padding by its mask, so its inputs must be a dense "
                "tensor (`to_tensor()`). Received: a ragged tensor."
            )

    def _check_learned(self):
        """Looks once, then no more; while there is nothing to see, outputs are NaN."""
        if not self._learned:
            purpose = "scales with statistics that it learns from data"
            self._learned = learned(self, self.spread, purpose)

    def _aligned(self, values):
        """`values` and the three weights, in the precision they are computed in."""
        is_double = keras.backend.standardize_dtype(values.dtype) == "float64"
        dtype = "float64" if is_double else "float32"
        weights = (self.center, self.center_rest, self.spread)
        return [ops.cast(tensor, dtype) for tensor in (values, *weights)]

    def _bend(self, z):
        return z

    def _unbend(self, y):
        return y

    def _constant_output(self):
        return 0.0


def _missing_axes(mask, x):
    return len(x.shape) - len(mask.shape)
