import numpy as np

from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Extremes, Moments
from keras_trainkit._statistics.centers import mean_and_deviation
from keras_trainkit.layers._scaling import Scaling


@serializable
class StandardScaling(Scaling):
    """Scales each feature to mean 0 and standard deviation 1 (z-score).

    `(x - mean) / std`, both learned by `adapt`, std divided by n. The usual scaling
    for a multilayer perceptron; a single outlier moves mean and std and with them
    every other output, so see `RobustScaling` where there are outliers.

    | value                                  | output                         |
    | -------------------------------------- | ------------------------------ |
    | NaN                                    | NaN; `adapt` skips it          |
    | of a feature that was constant         | 0, whatever the value          |
    | at a masked step                       | 0; the mask goes on            |
    | any, before `adapt` and without weights | ValueError                    |

    Infinite values and a feature of NaN alone are errors in `adapt`. The statistics
    are weights, saved and loaded with the model, not trained. Shape inference, and a
    step that JAX compiles, cannot raise: there outputs before `adapt` are NaN.

    Arithmetic is float32 under every dtype policy, the output then has the policy's
    compute dtype; float64 inputs are computed in float64 where the backend has it
    (in a functional model with `keras.Input(..., dtype="float64")`). Integers become
    float32, which rounds those above 2^24.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, ..., features)`; `features` must be known.
    Output shape: as the input.

    Example:

    ```python
    scaling = keras_trainkit.layers.StandardScaling()
    scaling.adapt(np.array([[1.0, 50.0], [3.0, 90.0]]))
    scaling(np.array([[3.0, 70.0]]))    # [[1, 0]]
    scaling.inverse(np.array([[1.0, 0.0]]))  # [[3, 70]]
    ```

    Source: `keras.layers.Normalization`, whose `axis`, `mean` and `variance` are left
    out. It counts masked steps, divides a constant feature by 1e-7, lets one NaN spoil
    all and keeps the mean in one float32 (Keras 3.15).
    """

    _statistics = (Extremes, Moments)

    def _center_and_spread(
        self, extremes: Extremes, moments: Moments
    ) -> tuple[np.ndarray, np.ndarray]:
        return mean_and_deviation(extremes, moments)
