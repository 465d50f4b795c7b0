import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Extremes, Quantiles, rows_of
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit.layers._bin_edges import bin_edges
from keras_trainkit.layers._learned import learned

KEPT_VALUES = 2**18  # per feature, 2 MiB, for the bins


@serializable
class PiecewiseLinearEmbedding(keras.layers.Layer):
    """Turns each number into a vector that is a piecewise linear function of it.

    `adapt` cuts the range of each feature at e_0 < e_1 < ... < e_T, so that bins hold
    about equally many rows. The share of bin t that x has passed is

        s_t = clip((x - e_(t-1)) / (e_t - e_(t-1)), 0, 1)

    where the first bin has no lower clip and the last no upper one, so that the
    function goes on in a straight line beyond the data. The output is
    `x a + b + sum_t s_t W_t`, all per feature; W starts at 0 (a linear embedding).

    | feature in training          | bins                                    |
    | ---------------------------- | --------------------------------------- |
    | more distinct values         | `bins`                                  |
    | of which some are frequent   | an edge at each of these; the rest of   |
    |                              | the bins go to the other rows           |
    | fewer distinct values        | one between each two neighbours         |
    | constant                     | none: the linear part alone             |

    | value                                   | output                       |
    | --------------------------------------- | ---------------------------- |
    | NaN                                     | NaN; `adapt` skips it        |
    | infinite                                | NaN or infinite              |
    | any, before `adapt` and without weights | ValueError                   |

    The edges are weights, saved with the model and not trained. A step that JAX
    compiles cannot raise: there outputs before `adapt` are NaN. Shares are computed in
    float32 under every dtype policy; the output has the policy's compute dtype.

    Args:
        bins: Int >= 1. Most bins per feature.
        units: Int >= 1. Length of the vector of each feature.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, features)`, scaled to about unit size (the linear part sees
        the values themselves); `features` must be known.
    Output shape: `(batch, features, units)`.

    Example:

    ```python
    embedding = PiecewiseLinearEmbedding(bins=48, units=16)
    embedding.adapt(x_train)
    vectors = embedding(x_train)
    ```

    Source: Gorishniy, Rubachev and Babenko, 2022, arXiv:2203.05556, section 3.2
    (quantile bins), with the linear part beside and W at 0 as in "version B" of the
    authors' package, and no activation. As there, each feature has weights of its own.
    Plain quantiles, as there, fall on a frequent value again and again: a feature that
    is 0 in nine rows of ten is left with a tenth of the bins. Here a value counts for
    one bin at most, so the other rows get the rest.
    """

    def __init__(self, bins=48, units=16, **kwargs):
        super().__init__(autocast=False, **kwargs)
        check_count("bins", bins, "is the most bins per feature")
        check_count("units", units, "is the length of the vector of each feature")
        self.bins = bins
        self.units = units
        self._learned = None

    def build(self, input_shape):
        if len(input_shape) != 2 or not input_shape[-1]:
            raise ValueError(
                f"{self.name} keeps bins per feature and its inputs must have the "
                "shape (batch, features), features known and at least 1. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        features = input_shape[-1]
        self.edges = self.add_weight(
            name="edges",
            shape=(features, self.bins + 1),
            dtype="float32",
            initializer=keras.initializers.Constant(float("nan")),  # not learned yet
            trainable=False,
            autocast=False,
        )
        start = keras.initializers.RandomUniform(-1.0, 1.0)
        self.slope = self.add_weight(
            name="slope", shape=(features, self.units), initializer=start
        )
        self.bias = self.add_weight(
            name="bias", shape=(features, self.units), initializer=start.clone()
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.bins, self.units),
            initializer="zeros",
        )

    def adapt(self, data):
        """Learns the bins from `data`, afresh at every call.

        Args:
            data: Array `(batch, features)`, or batches of such arrays: whatever
                `layers.StandardScaling.adapt` takes.

        Raises:
            ValueError: No data, infinite values or such beyond 1.7e38, a feature that
                is NaN throughout, another number of features than the layer has.
        """
        extremes, quantiles = Extremes(), Quantiles(KEPT_VALUES)
        for rows in rows_of(data, None, None):
            if not self.built:
                self.build((None, rows.shape[-1]))
            if rows.shape[-1] != self.edges.shape[0]:
                raise ValueError(
                    f"{self.name} keeps bins per feature and was built for "
                    f"{self.edges.shape[0]} of them. "
                    f"Received: data with {rows.shape[-1]} features."
                )
            extremes.update(rows)
            quantiles.update(rows)
        self._check_seen(extremes)
        edges = [
            self._padded(bin_edges(*seen, self.bins)) for seen in quantiles.distinct()
        ]
        self.edges.assign(np.stack(edges))
        self._learned = True

    def __call__(self, inputs, *args, **kwargs):
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs):
        self._check_learned()
        x = ops.cast(inputs, "float32")[:, :, None]
        shares = ops.cast(self._shares(x), self.compute_dtype)
        slope, bias, kernel = (
            ops.cast(weight, self.compute_dtype)
            for weight in (self.slope, self.bias, self.kernel)
        )
        linear = ops.cast(x, self.compute_dtype) * slope + bias
        return linear + ops.einsum("bft,ftu->bfu", shares, kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.units)

    def get_config(self):
        return {**super().get_config(), "bins": self.bins, "units": self.units}

    def _check_seen(self, extremes):
        if not extremes.lowest.ndim:
            raise ValueError(
                f"{self.name} learns its bins from `data`, which must hold at least "
                "one row. Received: none."
            )
        absent = np.flatnonzero(np.isinf(extremes.lowest))
        if len(absent):
            raise ValueError(
                f"{self.name} learns its bins from the values of each feature, so each "
                "must have one that is not NaN (drop the feature or fill it). "
                f"Received: only NaN in feature {', '.join(map(str, absent))} of the "
                "last axis."
            )
        largest = np.maximum(np.abs(extremes.lowest), np.abs(extremes.highest))
        outside = np.flatnonzero(largest > np.finfo("float32").max / 2)
        if len(outside):
            raise ValueError(
                f"{self.name} computes in float32, so the values of each feature must "
                "lie within 1.7e38. Received: larger ones in feature "
                f"{', '.join(map(str, outside))} of the last axis."
            )

    def _padded(self, edges):
        """Rising edges, the last one repeated for the bins that are not needed."""
        edges = np.unique(edges.astype("float32"))
        return np.pad(edges, (0, self.bins + 1 - len(edges)), mode="edge")

    def _shares(self, x):
        edges = ops.convert_to_tensor(self.edges)
        low, high = edges[:, :-1], edges[:, 1:]
        is_bin = high > low  # edges repeat where there are fewer bins
        is_first = ops.logical_and(is_bin, ops.equal(low, edges[:, :1]))
        is_last = ops.logical_and(is_bin, ops.equal(high, edges[:, -1:]))
        width = ops.where(is_bin, high - low, 1.0)
        floor = ops.where(is_first, -float("inf"), 0.0)
        ceiling = ops.where(is_last, float("inf"), ops.where(is_bin, 1.0, 0.0))
        return ops.minimum(ops.maximum((x - low) / width, floor), ceiling)

    def _check_learned(self):
        if not self._learned:
            purpose = "cuts the range of each feature as it learns from data"
            self._learned = learned(self, self.edges, purpose)
