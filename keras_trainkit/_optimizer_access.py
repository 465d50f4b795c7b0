"""Reads and changes of an optimizer that need private names of Keras 3.15.

The hooks of an optimizer that a subclass overrides stand in
`optimizers/_decoupled_decay.py`; docs/private_api.md lists both.
"""

from typing import Any

import keras

from keras_trainkit._types import Optimizer, Tensor, is_schedule


def unwrapped(optimizer: Optimizer) -> Optimizer:
    """The optimizer that makes the updates, under mixed precision too."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def step_variable(optimizer: Optimizer) -> keras.Variable:
    """The clock that schedules are given, as a variable.

    With `gradient_accumulation_steps` it counts batches, while the public
    `optimizer.iterations` counts updates.
    """
    return unwrapped(optimizer)._iterations


def steps_taken(optimizer: Optimizer) -> int:
    """Steps on the clock that schedules are given."""
    return int(keras.ops.convert_to_numpy(step_variable(optimizer)))


def variable_index(optimizer: Optimizer, variable: Tensor) -> int:
    """The position of `variable` among those that the optimizer was built for."""
    return optimizer._get_variable_index(variable)


def variable_key(optimizer: Optimizer, variable: Tensor) -> Any:
    """The key that tells `variable` from others, built for or not, on every backend."""
    return optimizer._var_key(variable)


def learning_rate_schedule(optimizer: Optimizer) -> Any:
    """The schedule in `optimizer.learning_rate`, or None if that is a number.

    Reading the public attribute gives the present value of a schedule, not the
    schedule.
    """
    rate = getattr(unwrapped(optimizer), "_learning_rate", None)
    return rate if is_schedule(rate) else None


def learning_rate_object(optimizer: Optimizer) -> Any:
    """The variable, schedule or callable behind `optimizer.learning_rate`."""
    return unwrapped(optimizer)._learning_rate


def averages_weights(optimizer: Optimizer) -> bool:
    """True if an exponentially weighted average of the weights is kept."""
    optimizer = unwrapped(optimizer)
    parts = getattr(optimizer, "optimizers", None) or [optimizer]
    return any(getattr(part, "use_ema", False) for part in parts)


class SavedRates:
    """Learning rate and momentum of an optimizer, to be put back after schedules.

    Keras can put a schedule in the place of a number and not the other way round. The
    number is one of the optimizer's variables, which files and checkpoints know by
    their order, so it returns to its old position among them.
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer = unwrapped(optimizer)
        self.learning_rate = learning_rate_object(optimizer)
        positions = {
            id(variable): i for i, variable in enumerate(self.optimizer.variables)
        }
        self.position = positions.get(id(self.learning_rate))
        self.argument = getattr(self.optimizer, "momentum_argument", None)
        self.momentum = self.argument and getattr(self.optimizer, self.argument)

    def put_back(self) -> None:
        optimizer = self.optimizer
        if self.argument is not None:
            setattr(optimizer, self.argument, self.momentum)
        if self.position is None:  # a schedule or a callable
            optimizer.learning_rate = self.learning_rate
            return
        optimizer._learning_rate = self.learning_rate  # Keras appends it
        optimizer._variables.insert(self.position, optimizer._variables.pop())
