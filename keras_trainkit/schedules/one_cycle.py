from typing import Any

from keras_trainkit._checks import check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Tensor
from keras_trainkit.schedules._cycle import check_cycle, turning_points
from keras_trainkit.schedules._legs import curve
from keras_trainkit.schedules._schedule import Schedule


@serializable
class OneCycle(Schedule):
    """Learning rate that rises once, falls back, then all but vanishes.

    With `cycle = 1 - annihilation_fraction`, as shares of `total_steps` after
    `start_step`:

    | share of the steps    | learning rate         |
    | --------------------- | --------------------- |
    | 0 and earlier         | `min_learning_rate`   |
    | `warmup_fraction`     | `max_learning_rate`   |
    | `cycle`               | `min_learning_rate`   |
    | 1 and later           | `final_learning_rate` |

    With `annihilation_fraction=0` the third row falls away and the rate goes from
    the highest straight to the final one: the shape of fastai and of torch.

    Args:
        max_learning_rate: Float > 0. The highest rate; see the range test.
        total_steps: Int in [1, 10**9]. Length of the run in optimizer steps, not
            epochs: `epochs * math.ceil(num_samples / batch_size)`. A step is a
            batch, also under `gradient_accumulation_steps`.
        min_learning_rate: Float in (0, `max_learning_rate`) or None. The rate the
            cycle rises from. None means `max_learning_rate / 10`.
        final_learning_rate: Float in (0, `min_learning_rate`] or None. None means a
            hundredth of the lowest rate of the cycle.
        warmup_fraction: Float in (0, 1). Share of the steps spent rising.
        annihilation_fraction: Float in [0, 1 - `warmup_fraction`). Share of the
            steps at the end spent between the lowest rate of the cycle and the
            final one.
        shape: `"linear"` or `"cosine"` (half a wave). The form of each leg.
        start_step: Int from -10**9 to 10**9. The optimizer step at which the cycle
            begins, for an optimizer that has been used before; negative where part
            of the cycle lies before step 0.

    Example:

    ```python
    steps = 20 * math.ceil(len(x_train) / 32)
    schedule = keras_trainkit.schedules.OneCycle(0.1, total_steps=steps)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    ```

    Raises:
        ValueError: From the constructor for an argument outside its range.

    Source: Smith, 2018, arXiv:1803.09820, and Smith and Topin, 2018,
    arXiv:1708.07120. Legs are straight lines, as there. fastai's `fit_one_cycle` is
    `OneCycle(peak, steps, peak / 25, peak / 1e5, 0.25, 0, shape="cosine")`.

    torch's `OneCycleLR` counts its `total_steps` N from 0 to N - 1 and the share p
    (`pct_start`) likewise, so that its rates are those of

    ```python
    OneCycle(
        max_lr,
        total_steps=N - 1,
        min_learning_rate=max_lr / div_factor,
        final_learning_rate=max_lr / div_factor / final_div_factor,
        warmup_fraction=(p * N - 1) / (N - 1),
        annihilation_fraction=0,
        shape="cosine",
    )
    ```

    and with `three_phase=True` those with
    `annihilation_fraction=1 - 2 * warmup_fraction`; its defaults are p = 0.3,
    `div_factor=25` and `final_div_factor=1e4`. Its `cycle_momentum` is
    `OneCycleMomentum` with the same N - 1 steps, fractions and shape. In
    `callbacks.OneCycle` N is epochs times batches, and `total_steps` has to be given.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        min_learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        warmup_fraction: float = 0.45,
        annihilation_fraction: float = 0.1,
        shape: str = "linear",
        start_step: int = 0,
    ):
        super().__init__()
        check_number("max_learning_rate", max_learning_rate, "is the peak", above=0)
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.min_learning_rate = min_learning_rate
        self.final_learning_rate = final_learning_rate
        self.warmup_fraction = warmup_fraction
        self.annihilation_fraction = annihilation_fraction
        self.shape = shape
        self.start_step = start_step
        self._check_rates()
        check_cycle(
            total_steps, warmup_fraction, annihilation_fraction, shape, start_step
        )

    def __call__(self, step: Tensor) -> Tensor:
        low, final = self._low(), self._final()
        start, peak, cycle, end = turning_points(self)
        points = [(start, low), (peak, self.max_learning_rate)]
        if self.annihilation_fraction:
            points.append((cycle, low))
        return curve(step, [*points, (end, final)], self.shape)

    @property
    def peak_step(self) -> float:
        """The step of the highest rate, a float that need not be whole."""
        return turning_points(self)[1]

    def get_config(self) -> dict[str, Any]:
        return {
            "max_learning_rate": self.max_learning_rate,
            "total_steps": self.total_steps,
            "min_learning_rate": self.min_learning_rate,
            "final_learning_rate": self.final_learning_rate,
            "warmup_fraction": self.warmup_fraction,
            "annihilation_fraction": self.annihilation_fraction,
            "shape": self.shape,
            "start_step": self.start_step,
        }

    def _check_rates(self) -> None:
        check_number(
            "min_learning_rate",
            self._low(),
            "starts the cycle",
            above=0,
            below=self.max_learning_rate,
        )
        check_number(
            "final_learning_rate",
            self._final(),
            "ends the run",
            above=0,
            at_most=self._low(),
        )

    def _low(self) -> float:
        low = self.min_learning_rate
        return self.max_learning_rate / 10 if low is None else low

    def _final(self) -> float:
        final = self.final_learning_rate
        return self._low() / 100 if final is None else final
