import math
from typing import Any

from keras import ops

from keras_trainkit._checks import check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Tensor
from keras_trainkit.schedules._legs import check_steps
from keras_trainkit.schedules._schedule import Schedule


@serializable
class StepDecay(Schedule):
    """Learning rate that drops by the same factor every so many steps.

    `initial_learning_rate * decay_rate ** floor(step / decay_steps)`: the first drop
    is at step `decay_steps`.

    Args:
        initial_learning_rate: Float > 0. The rate until the first drop.
        decay_steps: Int in [1, 10**9]. Optimizer steps from drop to drop, not
            epochs: `epochs_between_drops * math.ceil(num_samples / batch_size)`.
        decay_rate: Float in (0, 1]. What the rate is multiplied by at each drop.

    Example:

    ```python
    schedule = keras_trainkit.schedules.StepDecay(0.1, decay_steps=3000)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    ```

    Raises:
        ValueError: From the constructor for an argument outside its range.

    Source: Ge et al., 2019, arXiv:1904.12838 (t in epochs there, in steps here).
    Keras' `ExponentialDecay(staircase=True)` is the same formula in float32, and a
    compiled step (TensorFlow, JAX) multiplies by the reciprocal instead of dividing:
    with some `decay_steps` (41, 47, 55, 61...) drops come one step late there (Keras
    3.15). Here steps are divided as integers.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float = 0.1
    ):
        super().__init__()
        check_number(
            "initial_learning_rate",
            initial_learning_rate,
            "is the rate until the first drop",
            above=0,
        )
        check_steps("decay_steps", decay_steps, "is the time between drops in batches")
        check_number(
            "decay_rate",
            decay_rate,
            "multiplies the rate at each drop",
            above=0,
            at_most=1,
        )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate

    def __call__(self, step: Tensor) -> Tensor:
        drops = ops.cast(step // self.decay_steps, "float32")
        # The logarithm keeps the digits of a rate close to 1 over many drops.
        return self.initial_learning_rate * ops.exp(drops * math.log(self.decay_rate))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
        }
