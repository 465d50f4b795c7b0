from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Extremes, Quantiles, rows_of
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import (
    add_adapted_weight,
    check_adapted,
    check_features_seen,
    check_num_features,
    numbers_of,
)

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

    def __init__(self, bins: int = 48, units: int = 16, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        check_count("bins", bins, "is the most bins per feature")
        check_count("units", units, "is the length of the vector of each feature")
        self.bins = bins
        self.units = units
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or not input_shape[-1]:
            raise ValueError(
                f"{self.name} keeps bins per feature and its inputs must have the "
                "shape (batch, features), features known and at least 1. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        features = input_shape[-1]
        self.edges = add_adapted_weight(self, "edges", (features, self.bins + 1))
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

    def adapt(self, data: Any) -> None:
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
            expected, received = self.edges.shape[0], rows.shape[-1]
            check_num_features(self, "keeps bins per feature", expected, received)
            extremes.update(rows)
            quantiles.update(rows)
        check_features_seen(self, "bins", extremes)
        self._check_range(extremes)
        edges = [
            self._padded(_bin_edges(values, counts, self.bins))
            for values, counts in quantiles.distinct()
        ]
        self.edges.assign(np.stack(edges))
        self._is_adapted = True

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")[:, :, None]
        shares = ops.cast(self.shares(inputs), self.compute_dtype)
        slope, bias, kernel = (
            ops.cast(weight, self.compute_dtype)
            for weight in (self.slope, self.bias, self.kernel)
        )
        linear = ops.cast(x, self.compute_dtype) * slope + bias
        return linear + ops.einsum("bft,ftu->bfu", shares, kernel)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "units": self.units}

    def _check_range(self, extremes: Extremes) -> None:
        largest = np.maximum(np.abs(extremes.lowest), np.abs(extremes.highest))
        outside = largest > np.finfo("float32").max / 2
        if outside.any():
            raise ValueError(
                f"{self.name} computes in float32, so the values of each feature must "
                "lie within 1.7e38. Received: larger ones in feature "
                f"{numbers_of(outside)} of the last axis."
            )

    def _padded(self, edges: np.ndarray) -> np.ndarray:
        """Rising edges, the last one repeated for the bins that are not needed."""
        edges = np.unique(edges.astype("float32"))
        return np.pad(edges, (0, self.bins + 1 - len(edges)), mode="edge")

    def shares(self, inputs: Tensor) -> Tensor:
        """Share of each bin that each value has passed, `(batch, features, bins)`.

        Args:
            inputs: As in a call.

        Raises:
            ValueError: Before `adapt`, and without weights that were loaded.
        """
        self._check_adapted()
        x = ops.cast(inputs, "float32")[:, :, None]
        edges = ops.convert_to_tensor(self.edges)
        low, high = edges[:, :-1], edges[:, 1:]
        is_bin = high > low  # edges repeat where there are fewer bins
        is_first = ops.logical_and(is_bin, ops.equal(low, edges[:, :1]))
        is_last = ops.logical_and(is_bin, ops.equal(high, edges[:, -1:]))
        width = ops.where(is_bin, high - low, 1.0)
        floor = ops.where(is_first, -float("inf"), 0.0)
        ceiling = ops.where(is_last, float("inf"), ops.where(is_bin, 1.0, 0.0))
        return ops.minimum(ops.maximum((x - low) / width, floor), ceiling)

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            self._is_adapted = check_adapted(
                self,
                self.edges,
                "cuts the range of each feature as it learns from data",
            )


def _bin_edges(values: np.ndarray, counts: np.ndarray, bins: int) -> np.ndarray:
    """Edges of bins of about equally many rows: at most `bins + 1` of the values.

    Plain quantiles fall on one frequent value again and again, and leave few bins to
    the rest. Here no value counts for more than one bin: with counts cut to the `cap`
    that solves `sum(min(counts, cap)) = bins * cap`, the edges are the values at the
    ranks 0, cap, 2 cap, ... So every value seen `cap` times or more is an edge.

    Args:
        values: Different values of a feature, ascending.
        counts: How many rows hold each.
    """
    if len(values) <= bins + 1:
        return values
    ends = np.cumsum(np.minimum(counts, _cap(counts, bins)))
    steps = np.linspace(0, ends[-1], bins + 1)
    steps *= 1 - 1e-12  # so that rounding never moves a rank to the next value
    return np.unique(values[np.searchsorted(ends, steps)])


def _cap(counts: np.ndarray, bins: int) -> float:
    """The `cap` of `_bin_edges`: rows per bin, without those of frequent values.

    With the k most frequent values cut to it, `cap = rows of the others / (bins - k)`.
    """
    falling = np.sort(counts)[::-1].astype("float64")
    rest = falling.sum() - np.cumsum(falling[:bins]) + falling[:bins]
    caps = rest / (bins - np.arange(bins))
    return float(caps[np.argmax(falling[:bins] <= caps)])
