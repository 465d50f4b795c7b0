from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._checks import check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._augmentation import Augmentation, where_steps


@serializable
class GaussianFeatureNoise(Augmentation):
    """Adds normal noise to features while training; masked steps stay what they were.

    Stands behind a scaling, where each feature has a spread of about 1: then `stddev`
    is a share of the spread of the feature in the training rows. 0.05 to 0.3 is usual.

    Args:
        stddev: Float >= 0, or a list or tuple of them, one per feature (0 for one that
            must stay exact, as a code or a flag). Standard deviation of the noise, in
            the unit of the inputs.
        seed: Int >= 0. None: a random one.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Features.
        mask: Bools, `(batch, time)`, True where a step is valid. None: all are.
        training: Bool. Without it inputs pass unchanged.

    Input shape: `(batch, ..., features)`.
    Output shape: as the input.

    Example:

    ```python
    inputs = keras.Input((3,))
    x = StandardScaling()(inputs)
    x = GaussianFeatureNoise([0.1, 0.1, 0])(x)
    ```

    Source: Bishop, 1995, Neural Computation 7(1), 108-116: for small noise the same as
    a penalty on the slope of the network. Like `keras.layers.GaussianNoise`, which
    knows no masks and one `stddev`.
    """

    def __init__(
        self,
        stddev: float | Sequence[float] = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ):
        several = np.ndim(stddev) == 1 and np.size(stddev) > 0
        each: list[Any] = np.asarray(stddev).tolist() if several else [stddev]
        for value in each:
            check_number("stddev", value, "is the spread of the noise", at_least=0)
        super().__init__(seed, **kwargs)
        self.stddev = [float(value) for value in each] if several else float(each[0])

    def build(self, input_shape: Shape) -> None:
        if isinstance(self.stddev, float):
            return
        if len(self.stddev) != input_shape[-1]:
            raise ValueError(
                "`stddev` is the spread of the noise and must be one number, or one "
                f"for each of the {input_shape[-1]} features. Received: "
                f"stddev={self.stddev}."
            )

    def augment(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        stddev = ops.convert_to_tensor(self.stddev, dtype="float32")
        noise = self.normal(ops.shape(inputs)) * stddev
        noisy = inputs + ops.cast(noise, self.compute_dtype)
        if mask is None:
            return noisy
        return where_steps(valid_steps(inputs, mask), noisy, inputs)

    def get_config(self) -> dict[str, Any]:
        # Keras keeps a list as one that cannot be copied.
        stddev = list(self.stddev) if isinstance(self.stddev, list) else self.stddev
        return {**super().get_config(), "stddev": stddev}
