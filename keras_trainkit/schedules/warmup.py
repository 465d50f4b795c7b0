from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Schedule as AnySchedule
from keras_trainkit._types import Tensor, is_schedule
from keras_trainkit.schedules._legs import SHAPES, check_steps, leg
from keras_trainkit.schedules._schedule import Schedule


@serializable
class Warmup(Schedule):
    """A rise before any schedule, or before a constant rate.

    | step                  | learning rate                         |
    | --------------------- | ------------------------------------- |
    | 0                     | `initial_learning_rate`               |
    | `warmup_steps`        | `schedule(0)`                         |
    | `warmup_steps + n`    | `schedule(n)`                         |

    The schedule starts from its own step 0 when the rise is over, so no part of it
    is skipped and the whole is `warmup_steps` longer.

    Args:
        schedule: Float > 0, or a `keras.optimizers.schedules.LearningRateSchedule`,
            of Keras, of this package or your own (registered, if it is to be saved).
        warmup_steps: Int in [1, 10**9]. Length of the rise in optimizer steps.
        initial_learning_rate: Float >= 0, and below `schedule` where that is a
            number. The rate at step 0. With 0.0 the first step changes nothing.
        shape: `"linear"` or `"cosine"` (half a wave). The form of the rise.

    Example:

    ```python
    decay = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=9000)
    optimizer = keras.optimizers.SGD(
        keras_trainkit.schedules.Warmup(decay, warmup_steps=1000)
    )
    ```

    Raises:
        ValueError: From the constructor for an argument outside its range.

    Source: Goyal et al., 2017, arXiv:1706.02677, section 2.2, "gradual warmup":
    linear, from the rate of a single worker. The cosine rise is that of fastai.
    """

    def __init__(
        self,
        schedule: float | AnySchedule,
        warmup_steps: int,
        initial_learning_rate: float = 0.0,
        shape: str = "linear",
    ):
        super().__init__()
        highest = None
        if not is_schedule(schedule):
            check_number(
                "schedule",
                schedule,
                "is the rate after the rise, if not a LearningRateSchedule,",
                above=0,
            )
            highest = schedule
        check_steps(
            "warmup_steps", warmup_steps, "is the length of the rise in batches"
        )
        check_number(
            "initial_learning_rate",
            initial_learning_rate,
            "is where the rise begins",
            at_least=0,
            below=highest,
        )
        check_choice("shape", shape, "is the form of the rise", SHAPES)
        self.schedule: Any = schedule
        self.warmup_steps = warmup_steps
        self.initial_learning_rate = initial_learning_rate
        self.shape = shape

    def __call__(self, step: Tensor) -> Tensor:
        target = self.schedule
        if is_schedule(target):
            # Asked for its step 0 until the rise is over.
            target = target(ops.maximum(step - self.warmup_steps, 0))
        low, end = self.initial_learning_rate, self.warmup_steps
        return leg(step, 0, end, low, target, self.shape)

    @property
    def peak_step(self) -> float:
        """The step of the highest rate; only where the schedule says where its is.

        Raises:
            AttributeError: If the schedule has no `peak_step`, so that `hasattr`
                and `getattr` with a default tell.
        """
        if not is_schedule(self.schedule):
            return self.warmup_steps
        return self.warmup_steps + max(self.schedule.peak_step, 0)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "warmup_steps": self.warmup_steps,
            "initial_learning_rate": self.initial_learning_rate,
            "shape": self.shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        """Builds the schedule inside first."""
        schedule = keras.saving.deserialize_keras_object(config.get("schedule"))
        return cls(**{**config, "schedule": schedule})
