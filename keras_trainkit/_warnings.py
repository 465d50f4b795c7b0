"""Warnings that point at the line of the user, whatever lies between."""

import inspect
import warnings

_LIBRARIES = {
    "contextlib",
    "functools",
    "joblib",
    "keras",
    "keras_trainkit",
    "keras_tuner",
    "sklearn",
    "threading",
}


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the nearest line that is neither ours nor of a library between.

    A call may come by way of Keras, KerasTuner or scikit-learn, so a fixed `stacklevel`
    would point into one of them.
    """
    warnings.warn(message, category, stacklevel=_user_level())


def _user_level() -> int:
    """`stacklevel` for a call of `warnings.warn` in the caller of this function."""
    level = 0
    frame = inspect.currentframe()
    while frame is not None and _is_of_library(frame.f_globals):
        frame = frame.f_back
        level += 1
    return level


def _is_of_library(names: dict) -> bool:
    return names.get("__name__", "").split(".")[0] in _LIBRARIES
