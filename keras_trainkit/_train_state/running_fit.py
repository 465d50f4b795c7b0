"""The list of callbacks, and the data, of the `fit` that calls one or reads the other.

Keras hands over neither. Both are found in the frames of the functions that are
running: the public class `CallbackList`, which calls the callback, and the arguments of
`Model.fit`, under their public names.
"""

import inspect
import sys
import uuid
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import keras


class RunningFit(NamedTuple):
    """The `fit` that is running.

    Args:
        callbacks: All callbacks of it.
        data: The argument `x`.
        steps_per_epoch: As in `fit`; None if it was not given.
    """

    callbacks: keras.callbacks.CallbackList
    data: Any
    steps_per_epoch: int | None


def calling_list(
    callback: keras.callbacks.Callback,
) -> keras.callbacks.CallbackList | None:
    """The list that is calling a method of this callback."""
    for frame in _frames(inspect.currentframe()):
        caller = _locals(frame).get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and any(
            one is callback for one in caller.callbacks
        ):
            return caller
    return None


def running_fit(
    callbacks: keras.callbacks.CallbackList | None, frame: FrameType | None = None
) -> RunningFit | None:
    """The `fit` that has these callbacks; None if it has ended.

    Args:
        frame: Frame from which to look, if not the caller's.
    """
    for one in _frames(frame or inspect.currentframe()):
        if callbacks is None or one.f_code.co_name != "fit":
            continue
        found = _locals(one)
        if found.get("callbacks") is callbacks and "x" in found:
            return RunningFit(callbacks, found["x"], found.get("steps_per_epoch"))
    return None


def tries_batches() -> bool:
    """True where a `fit` reads a first batch only to build its model.

    It has not made the list of its callbacks by then.
    """
    for one in _frames(inspect.currentframe()):
        if one.f_code.co_name != "fit":
            continue
        found = _locals(one)
        if {"x", "callbacks"} <= found.keys():
            return not isinstance(found["callbacks"], keras.callbacks.CallbackList)
    return False


def name_of_fit() -> str | None:
    """A name that the `fit` which is running has to itself; None outside of one."""
    for one in _frames(inspect.currentframe()):
        if one.f_code.co_name == "fit":
            callbacks = _locals(one).get("callbacks")
            if isinstance(callbacks, keras.callbacks.CallbackList):
                return callbacks.__dict__.setdefault("name_of_fit", uuid.uuid4().hex)
    return None


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _locals(frame: FrameType) -> dict[str, Any]:
    """Local variables of a function that is running.

    Before Python 3.13 its frame keeps the dict that it makes of them, and with it the
    iterator of each epoch beyond its end: TensorFlow takes a second or two to end one
    beside the next. Keras' frames let go of it; in others it may be what `locals()`
    has returned.
    """
    found = dict(frame.f_locals)
    is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED  # no module
    is_of_keras = str(frame.f_globals.get("__name__")).startswith("keras.")
    if is_function and is_of_keras and sys.version_info < (3, 13):
        frame.f_locals.clear()
    return found
