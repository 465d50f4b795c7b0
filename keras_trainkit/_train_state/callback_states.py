"""States of the callbacks beside `TrainState`, by their class."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._train_state.variables import refuse
from keras_trainkit._types import Model

# What Keras' own remember, under public names.
_ATTRIBUTES: dict[type, tuple[str, ...]] = {
    keras.callbacks.History: ("epoch", "history"),
    keras.callbacks.EarlyStopping: (
        "wait",
        "best",
        "best_epoch",
        "best_weights",
        "stopped_epoch",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


def take(callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, Any]:
    """State of each callback that has one, under a name."""
    return {name: _state_of(one) for name, one in _named(callbacks).items()}


def check(
    callbacks: Sequence[keras.callbacks.Callback], states: dict[str, Any]
) -> None:
    """Refuses the states of other callbacks."""
    named = _named(callbacks)
    for name in [*named, *states]:
        if name not in states or name not in named:
            places = (
                f"{'with' if name in names else 'without'} a {name}"
                for names in (states, named)
            )
            refuse("the list of `callbacks`", *places)


def put_back(
    callbacks: Sequence[keras.callbacks.Callback], states: dict[str, Any]
) -> None:
    """Sets the callbacks as `take` has found them, whatever their order."""
    for name, callback in _named(callbacks).items():
        _set_state(callback, states[name])


def _named(
    callbacks: Sequence[keras.callbacks.Callback],
) -> dict[str, keras.callbacks.Callback]:
    named: dict[str, keras.callbacks.Callback] = {}
    for callback in callbacks:
        if not _has_state(callback):
            continue
        name = base = type(callback).__name__
        if type(callback).__module__.partition(".")[0] == "keras":
            name = base = f"keras.{name}"
        number = 1
        while name in named:
            number += 1
            name = f"{base} {number}"
        named[name] = callback
    return named


def has_hooks(thing: Any) -> bool:
    """True for an object with both methods of the kit for states."""
    return hasattr(thing, "get_state") and hasattr(thing, "set_state")


def _has_state(callback: keras.callbacks.Callback) -> bool:
    swaps = isinstance(callback, keras.callbacks.SwapEMAWeights)
    return has_hooks(callback) or swaps or bool(_attributes(callback))


def _attributes(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    found = (names for c, names in _ATTRIBUTES.items() if isinstance(callback, c))
    return next(found, ())


def _state_of(callback: Any) -> Any:
    if has_hooks(callback):
        return callback.get_state()
    if isinstance(callback, keras.callbacks.SwapEMAWeights):
        return {"averages_in_model": callback._ema_weights_in_model}
    names = _attributes(callback)
    return {n: getattr(callback, n) for n in names if hasattr(callback, n)}


def _set_state(callback: Any, state: Any) -> None:
    if has_hooks(callback):
        callback.set_state(state)
    elif isinstance(callback, keras.callbacks.SwapEMAWeights):
        callback._ema_weights_in_model = bool(state["averages_in_model"])
    else:
        for name in _attributes(callback):
            if name in state:
                setattr(callback, name, state[name])


def fitting_weights(weights: Any, model: Model) -> list[np.ndarray] | None:
    """Weights from a state, or None; refuses those of another model."""
    if weights is None:
        return None
    saved = [tuple(np.shape(array)) for array in weights]
    here = [tuple(array.shape) for array in model.get_weights()]
    if saved != here:
        refuse("the list of shapes of the best weights", saved, here)
    return list(weights)
