"""Arguments of `fit`, made of those of `search` and of hyperparameters."""

from collections.abc import Callable
from typing import Any

import keras
from keras_tuner.errors import FatalValueError

from keras_trainkit._tensorflow.row_batches import with_row_batches
from keras_trainkit.callbacks import OneCycle

_VALIDATION_ROWS = 256


def fit_arguments(
    args: tuple,
    kwargs: dict[str, Any],
    encode: Callable | None,
    check: Callable[..., None],
    batch_size: int | None,
    cycle: OneCycle | None,
) -> dict[str, Any]:
    """Keyword arguments for `model.fit`.

    Args:
        args: Positional arguments of the search: x and y at most.
        kwargs: Its keyword arguments; not changed.
        encode: Function from the x of the caller to that of the model, or None.
        check: Function that refuses arguments of `fit`.
        batch_size: Int, or None where it is the caller's.
        cycle: Callback to add, or None.
    """
    if len(args) > 2:
        raise FatalValueError(
            "Arguments of `search` after x and y are passed on to `fit` and must be "
            f"given by name. Received: {len(args)} without a name."
        )
    arguments = {**dict(zip(("x", "y"), args, strict=False)), **kwargs}
    if encode is not None:
        arguments |= _encoded(arguments, encode)
    check(**arguments)
    if batch_size is not None:
        _check_batches(arguments)
        arguments["batch_size"] = batch_size
        # Rows that are not learnt from need no small batches.
        if arguments.get("validation_batch_size") is None:
            arguments["validation_batch_size"] = max(batch_size, _VALIDATION_ROWS)
        arguments = with_row_batches(arguments)
    arguments["callbacks"] = _with_cycle(arguments.get("callbacks"), cycle)
    return arguments


def _encoded(arguments: dict[str, Any], encode: Callable) -> dict[str, Any]:
    encoded = {"x": encode(arguments.get("x"))}
    validation = arguments.get("validation_data")
    if isinstance(validation, list | tuple):
        encoded["validation_data"] = (encode(validation[0]), *validation[1:])
    elif validation is not None:
        raise FatalValueError(
            "`validation_data` goes through the encoding of `prepare` and must be "
            f"(x, y) or (x, y, sample_weight). Received: {type(validation).__name__}."
        )
    return encoded


def _check_batches(arguments: dict[str, Any]) -> None:
    remedy = "or `space={'batch_size': None}` given, which leaves it to the caller"
    if arguments.get("batch_size") is not None:
        raise FatalValueError(
            "`batch_size` is a hyperparameter and must be left out of `search`, "
            f"{remedy}. Received: batch_size={arguments['batch_size']!r}."
        )
    x = arguments.get("x")
    if not all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)):
        raise FatalValueError(
            "`x` is cut into batches of the size that is searched and must be arrays, "
            f"{remedy}. Received: x of the type {type(x).__name__}."
        )


def _with_cycle(given: Any, cycle: OneCycle | None) -> list:
    given = [] if given is None else given
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if any(isinstance(callback, OneCycle) for callback in listed):
        raise FatalValueError(
            "`callbacks` must come without OneCycle, which the hyperparameter "
            "`schedule` puts in. Received: a OneCycle of the caller's."
        )
    return listed if cycle is None else [*listed, cycle]
