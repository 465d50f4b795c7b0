from typing import Any

from keras_trainkit._checks import check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Tensor
from keras_trainkit.schedules._cycle import check_cycle, turning_points
from keras_trainkit.schedules._legs import curve
from keras_trainkit.schedules._schedule import Schedule


@serializable
class OneCycleMomentum(Schedule):
    """Momentum that falls while `OneCycle` rises, rises back, then stays.

    With `cycle = 1 - annihilation_fraction`, as shares of `total_steps` after
    `start_step`:

    | share of the steps    | momentum       |
    | --------------------- | -------------- |
    | 0 and earlier         | `max_momentum` |
    | `warmup_fraction`     | `min_momentum` |
    | `cycle` and later     | `max_momentum` |

    For an optimizer that reads its momentum from a schedule: `momentum` of
    `keras_trainkit.optimizers.SGDW`, `beta_1` of `keras_trainkit.optimizers.AdamW`.
    The five arguments shared with `OneCycle` need the same values there.

    Args:
        total_steps: Int in [1, 10**9]. Length of the run in optimizer steps, not
            epochs.
        max_momentum: Float in [0, 1). Momentum where the learning rate is low.
        min_momentum: Float in [0, `max_momentum`]. Momentum at the peak of the
            learning rate.
        warmup_fraction: Float in (0, 1). Share of the steps until `min_momentum`.
        annihilation_fraction: Float in [0, 1 - `warmup_fraction`). Share of the
            steps at the end spent at `max_momentum`.
        shape: `"linear"` or `"cosine"` (half a wave). The form of both legs.
        start_step: Int from -10**9 to 10**9. The optimizer step at which the cycle
            begins.

    Example:

    ```python
    optimizer = keras_trainkit.optimizers.SGDW(
        keras_trainkit.schedules.OneCycle(0.1, total_steps=1000),
        momentum=keras_trainkit.schedules.OneCycleMomentum(total_steps=1000),
    )
    ```

    Raises:
        ValueError: From the constructor for an argument outside its range.

    Source: Smith, 2018, arXiv:1803.09820, section 4.3 (cyclical momentum). The paper
    leaves the annihilation open; here, as in torch's three phases, momentum has
    returned to its highest value and stays there.
    """

    def __init__(
        self,
        total_steps: int,
        max_momentum: float = 0.95,
        min_momentum: float = 0.85,
        warmup_fraction: float = 0.45,
        annihilation_fraction: float = 0.1,
        shape: str = "linear",
        start_step: int = 0,
    ):
        super().__init__()
        check_number(
            "max_momentum",
            max_momentum,
            "is the momentum at the lowest learning rates",
            at_least=0,
            below=1,
        )
        check_number(
            "min_momentum",
            min_momentum,
            "is the momentum at the peak of the learning rate",
            at_least=0,
            at_most=max_momentum,
        )
        check_cycle(
            total_steps, warmup_fraction, annihilation_fraction, shape, start_step
        )
        self.total_steps = total_steps
        self.max_momentum = max_momentum
        self.min_momentum = min_momentum
        self.warmup_fraction = warmup_fraction
        self.annihilation_fraction = annihilation_fraction
        self.shape = shape
        self.start_step = start_step

    def __call__(self, step: Tensor) -> Tensor:
        start, peak, cycle, _ = turning_points(self)
        high, low = self.max_momentum, self.min_momentum
        return curve(step, [(start, high), (peak, low), (cycle, high)], self.shape)

    @property
    def peak_step(self) -> float:
        """The step of the highest learning rate and the lowest momentum: float."""
        return turning_points(self)[1]

    def get_config(self) -> dict[str, Any]:
        return {
            "total_steps": self.total_steps,
            "max_momentum": self.max_momentum,
            "min_momentum": self.min_momentum,
            "warmup_fraction": self.warmup_fraction,
            "annihilation_fraction": self.annihilation_fraction,
            "shape": self.shape,
            "start_step": self.start_step,
        }
