from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_flag
from keras_trainkit._optimizer_access import step_variable, variable_index
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Schedule, Tensor
from keras_trainkit.optimizers._arguments import ScheduledNumber, or_schedule, value_at
from keras_trainkit.optimizers._decoupled_decay import DecoupledDecay


@serializable
class SGDW(DecoupledDecay):
    """Momentum SGD with decoupled decay; rate, momentum, decay may be schedules.

    At each step, with gradient g, and for each weight theta:

    ```
    velocity = momentum velocity - learning_rate g
    theta += velocity                 - learning_rate weight_decay theta
    ```

    With `nesterov` the look-ahead form of Keras, where the gradient is taken at the
    point that the velocity leads to:

    ```
    theta += momentum velocity - learning_rate g - learning_rate weight_decay theta
    ```

    The decay never enters the velocity, so it is the same share of every decayed
    weight, whatever its gradient, and momentum does not multiply it. (An L2 penalty
    does: with momentum 0.9 it shrinks ten times as much.) When the rate is a
    schedule, past gradients keep the rate they came with.

    Left alone by the decay are biases, scales and offsets: variables of rank 0 or 1,
    and those whose own name ends in `alpha`, `beta`, `bias`, `gamma`, `offset`,
    `scale` or `shift`. Kernels and embedding tables decay.
    `exclude_from_weight_decay` adds to the exceptions; it is not saved, so call it
    again after loading.

    `learning_rate`, `momentum` and `weight_decay` may be schedules, computed inside
    the compiled step from the optimizer's own count of batches, the clock Keras gives
    to learning-rate schedules (under `gradient_accumulation_steps` too). A number or a
    schedule may be assigned to `momentum` and `weight_decay` later; a compiled step
    takes no notice until `model.make_train_function(force=True)`. The class attribute
    `momentum_argument` says which argument holds the momentum: `callbacks.OneCycle`
    assigns its schedule to it.

    Args:
        learning_rate: Float >= 0, a `LearningRateSchedule`, or a function without
            arguments as in Keras (a file with one opens with `compile=False` only).
        momentum: Float in [0, 1) or a `LearningRateSchedule`. Share of the velocity
            kept from step to step; 0 is plain gradient descent.
        weight_decay: Float >= 0, a `LearningRateSchedule` or None. Share of a weight
            taken off per unit of learning rate; None is 0. The defaults of this class
            and of `AdamW` take the same share per step.
        nesterov: Bool. Nesterov's momentum, see above.
        decay_biases_and_scales: Bool. True decays every variable.
        clipnorm: Float > 0 or None. Largest norm of the gradient of one variable.
        clipvalue: Float > 0 or None. Largest absolute value in a gradient.
        global_clipnorm: Float > 0 or None. Largest norm of all gradients together.
            At most one of the three limits; None is no limit. All three limit the
            gradient of the whole batch, with replicas of `tf.distribute` too.
        use_ema: Bool. Keeps an exponentially weighted average of the weights.
        ema_momentum: Float in [0, 1]. Weight of the past in that average.
        ema_overwrite_frequency: Int >= 1 or None. Updates after which the average
            replaces the weights; None leaves that to the end of `fit`, as it must be
            with replicas of `tf.distribute`.
        loss_scale_factor: Float > 0 or None. Multiplies the loss and divides the
            gradients, against underflow.
        gradient_accumulation_steps: Int >= 2 or None. Batches whose mean gradient
            makes one update; None updates after each batch, as it must be with
            replicas of `tf.distribute`.
        name: String or None. None makes one up.

    Raises:
        ValueError: For an argument out of its range, at assignment too. When it is
            built for replicas of `tf.distribute`, for the two arguments above.

    Example:

    ```python
    rate = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=1000)
    optimizer = keras_trainkit.optimizers.SGDW(rate, nesterov=True)
    ```

    Source: Loshchilov and Hutter, 2019, arXiv:1711.05101, algorithm 1, whose rate is
    `eta_t alpha` (a schedule's factor times a constant) and whose decay is
    `eta_t lambda`. Here the decay is multiplied by the whole rate, as in Keras and
    torch: `weight_decay` is the paper's lambda divided by its alpha. Nesterov's form
    is not in the paper.
    """

    momentum_argument = "momentum"
    momentum = ScheduledNumber(
        or_schedule("is the share of the velocity kept"), at_least=0, below=1
    )

    def __init__(
        self,
        learning_rate: float | Schedule | Callable = 0.01,
        momentum: float | Schedule = 0.9,
        nesterov: bool = False,
        weight_decay: float | Schedule | None = 0.001,
        *,
        decay_biases_and_scales: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ):
        check_flag("nesterov", nesterov, "switches the look-ahead form on")
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            decay_biases_and_scales=decay_biases_and_scales,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "momentum")

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        dtype = variable.dtype
        velocity = self._velocities[variable_index(self, variable)]
        learning_rate = ops.cast(learning_rate, dtype)
        momentum, decay = self._shared(dtype)

        step = learning_rate * ops.cast(gradient, dtype)
        self.assign(velocity, momentum * velocity - step)
        update = momentum * velocity - step if self.nesterov else velocity
        if self._use_weight_decay(variable):
            update = update - learning_rate * decay * variable
        self.assign_add(variable, update)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "nesterov": self.nesterov,
        }

    def _begin_update(self) -> tuple[Tensor, ...]:
        return (value_at(self.momentum, step_variable(self)),)
