"""Arguments of the kit's optimizers: checked, perhaps a schedule, saved."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_count, check_flag, check_number
from keras_trainkit._types import Optimizer, Schedule, Tensor, is_schedule


class ScheduledNumber:
    """Attribute that holds a number or a schedule and checks it when assigned.

    The compiled step reads it through `value_at`, so an assignment counts from the
    next trace on. The values of a schedule are tensors and are not checked.
    """

    def __init__(self, purpose: str, *, or_none: bool = False, **bounds: Any):
        self.purpose = purpose
        self.or_none = or_none
        self.bounds = bounds

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if self.name not in vars(instance):
            raise AttributeError(self.name)
        return vars(instance)[self.name]

    def __set__(self, instance: Any, value: Any) -> None:
        allowed = is_schedule(value) or (self.or_none and value is None)
        if not allowed:
            _check_no_callback_or_class(self.name, value, self.purpose)
            check_number(self.name, value, self.purpose, **self.bounds)
        vars(instance)[self.name] = value


class LearningRate:
    """Keras' `learning_rate` property, with a check when assigned."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return keras.optimizers.Optimizer.learning_rate.fget(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(instance, checked_rate(value))


def checked_rate(value: Any) -> float | Schedule | Callable:
    """A learning rate in the form Keras takes: a float, a schedule or a callable."""
    purpose = or_schedule("scales each step")
    _check_no_callback_or_class("learning_rate", value, purpose)
    if callable(value):
        return value
    if ops.is_tensor(value) or isinstance(value, keras.Variable):
        value = float(value)
    check_number("learning_rate", value, purpose, at_least=0)
    return float(value)


def _check_no_callback_or_class(name: str, value: Any, purpose: str) -> None:
    """Refuses `callbacks.OneCycle`, and a schedule's class, in place of a schedule."""
    if isinstance(value, keras.callbacks.Callback):
        remedy = "a callback belongs in `fit(callbacks=[...])`"
    elif isinstance(value, type):
        remedy = "a class has to be called with its arguments first"
    else:
        return
    raise ValueError(
        f"`{name}` {purpose} and must be a number or a schedule such as "
        f"keras_trainkit.schedules.OneCycle; {remedy}. Received: {name}={value!r}."
    )


def or_schedule(purpose: str) -> str:
    return f"{purpose} (a LearningRateSchedule may stand for the number)"


def value_at(number: Any, step: keras.Variable) -> float | Tensor:
    """The number itself, or the value of its schedule at optimizer step `step`."""
    return number(step) if is_schedule(number) else number


def check_keras_arguments(
    *,
    clipnorm: Any = None,
    clipvalue: Any = None,
    global_clipnorm: Any = None,
    use_ema: Any = False,
    ema_momentum: Any = 0.99,
    ema_overwrite_frequency: Any = None,
    loss_scale_factor: Any = None,
    gradient_accumulation_steps: Any = None,
    **others: Any,
) -> None:
    """Checks arguments that Keras' base class checks in part or not at all.

    Called before that class, whose words are others. It takes `others` too.
    """
    _check_clips(
        clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm
    )
    check_flag("use_ema", use_ema, "switches averaged weights on")
    check_number(
        "ema_momentum",
        ema_momentum,
        "is the weight of the past in averaged weights",
        at_least=0,
        at_most=1,
    )
    if ema_overwrite_frequency is not None:
        check_count(
            "ema_overwrite_frequency",
            ema_overwrite_frequency,
            "is the number of steps after which averages become the weights",
        )
    if loss_scale_factor is not None:
        check_number(
            "loss_scale_factor", loss_scale_factor, "multiplies the loss", above=0
        )
    if gradient_accumulation_steps is not None:
        check_count(
            "gradient_accumulation_steps",
            gradient_accumulation_steps,
            "is the number of batches of one update",
            at_least=2,
        )


def _check_clips(**limits: Any) -> None:
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        check_number(name, value, "limits the gradient", above=0)
    if len(given) > 1:
        received = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(
            "`clipnorm`, `clipvalue` and `global_clipnorm` limit the gradient, each in "
            f"its way, and must be None but for one of them. Received: {received}."
        )


def saved_numbers(
    optimizer: Optimizer, config: dict[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    """The config entries of `learning_rate` and of the attributes in `names`.

    Keras keeps the learning rate as a float32 variable and saves 0.002 as
    0.0020000000949949026; the shortest number that gives the same float32 is 0.002.
    """
    rate = config["learning_rate"]
    if isinstance(rate, float):
        rate = float(str(optimizer.learning_rate.numpy()[()]))
    saved = {"learning_rate": rate}
    for name in names:
        value = getattr(optimizer, name)
        if is_schedule(value):
            value = keras.saving.serialize_keras_object(value)
        saved[name] = value
    return saved


def restored(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A config with its schedules deserialized; other objects are refused."""
    made = {}
    for name, value in config.items():
        if isinstance(value, dict):
            value = keras.saving.deserialize_keras_object(value, custom_objects)
            if not is_schedule(value):
                raise ValueError(
                    f"`{name}` of a saved optimizer follows the steps and must be a "
                    f"number or a LearningRateSchedule. Received: {name}={value!r}."
                )
        made[name] = value
    return made
