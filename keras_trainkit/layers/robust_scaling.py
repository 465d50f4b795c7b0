from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._checks import check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._statistics import Extremes, Quantiles
from keras_trainkit._statistics.centers import median_and_spread
from keras_trainkit._types import Tensor
from keras_trainkit.layers._scaling import Scaling


@serializable
class RobustScaling(Scaling):
    """Scales each feature by median and quartiles, then clips outliers smoothly.

    `z = (x - median) / (q75 - q25)`, then `z / sqrt(1 + (z / clip)^2)`, which is
    about z near 0 and never leaves (-clip, clip). Outliers move neither the median nor
    the quartiles, and their own output stays small.

    | spread of the feature in training      | z                                  |
    | -------------------------------------- | ---------------------------------- |
    | q75 > q25                              | `(x - median) / (q75 - q25)`       |
    | q75 = q25, max > min (mostly one value) | `(x - median) / (max - min)`      |
    | constant                               | 0, whatever the value              |

    Quartiles are exact (`np.quantile`'s linear rule) up to 1,000,000 values per
    feature, kept in 8 MB; beyond that, in the same memory, the rank of a quartile is
    off by less than 0.01 % of the values (up to 1e9 of them). NaN stays NaN and a
    masked step gives 0. What is an error, what is saved and in which precision it
    computes: as in `StandardScaling`.

    Args:
        clip: Float > 0, or None. The bound of the outputs; at z = clip the output is
            0.71 clip. None leaves z as it is.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, ..., features)`; `features` must be known.
    Output shape: as the input.

    `inverse` undoes the clipping too, `z = y / sqrt(1 - (y / clip)^2)`, with fewer
    correct digits the nearer y is to the bound; from the bound on it gives infinity.

    Example:

    ```python
    scaling = keras_trainkit.layers.RobustScaling()
    scaling.adapt(np.array([[1.0], [2.0], [3.0], [4.0], [1000.0]]))
    scaling(np.array([[3.0], [1000.0]]))  # [[0], [3.0]]
    ```

    Source: Holzmüller, Grinsztajn and Steinwart, 2024, arXiv:2407.04491 (RealMLP:
    robust scaling and smooth clipping, clip 3). There the fallback is
    `2 (x - median) / (max - min)`; here it has no factor 2.
    """

    _statistics = (Extremes, Quantiles)

    def __init__(self, clip: float | None = 3.0, **kwargs: Any):
        super().__init__(**kwargs)
        if clip is not None:
            check_number(
                "clip",
                clip,
                "is the bound that outputs approach (None for no bound)",
                above=0,
            )
        self.clip = clip

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip": self.clip}

    def _center_and_spread(
        self, extremes: Extremes, quantiles: Quantiles
    ) -> tuple[np.ndarray, np.ndarray]:
        return median_and_spread(extremes, quantiles)

    def _transform(self, z: Tensor) -> Tensor:
        if self.clip is None:
            return z
        share = ops.clip(z / self.clip, -1e9, 1e9)  # its square stays finite
        return self.clip * share / ops.sqrt(1 + share**2)

    def _inverse_transform(self, y: Tensor) -> Tensor:
        if self.clip is None:
            return y
        share = ops.clip(y / self.clip, -1.0, 1.0)
        return y / ops.sqrt((1 - share) * (1 + share))
