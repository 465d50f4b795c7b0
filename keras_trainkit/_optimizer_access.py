"""What callbacks need of an optimizer and Keras 3.15 keeps under private names."""

import keras


def unwrapped(optimizer):
    """The optimizer that makes the updates, under mixed precision too."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def steps_taken(optimizer) -> int:
    """Steps on the clock that schedules are given.

    With `gradient_accumulation_steps` these are batches, while the public
    `optimizer.iterations` counts updates.
    """
    return int(keras.ops.convert_to_numpy(unwrapped(optimizer)._iterations))


def learning_rate_schedule(optimizer):
    """The schedule in `optimizer.learning_rate`, or None if that is a number.

    Reading the public attribute gives today's value of a schedule, not the schedule.
    """
    rate = getattr(unwrapped(optimizer), "_learning_rate", None)
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return rate if isinstance(rate, schedule) else None


def learning_rate_object(optimizer):
    """What stands behind `optimizer.learning_rate`: variable, schedule or callable."""
    return unwrapped(optimizer)._learning_rate


def averages_weights(optimizer) -> bool:
    """Whether an exponentially weighted average of the weights is kept."""
    optimizer = unwrapped(optimizer)
    parts = getattr(optimizer, "optimizers", None) or [optimizer]
    return any(getattr(part, "use_ema", False) for part in parts)


class NumbersBefore:
    """Learning rate and momentum of an optimizer, to be put back after schedules.

    Keras can put a schedule in the place of a number and not the other way round. The
    number is one of the optimizer's variables, which files and checkpoints know by
    their order, so it returns to its old place among them.
    """

    def __init__(self, optimizer):
        self.optimizer = unwrapped(optimizer)
        self.learning_rate = learning_rate_object(optimizer)
        places = {
            id(variable): i for i, variable in enumerate(self.optimizer.variables)
        }
        self.place = places.get(id(self.learning_rate))
        self.argument = getattr(self.optimizer, "momentum_argument", None)
        self.momentum = self.argument and getattr(self.optimizer, self.argument)

    def put_back(self):
        optimizer = self.optimizer
        if self.argument is not None:
            setattr(optimizer, self.argument, self.momentum)
        if self.place is None:  # a schedule or a callable
            optimizer.learning_rate = self.learning_rate
            return
        optimizer._learning_rate = self.learning_rate  # Keras appends it
        optimizer._variables.insert(self.place, optimizer._variables.pop())
