from typing import Any

import keras

from keras_trainkit._checks import check_count, check_flag
from keras_trainkit._optimizer_access import (
    SavedRates,
    learning_rate_object,
    steps_taken,
    unwrapped,
)
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._types import Optimizer
from keras_trainkit._warnings import warn_user
from keras_trainkit.schedules import OneCycle as LearningRate
from keras_trainkit.schedules import OneCycleMomentum as Momentum


class OneCycle(keras.callbacks.Callback):
    """Runs `fit` on one cycle: learning rate up and down, momentum down and up.

    Reads the number of epochs and steps from `fit`, puts `schedules.OneCycle` and
    `schedules.OneCycleMomentum` into the optimizer before the first step, and is
    idle from then on: the compiled training step computes both values, so no
    Python is called per batch and `steps_per_execution` changes no result.

    The clock starts with the training, wherever the optimizer's own count stands: a
    second `fit` runs a second cycle, and a resumed `fit` (`initial_epoch`,
    `keras.callbacks.BackupAndRestore`) goes on where its cycle was. Epochs before
    `initial_epoch` count as part of the cycle. A step is a batch, also under
    `gradient_accumulation_steps`.

    When training ends, the optimizer gets the learning rate and the momentum back
    that it had before, numbers or schedules: the next `fit`, with this callback or
    without (say, with `keras.callbacks.ReduceLROnPlateau`), starts from what was
    compiled, and so does a model saved after training. A file that another callback
    writes in between, such as `ModelCheckpoint`, holds the schedules. After a `fit`
    that an error or an interrupt has ended they stay in the optimizer, until the next
    `fit` with this callback ends or the model is compiled again.

    The momentum of `keras_trainkit.optimizers` is cycled. Keras' own optimizers
    compile momentum into the step as a constant, so with them the learning rate is
    cycled alone, and a UserWarning says so once; `max_momentum=None` asks for that.

    Args:
        max_learning_rate: Float > 0. The highest rate; see
            `analysis.learning_rate_range_test`.
        total_steps: Int >= 1 or None. Length of the cycle in batches. None means
            epochs times batches; needed only where the data set does not know its
            length.
        min_learning_rate: Float > 0 or None, as in `schedules.OneCycle`.
        final_learning_rate: Float > 0 or None, as in `schedules.OneCycle`.
        warmup_fraction: Float in (0, 1). Share of the steps spent rising.
        annihilation_fraction: Float in [0, 1). Share of the steps at the end spent
            on the way to the final rate; the momentum stays at its maximum there.
        shape: `"linear"` or `"cosine"`.
        max_momentum: Float in [0, 1) or None. Momentum at the lowest rates. None
            leaves the momentum as the optimizer has it.
        min_momentum: Float in [0, 1). Momentum at the highest rate.
        keep_schedules: Bool. True leaves the schedules in the optimizer after
            training, held at their last values.

    Attributes:
        learning_rate: The `schedules.OneCycle` of the latest `fit`, else None.
        momentum: The `schedules.OneCycleMomentum` of the latest `fit`, else None.

    Raises:
        ValueError: From the constructor for a bad argument; from `fit`, before its
            first step, for a data set of unknown length without `total_steps`.

    Example:

    ```python
    model.compile(keras_trainkit.optimizers.AdamW(), loss="mse")
    model.fit(x, y, epochs=20, callbacks=[OneCycle(max_learning_rate=0.01)])
    ```

    Source: Smith, 2018, arXiv:1803.09820. There the values change once per batch on
    the host; here they are part of the compiled step.
    """

    def __init__(
        self,
        max_learning_rate: float,
        *,
        total_steps: int | None = None,
        min_learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        warmup_fraction: float = 0.45,
        annihilation_fraction: float = 0.1,
        shape: str = "linear",
        max_momentum: float | None = 0.95,
        min_momentum: float = 0.85,
        keep_schedules: bool = False,
    ):
        super().__init__()
        check_flag(
            "keep_schedules",
            keep_schedules,
            "leaves the schedules in the optimizer after training",
        )
        if total_steps is not None:
            check_count("total_steps", total_steps, "is the length of the cycle")
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.min_learning_rate = min_learning_rate
        self.final_learning_rate = final_learning_rate
        self.warmup_fraction = warmup_fraction
        self.annihilation_fraction = annihilation_fraction
        self.shape = shape
        self.max_momentum = max_momentum
        self.min_momentum = min_momentum
        self.keep_schedules = keep_schedules
        self.learning_rate: Any = None
        self.momentum: Momentum | None = None
        self._said_rate_only = False
        self._schedules(total_steps=1, start_step=0)

    def set_params(self, params: dict[str, Any]) -> None:
        """Puts schedules in as soon as `fit` names its length.

        That is before any callback's `on_train_begin`: a checkpoint restored there
        matches the optimizer's variables by position, and an optimizer with a
        schedule has one variable fewer than one with a number.
        """
        super().set_params(params)
        self._install(start_step=0)
        self._clock_is_set = False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._clock_is_set:
            return
        # Counted only now: a checkpoint may have been restored since `set_params`.
        self._set_clock(self._start_step(initial_epoch=epoch))

    def on_train_end(self, logs: dict | None = None) -> None:
        """Gives the optimizer back what it had, and forgets the compiled step."""
        optimizer = unwrapped(self.model.optimizer)
        if learning_rate_object(optimizer) is not self.learning_rate:
            return  # another callback has put in a rate of its own
        if self.keep_schedules:
            del self.learning_rate.before
        else:
            self.learning_rate.before.put_back()
            self.model.train_function = None

    def get_state(self) -> dict[str, Any]:
        """The step with which the cycle began, for `TrainState`."""
        return {"start_step": self.learning_rate.start_step}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on with the cycle of which `get_state` has told."""
        start_step = state["start_step"]
        check_count("start_step", start_step, "is in the state", at_least=0)
        if not self._clock_is_set or start_step != self.learning_rate.start_step:
            self._set_clock(start_step)

    def _set_clock(self, start_step: int) -> None:
        self._clock_is_set = True
        self._install(start_step)
        release_graphs()
        # A model that was fitted before has a compiled step with the old schedules.
        self.model.make_train_function(force=True)

    def _start_step(self, initial_epoch: int) -> int:
        taken = steps_taken(self.model.optimizer)
        if initial_epoch == 0:
            return taken
        if self.params["steps"] is not None:
            return taken - initial_epoch * self.params["steps"]
        if taken > self._length():
            raise ValueError(
                "`initial_epoch` tells where in its cycle a resumed `fit` stands, and "
                "with a data set of unknown length the optimizer must not have made "
                "more steps than `total_steps`, or `fit` needs `steps_per_epoch`. "
                f"Received: initial_epoch={initial_epoch}, "
                f"total_steps={self.total_steps}, steps made: {taken}."
            )
        return 0

    def _install(self, start_step: int) -> None:
        optimizer = unwrapped(self.model.optimizer)
        rate, momentum = self._schedules(self._length(), start_step)
        rate.before = self._before(optimizer)
        self.learning_rate = optimizer.learning_rate = rate
        if momentum is None:
            return
        argument = getattr(optimizer, "momentum_argument", None)
        if argument is not None:
            self.momentum = momentum
            setattr(optimizer, argument, momentum)
        elif not self._said_rate_only:
            self._said_rate_only = True
            warn_user(
                f"{type(optimizer).__name__} keeps its momentum constant while it "
                "trains, so OneCycle cycles the learning rate only. To cycle both use "
                "keras_trainkit.optimizers.AdamW or SGDW; to cycle the rate only, "
                "pass max_momentum=None.",
            )

    def _before(self, optimizer: Optimizer) -> SavedRates:
        """The rate and momentum to put back: not those of a cycle that is under way."""
        cycle = getattr(learning_rate_object(optimizer), "before", None)
        return cycle or SavedRates(optimizer)

    def _length(self) -> int:
        if self.total_steps is not None:
            return self.total_steps
        epochs, steps = self.params["epochs"], self.params["steps"]
        if steps is None:
            raise ValueError(
                "`total_steps` is the length of the cycle and must be given where the "
                "data set does not know its length, as "
                "OneCycle(..., total_steps=epochs * batches_per_epoch), or `fit` needs "
                f"`steps_per_epoch`. Received: total_steps=None, epochs={epochs}, "
                "steps of an epoch unknown."
            )
        return max(epochs * steps, 1)  # `fit` of no epoch makes no step

    def _schedules(
        self, total_steps: int, start_step: int
    ) -> tuple[LearningRate, Momentum | None]:
        """Both schedules; their constructors check the arguments."""
        shape: dict[str, Any] = {
            "warmup_fraction": self.warmup_fraction,
            "annihilation_fraction": self.annihilation_fraction,
            "shape": self.shape,
            "start_step": start_step,
        }
        rate = LearningRate(
            self.max_learning_rate,
            total_steps,
            min_learning_rate=self.min_learning_rate,
            final_learning_rate=self.final_learning_rate,
            **shape,
        )
        if self.max_momentum is None:
            return rate, None
        momentum = Momentum(
            total_steps,
            max_momentum=self.max_momentum,
            min_momentum=self.min_momentum,
            **shape,
        )
        return rate, momentum
