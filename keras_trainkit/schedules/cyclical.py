import math
from typing import Any

from keras import ops

from keras_trainkit._checks import check_choice, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Tensor
from keras_trainkit.schedules._legs import check_steps
from keras_trainkit.schedules._schedule import Schedule

MODES = ("triangular", "triangular2", "exp_range")


@serializable
class Cyclical(Schedule):
    """Learning rate that goes up and down between two bounds for ever.

    Straight lines: the lowest rate at step 0, the highest `half_cycle_steps` later,
    the lowest again after as many more, and so on.

    | `mode`          | height of the triangle over `min_learning_rate`   |
    | --------------- | ------------------------------------------------- |
    | `"triangular"`  | always the same                                   |
    | `"triangular2"` | half as high in each new cycle                    |
    | `"exp_range"`   | multiplied by `gamma ** step`, at every step      |

    Args:
        min_learning_rate: Float > 0. The lower bound.
        max_learning_rate: Float above `min_learning_rate`. The upper bound, reached
            in the middle of the first cycle (`"exp_range"` stays just below it).
        half_cycle_steps: Int in [1, 10**9]. Optimizer steps from one bound to the
            other; the paper advises 2 to 10 epochs' worth.
        mode: `"triangular"`, `"triangular2"` or `"exp_range"`.
        gamma: Float in (0, 1] or None. The factor per step of `"exp_range"`, which
            needs it; the other modes take None only.

    Example:

    ```python
    schedule = keras_trainkit.schedules.Cyclical(0.01, 0.1, half_cycle_steps=2000)
    optimizer = keras.optimizers.SGD(schedule)
    ```

    Raises:
        ValueError: From the constructor for an argument outside its range.

    Source: Smith, 2017, arXiv:1506.01186, section 3. There the lower bound of
    `"exp_range"` declines as well; here it stays, as in torch's `CyclicLR`.
    `gamma ** step` is computed as `exp(step * log(gamma))`, since a gamma close to 1
    loses its digits in float32.
    """

    def __init__(
        self,
        min_learning_rate: float,
        max_learning_rate: float,
        half_cycle_steps: int,
        mode: str = "triangular",
        gamma: float | None = None,
    ):
        super().__init__()
        check_number(
            "min_learning_rate", min_learning_rate, "is the low bound", above=0
        )
        low = min_learning_rate
        check_number("max_learning_rate", max_learning_rate, "is the peak", above=low)
        check_steps(
            "half_cycle_steps",
            half_cycle_steps,
            "is the way from one bound to the other in batches",
        )
        check_choice("mode", mode, "says what becomes of the peaks", MODES)
        _check_gamma(mode, gamma)
        self.min_learning_rate = min_learning_rate
        self.max_learning_rate = max_learning_rate
        self.half_cycle_steps = half_cycle_steps
        self.mode = mode
        self.gamma = gamma

    def __call__(self, step: Tensor) -> Tensor:
        cycle_steps = 2 * self.half_cycle_steps
        position = ops.cast(step % cycle_steps, "float32") / self.half_cycle_steps
        height = (1 - ops.abs(1 - position)) * self._scale(step, step // cycle_steps)
        return self.min_learning_rate * (1 - height) + self.max_learning_rate * height

    @property
    def peak_step(self) -> int:
        """The step at the top of the first triangle."""
        return self.half_cycle_steps

    def get_config(self) -> dict[str, Any]:
        return {
            "min_learning_rate": self.min_learning_rate,
            "max_learning_rate": self.max_learning_rate,
            "half_cycle_steps": self.half_cycle_steps,
            "mode": self.mode,
            "gamma": self.gamma,
        }

    def _scale(self, step: Tensor, cycles: Tensor) -> float | Tensor:
        if self.mode == "triangular2":
            return ops.power(0.5, ops.cast(cycles, "float32"))
        if self.gamma is None:
            return 1.0
        return ops.exp(ops.cast(step, "float32") * math.log(self.gamma))


def _check_gamma(mode: str, gamma: float | None) -> None:
    if mode == "exp_range":
        check_number(
            "gamma",
            gamma,
            'is the factor per step of mode "exp_range"',
            above=0,
            at_most=1,
        )
    elif gamma is not None:
        raise ValueError(
            '`gamma` is the factor per step of mode "exp_range" and must be None in '
            f"the other modes. Received: gamma={gamma!r}, mode={mode!r}."
        )
