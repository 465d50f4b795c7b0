import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_flag, check_number
from keras_trainkit._optimizer_access import step_variable, variable_index
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Schedule, Tensor
from keras_trainkit.optimizers._arguments import ScheduledNumber, or_schedule, value_at
from keras_trainkit.optimizers._decoupled_decay import DecoupledDecay


@serializable
class AdamW(DecoupledDecay):
    """Adam with decoupled weight decay; rate, momentum and decay may be schedules.

    At step t, with gradient g, and for each weight theta:

    ```
    m = beta_1 m + (1 - beta_1) g          m_hat = m / w
    v = beta_2 v + (1 - beta_2) g^2        v_hat = v / (1 - beta_2^t)
    w = beta_1 w + (1 - beta_1)            one number for the whole model
    theta -= learning_rate (m_hat / (sqrt(v_hat) + epsilon) + weight_decay theta)
    ```

    `w` is the total weight of the gradients in `m`: `1 - beta_1^t` for a constant
    `beta_1`, and 1 minus the product of all its values for a schedule, so that
    `m_hat` is a true weighted mean of the gradients whatever path `beta_1` took.
    (`1 - beta_1^t` with today's value, as in torch, is up to 13 % too large early in
    a one-cycle run of 100 steps, 2 % in one of 1000.)

    The decay is the same share of every decayed weight, whatever its gradient. Left
    alone are biases, scales and offsets: variables of rank 0 or 1, and those whose
    own name ends in `alpha`, `beta`, `bias`, `gamma`, `offset`, `scale` or `shift`.
    Kernels and embedding tables decay. `exclude_from_weight_decay` adds to the
    exceptions; it is not saved, so call it again after loading.

    `learning_rate`, `beta_1` and `weight_decay` may be schedules, computed inside the
    compiled step from the optimizer's own count of batches, the clock Keras gives to
    learning-rate schedules (under `gradient_accumulation_steps` too). A number or a
    schedule may be assigned to `beta_1` and `weight_decay` later; a compiled step
    takes no notice until `model.make_train_function(force=True)`. The class attribute
    `momentum_argument` says which argument holds the momentum: `callbacks.OneCycle`
    assigns its schedule to it.

    Args:
        learning_rate: Float >= 0, a `LearningRateSchedule`, or a function without
            arguments as in Keras (a file with one opens with `compile=False` only).
        weight_decay: Float >= 0, a `LearningRateSchedule` or None. Share of a weight
            taken off per unit of learning rate; 0 and None are plain Adam.
        beta_1: Float in [0, 1) or a `LearningRateSchedule`. Momentum: weight of the
            past in the mean of gradients.
        beta_2: Float in [0, 1). Weight of the past in the mean of squared gradients.
        epsilon: Float > 0. Added to the root, after its bias correction.
        amsgrad: Bool. True puts the largest v so far in the place of v.
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
    momentum = keras.optimizers.schedules.PolynomialDecay(0.95, 1000, 0.85)
    optimizer = keras_trainkit.optimizers.AdamW(0.002, beta_1=momentum)
    ```

    Source: Loshchilov and Hutter, 2019, arXiv:1711.05101, algorithm 2. There the
    decay is not multiplied by the learning rate, only by its schedule's factor; here,
    as in Keras and torch, it is: `weight_decay` is the paper's lambda divided by its
    alpha. Keras' AdamW adds its epsilon (1e-7) before the bias correction, has a
    decay of 0.004 for every variable, and is otherwise equal for constant arguments,
    with `amsgrad` (Reddi et al., 2018, arXiv:1904.09237) too.
    """

    momentum_argument = "beta_1"
    beta_1 = ScheduledNumber(
        or_schedule("is the weight of past gradients"), at_least=0, below=1
    )

    def __init__(
        self,
        learning_rate: float | Schedule | Callable = 0.001,
        weight_decay: float | Schedule | None = 0.01,
        beta_1: float | Schedule = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        amsgrad: bool = False,
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
        check_number(
            "beta_2",
            beta_2,
            "is the weight of past squared gradients",
            at_least=0,
            below=1,
        )
        check_number("epsilon", epsilon, "keeps a division finite", above=0)
        check_flag("amsgrad", amsgrad, "keeps the largest squared gradients")
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._gradient_weight = self.add_variable(
            (), aggregation="only_first_replica", name="gradient_weight"
        )
        self._means, self._squares = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        if self.amsgrad:
            self._largest_squares = self.add_optimizer_variables(
                variables, "velocity_hat"
            )

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        dtype = variable.dtype
        index = variable_index(self, variable)
        m, v = self._means[index], self._squares[index]
        g = ops.cast(gradient, dtype)
        fresh, w, square_weight, decay = self._shared(dtype)

        self.assign_add(m, (g - m) * fresh)
        self.assign_add(v, (ops.square(g) - v) * (1 - self.beta_2))
        if self.amsgrad:
            largest = self._largest_squares[index]
            self.assign(largest, ops.maximum(largest, v))
            v = largest
        m_hat = m / w
        v_hat = v / square_weight
        update = m_hat / (ops.sqrt(v_hat) + self.epsilon)
        if self._use_weight_decay(variable):
            update += decay * variable
        self.assign_sub(variable, ops.cast(learning_rate, dtype) * update)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }

    def _begin_update(self) -> tuple[Tensor, ...]:
        w = self._gradient_weight
        fresh = 1 - value_at(self.beta_1, step_variable(self))
        self.assign_add(w, (1 - w) * ops.cast(fresh, w.dtype))
        return fresh, w, self._square_weight()

    def _square_weight(self) -> Tensor:
        """`1 - beta_2^t`, in a form that loses no digits while it is small."""
        if self.beta_2 == 0:
            return 1.0
        updates = ops.cast(self.iterations + 1, self._gradient_weight.dtype)
        return -ops.expm1(updates * math.log(self.beta_2))
