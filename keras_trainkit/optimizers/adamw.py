import math

import keras
from keras import ops

from keras_trainkit._checks import check_flag, check_number
from keras_trainkit._serialization import serializable
from keras_trainkit.optimizers._arguments import (
    LearningRate,
    ScheduledNumber,
    check_shared,
    checked_rate,
    or_schedule,
    restored,
    saved_numbers,
    shared_by_variables,
    value_at,
)
from keras_trainkit.optimizers._decay import is_bias_or_scale
from keras_trainkit.optimizers._gradients import dense


@serializable
class AdamW(keras.optimizers.Optimizer):
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
            At most one of the three limits; None is no limit.
        use_ema: Bool. Keeps an exponentially weighted average of the weights.
        ema_momentum: Float in [0, 1]. Weight of the past in that average.
        ema_overwrite_frequency: Int >= 1 or None. Updates after which the average
            replaces the weights; None leaves that to the end of `fit`.
        loss_scale_factor: Float > 0 or None. Multiplies the loss and divides the
            gradients, against underflow.
        gradient_accumulation_steps: Int >= 2 or None. Batches whose mean gradient
            makes one update; None updates after each batch.
        name: String or None. None makes one up.

    Raises:
        ValueError: For an argument out of its range, at assignment too.

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
    learning_rate = LearningRate()
    weight_decay = ScheduledNumber(
        or_schedule("is the share of a weight taken off"), or_none=True, at_least=0
    )
    beta_1 = ScheduledNumber(
        or_schedule("is the weight of past gradients"), at_least=0, below=1
    )

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        amsgrad: bool = False,
        *,
        decay_biases_and_scales=False,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
    ):
        purpose = "is the weight of past squared gradients"
        check_number("beta_2", beta_2, purpose, at_least=0, below=1)
        check_number("epsilon", epsilon, "keeps a division finite", above=0)
        check_flag("amsgrad", amsgrad, "keeps the largest squared gradients")
        purpose = "lets every variable decay"
        check_flag("decay_biases_and_scales", decay_biases_and_scales, purpose)
        super().__init__(
            learning_rate=checked_rate(learning_rate),
            weight_decay=weight_decay,
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
        check_shared(self)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self.decay_biases_and_scales = decay_biases_and_scales

    def build(self, variables):
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
        self._biases_and_scales = tuple(map(is_bias_or_scale, variables))

    def apply(self, grads, trainable_variables=None):
        super().apply([dense(gradient) for gradient in grads], trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        dtype = variable.dtype
        index = self._get_variable_index(variable)
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

    def get_config(self):
        config = super().get_config()
        return {
            **config,
            **saved_numbers(self, config, ["weight_decay", "beta_1"]),
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
            "decay_biases_and_scales": self.decay_biases_and_scales,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The optimizer of a config, its schedules included."""
        return cls(**restored(config, custom_objects))

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Keras calls this once per update and `update_step` once per variable.

        What all variables have in common is computed here: a schedule is a dozen
        operations, and a compiled step would repeat them for each variable.
        """
        w = self._gradient_weight
        fresh = 1 - value_at(self.beta_1, self._iterations)
        self.assign_add(w, (1 - w) * ops.cast(fresh, w.dtype))
        decay = value_at(self.weight_decay or 0.0, self._iterations)
        self._shared = shared_by_variables(fresh, w, self._square_weight(), decay)
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._shared = None  # tensors of this step's graph; replicas come here in turn

    def _square_weight(self):
        """`1 - beta_2^t`, in a form that loses no digits while it is small."""
        if self.beta_2 == 0:
            return 1.0
        updates = ops.cast(self.iterations + 1, self._gradient_weight.dtype)
        return -ops.expm1(updates * math.log(self.beta_2))

    def _use_weight_decay(self, variable):
        left_alone = self._biases_and_scales[self._get_variable_index(variable)]
        decayed = self.decay_biases_and_scales or not left_alone
        return decayed and super()._use_weight_decay(variable)

    def _apply_weight_decay(self, variables):
        """Nothing: Keras would decay here, ahead of `update_step`, which does it."""
