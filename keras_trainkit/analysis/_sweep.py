"""The training steps of a learning rate range test."""

import contextlib
import math

import keras
from keras import ops

from keras_trainkit._ewa import RunningAverage
from keras_trainkit._optimizer_access import learning_rate_object, steps_taken
from keras_trainkit.analysis._suggestions import num_early


def sweep(model, batches, rates, *, class_weight, smoothing, divergence_factor):
    """Trains one batch per rate until the loss diverges.

    Returns:
        `(rates, losses, diverged_at)`: two lists of equal length with the finite part,
        and the rate that ended it or None.
    """
    used: list[float] = []
    losses: list[float] = []
    averages: list[float] = []
    early = num_early(len(rates))
    average = RunningAverage(smoothing)
    model.train_function = None  # a schedule may be compiled into it
    set_rate = _rate_setter(model.optimizer, rates)
    with _batches_as_in_fit(model):
        for planned in rates:
            rate = set_rate(planned)
            loss = _loss_of_one_step(model, next(batches), class_weight)
            if not math.isfinite(loss):
                return used, losses, rate
            used.append(rate)
            losses.append(loss)
            averages.append(average.update(loss))
            if _has_diverged(losses, averages, divergence_factor, early):
                return used, losses, rate
    return used, losses, None


@contextlib.contextmanager
def _batches_as_in_fit(model):
    """Hands a custom `train_step` the tuple that `fit` would: `x, y = data` works.

    `train_on_batch` hands on `(x, y, None)` where there are no weights.
    """
    own, replaced = model.train_step, vars(model).get("train_step")

    def train_step(*arguments):  # with the state before the data on JAX
        *state, data = arguments
        return own(*state, keras.utils.pack_x_y_sample_weight(*data))

    model.train_step = train_step
    try:
        yield
    finally:
        del model.train_step
        if replaced is not None:
            model.train_step = replaced


def _rate_setter(optimizer, rates):
    if isinstance(learning_rate_object(optimizer), keras.Variable):

        def set_rate(rate):
            optimizer.learning_rate = rate
            return rate

        return set_rate

    first = steps_taken(optimizer)
    optimizer.learning_rate = _Rates(rates, first)
    # Under mixed precision a step whose gradients overflow is skipped and keeps the
    # schedule's clock where it was: the rate in use is the one by the clock.
    return lambda planned: rates[min(steps_taken(optimizer) - first, len(rates) - 1)]


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A table of rates from the step `first` on, in place of another schedule."""

    def __init__(self, rates, first):
        self.rates = rates
        self.first = first

    def __call__(self, step):
        table = ops.convert_to_tensor(self.rates, "float32")
        index = ops.clip(ops.cast(step, "int32") - self.first, 0, len(self.rates) - 1)
        return ops.take(table, index)

    def get_config(self):
        return {"rates": self.rates, "first": self.first}


def _loss_of_one_step(model, batch, class_weight):
    x, y, sample_weight = batch
    logs = model.train_on_batch(
        x, y, sample_weight, class_weight=class_weight, return_dict=True
    )
    if "loss" not in logs:
        raise ValueError(
            "`model` is what to train and must report its 'loss' from `train_step`. "
            f"Received: a model that reports {sorted(logs)}."
        )
    return float(logs["loss"])


def _has_diverged(losses, averages, factor, early):
    """`average > factor * best`, said so that a loss may be negative too.

    A loss that harmless rates have shown is no divergence, however low the best is.
    """
    if len(losses) <= early:
        return False
    best = min(averages[early:])
    scale = best if best > 0 else max(abs(best), abs(averages[0]))
    limit = best + (factor - 1) * scale
    return averages[-1] > max(limit, *losses[:early])
