"""The monitored number: its key, its direction, and the learning rate's peak."""

from collections.abc import Iterator
from typing import Any, NoReturn

import keras

from keras_trainkit._optimizer_access import learning_rate_schedule, steps_taken
from keras_trainkit._types import Model, Tensor


def check_name(monitor: Any) -> None:
    """Refuses all but a string, which may be a key of the logs."""
    if not isinstance(monitor, str) or not monitor:
        raise ValueError(
            f"`monitor` is the key of the logs to look at and must be a string that "
            f"is not empty. Received: monitor={monitor!r}."
        )


def may_follow(monitor: str, logs: dict) -> bool:
    """True if the key may still appear, with the first epoch that is validated."""
    validated = any(key.startswith("val_") for key in logs)
    return monitor.startswith("val_") and not validated


def refuse_missing(
    monitor: str,
    logs: dict,
    seldom: str = "and with `validation_freq=n` pass `start_from_epoch=n - 1` here",
) -> NoReturn:
    """Names the keys there are, and how to get one that comes with validation.

    Args:
        seldom: The remedy where not every epoch is validated.
    """
    keys = ", ".join(map(repr, sorted(logs))) or "none, since the logs are empty"
    remedy = ""
    if may_follow(monitor, logs):
        remedy = (
            " For a key that comes with validation pass `validation_data` to `fit`, "
            f"{seldom}."
        )
    raise ValueError(
        f"`monitor` is the key of the logs to look at and must be one of {keys}."
        f"{remedy} Received: monitor={monitor!r}."
    )


def as_number(monitor: str, value: Tensor) -> float:
    """The value as a float; a metric may also return one number per class."""
    array = keras.ops.convert_to_numpy(value)  # torch logs tensors
    if array.size != 1:
        raise ValueError(
            f"`monitor` is the key of the logs to look at and must have one number "
            f"per epoch. Received: monitor={monitor!r}, with the value {array}."
        )
    return float(array.reshape(()))


def find_mode(model: Model, monitor: str) -> str:
    """`"min"` or `"max"` for a key of the logs, from the model's own metrics.

    A loss falls. Keras' metrics know their direction; the key of one output's metric
    ends in the metric's name.
    """
    key = monitor.removeprefix("val_")
    if key == "loss" or key.endswith("_loss"):
        return "min"
    named = [
        metric
        for metric in _compiled_metrics(model)
        if key == metric.name or key.endswith(f"_{metric.name}")
    ]
    mode = None
    if named:
        mode = mode_of(max(named, key=lambda metric: len(metric.name)))
    if mode is None:
        raise ValueError(
            f"`mode` says which way the monitored value gets better, and nothing "
            f"tells that of {monitor!r}: pass 'min' or 'max'. "
            f"Received: mode='auto', monitor={monitor!r}."
        )
    return mode


def mode_of(metric: Any) -> str | None:
    """`"min"` or `"max"` for a metric of which Keras knows how it gets better."""
    # Keras 3.15 keeps the direction in a private attribute; its own EarlyStopping
    # reads the same one.
    direction = getattr(metric, "_direction", None)
    return {"up": "max", "down": "min"}.get(str(direction))


def before_peak(model: Model) -> bool:
    """True if the learning rate's schedule still has its peak ahead.

    False for a rate or a schedule without a `peak_step`. Both the peak and the
    optimizer's clock count batches, as schedules do, also under
    `gradient_accumulation_steps`.
    """
    optimizer = getattr(model, "optimizer", None)  # none in a loop of one's own
    peak_step = getattr(learning_rate_schedule(optimizer), "peak_step", None)
    return peak_step is not None and steps_taken(optimizer) <= peak_step


def _compiled_metrics(model: Model) -> Iterator[keras.metrics.Metric]:
    for metric in getattr(model, "metrics", []):
        yield from getattr(metric, "metrics", [metric])
