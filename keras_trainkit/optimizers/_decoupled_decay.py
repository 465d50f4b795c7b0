import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_flag
from keras_trainkit._dense_gradient import dense_gradient
from keras_trainkit._optimizer_access import (
    step_variable,
    variable_index,
    variable_key,
)
from keras_trainkit._tensorflow.replicas import replicas_here, sum_over_replicas
from keras_trainkit._types import Schedule, Tensor
from keras_trainkit.optimizers._arguments import (
    LearningRate,
    ScheduledNumber,
    check_keras_arguments,
    checked_rate,
    or_schedule,
    restored,
    saved_numbers,
    value_at,
)

BIAS_OR_SCALE = re.compile(r"(^|_)(alpha|beta|bias|gamma|offset|scale|shift)(_?\d+)?$")


class DecoupledDecay(keras.optimizers.Optimizer):
    """Base class of optimizers whose update takes a share of each weight off.

    A subclass says in `momentum_argument` which argument holds its momentum, in
    `_begin_update` which numbers all variables have in common, and in `update_step` how
    one variable changes. It reads the common numbers with `self._shared(dtype)`, the
    weight decay last among them.

    Args:
        learning_rate: As in `AdamW`, and so is `weight_decay`.
        decay_biases_and_scales: Bool. True decays every variable.
        **kwargs: Passed to `keras.optimizers.Optimizer`.
    """

    momentum_argument: str
    learning_rate = LearningRate()
    weight_decay = ScheduledNumber(
        or_schedule("is the share of a weight taken off"), or_none=True, at_least=0
    )

    def __init__(
        self,
        learning_rate: float | Schedule | Callable,
        weight_decay: float | Schedule | None,
        decay_biases_and_scales: bool,
        **kwargs: Any,
    ):
        check_flag(
            "decay_biases_and_scales",
            decay_biases_and_scales,
            "lets every variable decay",
        )
        check_keras_arguments(**kwargs)
        rate = checked_rate(learning_rate)
        super().__init__(learning_rate=rate, weight_decay=weight_decay, **kwargs)
        self.decay_biases_and_scales = decay_biases_and_scales
        self.exclude_from_weight_decay()

    def build(self, variables: Sequence[keras.Variable]) -> None:
        self._check_replicas()
        super().build(variables)
        self._biases_and_scales = tuple(map(is_bias_or_scale, variables))

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[keras.Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Sets the variables that do not decay, beside biases and scales.

        They are not saved. So this may be called on an optimizer that was loaded, which
        is built; Keras 3.16 refuses that for its own. A model that was trained must be
        compiled again.

        Args:
            var_list: Sequence of variables.
            var_names: Sequence of regular expressions, sought in a variable's name.
        """
        keys = [variable_key(self, variable) for variable in var_list or ()]
        self._excluded = frozenset(keys)
        self._excluded_names = re.compile("|".join(var_names)) if var_names else None

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        super().apply([dense_gradient(each) for each in grads], trainable_variables)

    def _begin_update(self) -> tuple:
        """The numbers of this step that all variables have in common, decay apart."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            **config,
            **saved_numbers(self, config, ["weight_decay", self.momentum_argument]),
            "decay_biases_and_scales": self.decay_biases_and_scales,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict | None = None
    ) -> "DecoupledDecay":
        """The optimizer of a config, its schedules included."""
        return cls(**restored(config, custom_objects))

    def _backend_update_step(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable],
        learning_rate: Tensor,
    ) -> None:
        """Keras calls this once per update and `update_step` once per variable.

        A schedule is a dozen operations, and a compiled step would repeat them for
        each variable.
        """
        numbers = self._begin_update()
        decay = value_at(self.weight_decay or 0.0, step_variable(self))
        self._shared: Any = _cast_once(*numbers, decay)
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._shared = None  # tensors of this step's graph; replicas come here in turn

    def _clip_gradients(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """Clips the gradients of the whole batch, as on one device.

        Keras would clip those of each replica alone, and add them up afterwards.
        """
        replicas = replicas_here()
        limits = (self.clipnorm, self.clipvalue, self.global_clipnorm)
        if replicas == 1 or not any(limits):
            return super()._clip_gradients(grads)
        clipped = super()._clip_gradients(sum_over_replicas(list(grads)))
        return [gradient / replicas for gradient in clipped]  # Keras adds them up

    def _check_replicas(self) -> None:
        """Refuses what would fail within the first step, in words of TensorFlow."""
        replicas = replicas_here()
        remedies = {
            "gradient_accumulation_steps": "a larger `batch_size` does the same"
        }
        if self.use_ema:
            remedies["ema_overwrite_frequency"] = "the averages stay beside the weights"
        for name, remedy in remedies.items():
            value = getattr(self, name)
            if replicas > 1 and value is not None:
                raise ValueError(
                    f"`{name}` counts the steps up to one that does more, which "
                    "replicas of `tf.distribute` cannot take in Keras 3.15, and must "
                    f"be None for them; {remedy}, and on JAX it may be given. "
                    f"Received: {name}={value}, with {replicas} replicas."
                )

    def _use_weight_decay(self, variable: keras.Variable) -> bool:
        is_exempt = self._biases_and_scales[variable_index(self, variable)]
        if is_exempt and not self.decay_biases_and_scales:
            return False
        if variable_key(self, variable) in self._excluded:
            return False
        names = self._excluded_names
        return names is None or names.search(variable.name) is None

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """Does nothing: Keras would decay here, before `update_step`, which does it."""


def is_bias_or_scale(variable: keras.Variable) -> bool:
    """True for a variable that shifts or scales units instead of connecting them.

    That is a variable of rank 0 or 1, or one whose own name (the last part of its
    path) ends in a word of `BIAS_OR_SCALE`: `bias`, `attention_bias`, `scale_1`. The
    name decides for a rank of 2 or more, such as one bias per feature and unit or per
    gate. Kernels and embedding tables are neither.
    """
    name = variable.name.split("/")[-1].split(":")[0]
    return len(variable.shape) <= 1 or bool(BIAS_OR_SCALE.search(name))


def _cast_once(*numbers: Tensor) -> Callable[[str], list[Tensor]]:
    """A function from a dtype to `numbers` in that dtype, each cast once."""
    cast: dict[str, list[Tensor]] = {}

    def of_type(dtype: str) -> list[Tensor]:
        if dtype not in cast:
            cast[dtype] = [ops.cast(number, dtype) for number in numbers]
        return cast[dtype]

    return of_type
