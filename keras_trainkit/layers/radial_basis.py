import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import rows_of
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import (
    add_adapted_weight,
    check_adapted,
    check_num_features,
    in_float_type,
)

KERNELS = ("matern32", "matern52", "laplacian", "gaussian")
LARGEST = 1e36  # value, or one over a scale
FARTHEST = 1e15  # difference of two rows that is told from others
MEDIAN_ROWS = 1_000  # whose distances say how wide the kernel is


@serializable
class RadialBasis(keras.layers.Layer):
    """Likeness of each row to rows that the layer keeps, by a kernel of the distance.

    Output j is 1 for a row that equals the kept row j, and falls to 0 far from it. A
    `Dense` layer behind it is a kernel machine (`models.kernel_machine`), or a network
    of radial basis functions: on few rows often as good as a deep network, in seconds.

    With r the length of `(x - center) * scales`:

    | `kernel`    | output                          | functions are        |
    | ----------- | ------------------------------- | -------------------- |
    | "laplacian" | exp(-r)                         | continuous           |
    | "matern32"  | (1 + √3 r) exp(-√3 r)           | differentiable once  |
    | "matern52"  | (1 + √5 r + 5/3 r²) exp(-√5 r)  | differentiable twice |
    | "gaussian"  | exp(-r²/2)                      | smooth               |

    A NaN in a row makes its outputs NaN. Arithmetic is float32 under every dtype policy
    (float64 for float64 inputs, where the backend has it), the output then has the
    policy's compute dtype; half precision has too few digits for many kept rows.

    Args:
        units: Int >= 1. Rows that are kept.
        kernel: One of the table.
        seed: Int >= 0. Draws the rows.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Attributes, weights that are not trained, after `adapt` or loading:
        centers: `(units, features)`, the rows that are kept.
        scales: `(features,)`. One over the length scale of each feature.

    Input shape: `(batch, features)`; `features` must be known.
    Output shape: `(batch, units)`.

    Example:

    ```python
    basis = layers.RadialBasis(64)
    basis.adapt(x_train)
    model = keras.Sequential([keras.Input((30,)), basis, keras.layers.Dense(1)])
    ```

    Source: the kernels are those of `sklearn.gaussian_process.kernels.Matern` (nu 0.5,
    1.5, 2.5 and infinite); Broomhead and Lowe, 1988, "Multivariable Functional
    Interpolation and Adaptive Networks".
    """

    def __init__(
        self, units: int, kernel: str = "matern32", seed: int = 0, **kwargs: Any
    ):
        check_count("units", units, "is the number of rows that are kept")
        check_choice("kernel", kernel, "is the likeness of two rows", KERNELS)
        check_count("seed", seed, "draws the rows that are kept", at_least=0)
        super().__init__(autocast=False, **kwargs)  # computes in float32 at least
        self.units = int(units)
        self.kernel = kernel
        self.seed = int(seed)
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        self.centers = add_adapted_weight(self, "centers", (self.units, features))
        self.scales = add_adapted_weight(self, "scales", (features,))
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: features})

    def adapt(self, data: Any) -> None:
        """Draws the kept rows from `data`, and learns the scales, afresh at every call.

        A feature is divided by its standard deviation, and by the median distance of
        two rows, which so is 1. A feature that is constant counts for nothing.

        Args:
            data: One array `(rows, features)` or an iterable of batches, as in
                `StandardScaling.adapt`. Rows with a NaN are left out.

        Raises:
            ValueError: Fewer rows without NaN than `units`, values beyond 1e36, or of a
                deviation below 1e-36, which float32 does not hold; another number of
                features than the layer has.
        """
        found = [rows[~np.isnan(rows).any(axis=1)] for rows in rows_of(data)]
        x = np.concatenate(found) if found else np.zeros((0, 0))
        if len(x) < self.units:
            raise ValueError(
                f"{self.name} keeps rows of `data`, which must have as many without "
                f"NaN as `units`, {self.units}. Received: {len(x)} such rows."
            )
        if not self.built:
            self.build((None, x.shape[1]))
        features = self.scales.shape[0]
        check_num_features(self, "has a scale per feature", features, x.shape[1])
        order = np.random.default_rng(self.seed).permutation(len(x))
        with np.errstate(over="ignore"):  # which is refused
            scales = inverse_deviations(x)
        scales /= median_distance(x[order[:MEDIAN_ROWS]] * scales)
        if max(np.abs(x).max(), scales.max()) > LARGEST:
            raise ValueError(
                f"{self.name} keeps rows of `data` in float32, whose values must be at "
                f"most {LARGEST:g}, and vary by more than {1 / LARGEST:g} or not at "
                f"all. Received: values up to {np.abs(x).max():.3g}, scales up to "
                f"{scales.max():.3g}."
            )
        self.centers.assign(x[order[: self.units]])
        self.scales.assign(scales)
        self._is_adapted = True

    def call(self, inputs: Tensor) -> Tensor:
        if not self._is_adapted:
            purpose = "keeps rows that it takes from data"
            self._is_adapted = check_adapted(self, self.scales, purpose)
        x, centers, scales = in_float_type(inputs, self.centers, self.scales)
        middle = ops.mean(centers, axis=0)  # from which differences lose fewest digits
        x, centers = (_within((y - middle) * scales) for y in (x, centers))
        products = ops.matmul(x, ops.transpose(centers))
        lengths = ops.sum(x**2, axis=1, keepdims=True) + ops.sum(centers**2, axis=1)
        squared = ops.maximum(lengths - 2 * products, 0)
        return ops.cast(_likeness(squared, self.kernel), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.units)

    def compute_output_spec(self, inputs: Tensor) -> Tensor:
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "kernel": self.kernel,
            "seed": self.seed,
        }


def inverse_deviations(x: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """One over the standard deviation of each feature, 0 for constant ones.

    Args:
        x: `(rows, features)`, float64.
        weights: `(rows,)`, or None where all count alike.
    """
    mean = np.average(x, axis=0, weights=weights)
    deviations = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    is_constant = deviations <= np.abs(mean) * 1e-7  # but for rounding
    return np.where(is_constant, 0, 1 / np.where(is_constant, 1, deviations))


def median_distance(x: np.ndarray) -> float:
    """That of two different rows of `(rows, features)`; 1 where all are alike."""
    distances = np.sqrt(squared_distances(x, x))[np.triu_indices(len(x), 1)]
    distances = distances[distances > 0]
    return float(np.median(distances)) if distances.size else 1.0


def squared_distances(x: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Of all rows of both, `(rows, centers)`."""
    lengths = np.sum(x**2, axis=1)[:, None] + np.sum(centers**2, axis=1)
    return np.maximum(lengths - 2 * x @ centers.T, 0)


def _within(x: Tensor) -> Tensor:
    """Nothing so far away that its square has no number."""
    return ops.clip(x, -FARTHEST, FARTHEST)


def _likeness(squared: Tensor, kernel: str) -> Tensor:
    """The kernel of squared distances."""
    if kernel == "gaussian":
        return ops.exp(-squared / 2)
    # A root has no gradient at 0; NaN stays.
    is_same = squared <= 0
    distance = ops.where(is_same, 0, ops.sqrt(ops.where(is_same, 1, squared)))
    if kernel == "laplacian":
        return ops.exp(-distance)
    if kernel == "matern32":
        distance = math.sqrt(3) * distance
        return (1 + distance) * ops.exp(-distance)
    distance = math.sqrt(5) * distance
    return (1 + distance + distance**2 / 3) * ops.exp(-distance)
