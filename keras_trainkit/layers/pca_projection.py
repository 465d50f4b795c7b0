import keras
from keras import ops

from keras_trainkit._checks import check_count, check_flag, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Covariance, rows_of
from keras_trainkit._tensorflow.data_map import call_in_data_map
from keras_trainkit.layers._learned import learned
from keras_trainkit.layers._principal_components import principal_components


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

    def __init__(self, units, whiten=False, width=None, **kwargs):
        purpose = "is the number of units kept, or the share of variance they explain,"
        is_share = isinstance(units, float)
        if is_share:
            check_number("units", units, purpose, above=0, below=1)
        else:
            check_count("units", units, purpose)
        check_flag("whiten", whiten, "decides if units get the standard deviation 1")
        if width is not None:
            _check_width(width, is_share)
        super().__init__(autocast=False, **kwargs)  # half precision comes afterwards
        self.units = units
        self.whiten = whiten
        self.width = width
        self.supports_masking = True
        self._learned = None

    def build(self, input_shape):
        features, units = input_shape[-1], self._output_width(input_shape)
        self.center = self._add_statistic("center", (features,))
        self.center_rest = self._add_statistic("center_rest", (features,))
        self.components = self._add_statistic("components", (units, features))
        self.deviation = self._add_statistic("deviation", (units,))
        self.explained_variance_ratio = self._add_statistic(
            "explained_variance_ratio", (units,)
        )
        self.input_spec = keras.layers.InputSpec(axes={-1: features})

    def adapt(self, data, mask=None, mask_value=None):
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
        gathered, features = Covariance(), None
        for rows in rows_of(data, mask, mask_value):
            features = features or rows.shape[1]
            self._check_features(rows.shape[1], features)
            gathered.update(rows)
        found = principal_components(gathered, self.units, self.name)
        self._take_width(len(found.deviation))
        if not self.built:
            self.build((None, features))
        for name, values in found._asdict().items():
            getattr(self, name).assign(values)
        self._learned = True

    def __call__(self, inputs, *args, **kwargs):
        return call_in_data_map(super().__call__, self, inputs, *args, **kwargs)

    def call(self, inputs, mask=None):
        self._check_learned()
        x, center, rest, components, deviation = self._aligned(inputs)
        if mask is not None:
            missing_axes = len(x.shape) - len(mask.shape)
            mask = ops.reshape(mask, (*ops.shape(mask), *[1] * missing_axes))
            x = ops.where(mask, x, ops.zeros_like(x))  # padding may hold anything
        outputs = ops.matmul((x - center) - rest, ops.transpose(components))
        if self.whiten:
            outputs = outputs / ops.where(ops.equal(deviation, 0), 1.0, deviation)
        if mask is not None:
            outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self._output_width(input_shape))

    def inverse(self, outputs):
        """Maps units back to features: exactly, if no direction was left out.

        Args:
            outputs: Array or tensor `(batch, ..., units)`.

        Returns:
            Tensor `(batch, ..., features)`, float32 (float64 for float64 values, where
            the backend has it).
        """
        self._check_learned()
        outputs = ops.convert_to_tensor(outputs)
        y, center, rest, components, deviation = self._aligned(outputs)
        y = y * deviation if self.whiten else y
        return center + (rest + ops.matmul(y, components))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "whiten": self.whiten,
            "width": self.width,
        }

    def _output_width(self, input_shape):
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

    def _add_statistic(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="float32",
            initializer=keras.initializers.Constant(float("nan")),  # not learned yet
            trainable=False,
            autocast=False,
        )

    def _check_features(self, came, first):
        expected = self.center.shape[0] if self.built else first
        if came != expected:
            raise ValueError(
                f"{self.name} has weights per feature and was built for {expected} of "
                f"them. Received: data with {came} features."
            )
        if not isinstance(self.units, float):
            self._output_width((None, came))

    def _take_width(self, found):
        if not isinstance(self.units, float):
            return
        if self.width is not None and self.width != found:
            raise ValueError(
                f"{self.name} learned {self.width} units before, and a model relies on "
                "their number: adapt a new layer to this data. Received: data that "
                f"needs {found} units to explain {self.units} of its variance."
            )
        self.width = found

    def _check_learned(self):
        if not self._learned:
            if not self.built:
                self._output_width((None, None))
            purpose = "projects onto components that it learns from data"
            self._learned = learned(self, self.deviation, purpose)

    def _aligned(self, values):
        """`values` and the weights, in the precision they are computed in."""
        is_double = keras.backend.standardize_dtype(values.dtype) == "float64"
        dtype = "float64" if is_double else "float32"
        weights = (self.center, self.center_rest, self.components, self.deviation)
        return [ops.cast(tensor, dtype) for tensor in (values, *weights)]


def _check_width(width, is_share):
    purpose = "is the number of units that a share of variance came to"
    check_count("width", width, purpose)
    if not is_share:
        raise ValueError(
            f"`width` {purpose} and must be None where `units` is an integer. "
            f"Received: width={width}."
        )
