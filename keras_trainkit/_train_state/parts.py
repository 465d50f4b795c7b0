"""All parts of a training but its position, taken as one dict and put back."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_trainkit._train_state import (
    callback_states,
    data_order,
    random_states,
    variables,
)
from keras_trainkit._train_state.running_fit import RunningFit
from keras_trainkit._train_state.variables import refuse
from keras_trainkit._types import Model


def take(
    model: Model,
    params: dict[str, Any],
    callbacks: Sequence[keras.callbacks.Callback],
    fit: RunningFit | None,
    global_seeds: Any,
) -> dict[str, Any]:
    """Each part under its name, with the facts by which the training is known again.

    Args:
        model: The model of the `fit`.
        params: Of its callbacks, as Keras sets them.
        callbacks: Those whose states are kept.
        fit: The `fit`.
        global_seeds: See `random_states`.
    """
    return {
        "facts": _facts(model, params),
        "keras": keras.__version__,
        "variables": variables.take(model),
        "callbacks": callback_states.take(callbacks),
        "data": data_order.take(fit),
        "random": random_states.take(global_seeds),
    }


def check_same_training(
    state: dict[str, Any], model: Model, params: dict[str, Any]
) -> None:
    """Refuses the state of a training with other facts, see `take`."""
    for name, value in _facts(model, params).items():
        if state["facts"][name] != value:
            refuse(f"`{name}`", state["facts"][name], value)


def put_back(
    state: dict[str, Any],
    model: Model,
    callbacks: Sequence[keras.callbacks.Callback],
    groups: Sequence[str],
) -> None:
    """Sets variables and callbacks as they were; refuses those of other trainings.

    Args:
        state: What `take` has returned.
        model: The model of the `fit`.
        callbacks: As for `take`.
        groups: Some of `variables.GROUPS`, which are put back.
    """
    callback_states.check(callbacks, state["callbacks"])
    variables.put_back(model, state["variables"], groups)
    callback_states.put_back(callbacks, state["callbacks"])


@contextlib.contextmanager
def naming_what_is_wrong(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Within it the wrong content of a file with the right sums is named, too."""
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(
            "`directory` holds the state of a training, and it must be one that "
            f"TrainState has written. Received: {str(directory)!r}, where "
            f"reading ends with {error!r}."
        ) from error


def _facts(model: Model, params: dict[str, Any]) -> dict[str, Any]:
    """Facts that are those of the same training, beside variables and callbacks."""
    return {
        "backend": keras.config.backend(),
        "epochs": params["epochs"],
        "batches of an epoch": params["steps"],
        "steps_per_execution": model.steps_per_execution,
    }
