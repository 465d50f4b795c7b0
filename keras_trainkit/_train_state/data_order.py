"""The order of the data: taken with a state, and brought to the epoch of another."""

from typing import Any

import keras

from keras_trainkit._train_state.callback_states import has_hooks
from keras_trainkit._train_state.running_fit import RunningFit
from keras_trainkit._warnings import warn_user


def take(fit: RunningFit | None) -> Any:
    """The state that the data of the `fit` keep themselves; None if they keep none."""
    data: Any = getattr(fit, "data", None)
    return data.get_state() if has_hooks(data) else None


def put_back(fit: RunningFit, state: Any, epochs: int, steps: int | None) -> None:
    """Brings the data to the order that follows after so many epochs.

    Args:
        fit: The `fit` that goes on.
        state: What `take` has returned.
        epochs: Int >= 0. Epochs of the training that are over.
        steps: Batches of an epoch as far as Keras knows, or None.
    """
    data = fit.data
    if has_hooks(data):
        data.set_state(state)
    if fit.steps_per_epoch is not None or _is_stream(data):
        warn_user(
            "TrainState cannot tell where in the data an epoch begins, with "
            "`steps_per_epoch` or a generator: they begin anew. Weights, optimizer "
            "and callbacks go on.",
        )
    elif hasattr(data, "element_spec"):  # a tf.data.Dataset
        for _ in range(_iterations(epochs, steps)):  # each draws another order
            iter(data)


def _iterations(epochs: int, steps: int | None) -> int:
    """Iterations over a data set that Keras 3.15 begins in so many epochs.

    On TensorFlow it begins one more at the end of each whose length it knows.
    """
    is_known = steps is not None
    return epochs * (1 + (is_known and keras.config.backend() == "tensorflow"))


def _is_stream(data: Any) -> bool:
    """True for a generator, or what else can be read only once."""
    return hasattr(data, "__next__")
