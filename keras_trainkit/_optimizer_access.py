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
