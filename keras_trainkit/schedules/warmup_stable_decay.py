from typing import Any

from keras import ops

from keras_trainkit._checks import check_choice, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Tensor
from keras_trainkit.schedules._legs import (
    SHAPES,
    check_steps,
    constant,
    leg,
    steps_since,
)
from keras_trainkit.schedules._schedule import Schedule


@serializable
class WarmupStableDecay(Schedule):
    """Learning rate that rises, holds until told, then decays.

    | step                        | learning rate           |
    | --------------------------- | ----------------------- |
    | 0                           | `initial_learning_rate` |
    | `warmup_steps`              | `learning_rate`         |
    | `decay_start`               | `learning_rate`         |
    | `+ decay_steps` and later   | `final_learning_rate`   |

    The length of the run need not be known when it begins. A schedule never changes:
    `decay_from(step)` returns a new one, and `callbacks.StartDecay` puts it into a
    running optimizer. Branches with decays from different moments of one trunk are
    loaded from the trunk's saved models.

    Args:
        learning_rate: Float > 0. The rate that is held.
        warmup_steps: Int in [0, 10**9]. Length of the linear rise in optimizer
            steps; 0 for none.
        decay_steps: Int in [1, 10**9]. Length of the decay in optimizer steps. A
            tenth to a fifth of the run is usual.
        decay_start: Int in [`warmup_steps`, 10**9] or None. The optimizer step at
            which the decay begins. None holds the rate for ever.
        initial_learning_rate: Float in [0, `learning_rate`]. The rate at step 0 of
            the rise. With 0.0 the first step changes nothing.
        final_learning_rate: Float in [0, `learning_rate`]. The rate from the end of
            the decay on. At 0.0 training stands still from there.
        shape: `"linear"`, `"cosine"` (half a wave) or `"sqrt"` (1 - sqrt(share),
            steep at first). The form of the decay.

    Example:

    ```python
    schedule = keras_trainkit.schedules.WarmupStableDecay(
        0.1, warmup_steps=500, decay_steps=2000
    )
    model.compile(keras.optimizers.SGD(schedule), loss="mse")
    decay = keras_trainkit.callbacks.StartDecay(epoch=40)
    model.fit(x, y, epochs=50, callbacks=[decay])
    ```

    Raises:
        ValueError: From the constructor for an argument outside its range.

    Source: Hu et al., 2024, arXiv:2404.06395 (warm-up, stable, decay), and Hägele et
    al., 2024, arXiv:2405.18392 (linear and 1 - sqrt decay to 0). The exponential
    decay of the former is not offered.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        decay_steps: int,
        decay_start: int | None = None,
        *,
        initial_learning_rate: float = 0.0,
        final_learning_rate: float = 0.0,
        shape: str = "linear",
    ):
        super().__init__()
        check_number("learning_rate", learning_rate, "is the rate held", above=0)
        check_steps(
            "warmup_steps",
            warmup_steps,
            "is the length of the rise in batches",
            at_least=0,
        )
        check_steps("decay_steps", decay_steps, "is the length of the decay in batches")
        if decay_start is not None:
            check_steps(
                "decay_start",
                decay_start,
                "is the step where the decay begins, not before the rise is over,",
                at_least=warmup_steps,
            )
        check_number(
            "initial_learning_rate",
            initial_learning_rate,
            "is where the rise begins",
            at_least=0,
            at_most=learning_rate,
        )
        check_number(
            "final_learning_rate",
            final_learning_rate,
            "is where the decay ends",
            at_least=0,
            at_most=learning_rate,
        )
        check_choice("shape", shape, "is the form of the decay", (*SHAPES, "sqrt"))
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.decay_start = decay_start
        self.initial_learning_rate = initial_learning_rate
        self.final_learning_rate = final_learning_rate
        self.shape = shape

    def __call__(self, step: Tensor) -> Tensor:
        held, start = self.learning_rate, self.decay_start
        rate = constant(step, held)
        if self.warmup_steps:
            low = self.initial_learning_rate
            rate = leg(step, 0, self.warmup_steps, low, held, "linear")
        if start is None:
            return rate
        final, end = self.final_learning_rate, start + self.decay_steps
        decay = leg(step, start, end, held, final, self.shape)
        return ops.where(steps_since(step, start) < 0, rate, decay)

    def decay_from(self, step: int) -> "WarmupStableDecay":
        """A copy of this schedule whose decay begins at `step`.

        Args:
            step: Int in [`warmup_steps`, 10**9]. An optimizer step: a batch, also
                under `gradient_accumulation_steps`.
        """
        return type(self).from_config({**self.get_config(), "decay_start": step})

    @property
    def peak_step(self) -> int:
        """The step at which the highest rate is reached."""
        return self.warmup_steps

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
            "decay_start": self.decay_start,
            "initial_learning_rate": self.initial_learning_rate,
            "final_learning_rate": self.final_learning_rate,
            "shape": self.shape,
        }
