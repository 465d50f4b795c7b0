"""The first batches of an epoch, read once more and not trained on."""

from collections.abc import Callable
from typing import Any

import keras

from keras_trainkit._types import Model


class SkippedBatches:
    """Lets no callback but one hear of batches, and puts off their training.

    Args:
        callbacks: `CallbackList` of the `fit`.
        callback: The one that hears of them.
        model: The model of the `fit`.
    """

    def __init__(
        self,
        callbacks: keras.callbacks.CallbackList,
        callback: keras.callbacks.Callback,
        model: Model,
    ):
        self._list: Any = callbacks
        self._callbacks = self._list.callbacks
        self._list.callbacks = [callback]
        self._model = model
        self._train_function: Callable | None = None

    def skip(self) -> None:
        """Puts a function in the place of the training step that only reads batches.

        The first one is trained on, which builds what is built in a first step; all
        variables are put back afterwards.
        """
        if self._train_function is None:
            self._train_function = self._model.train_function
            self._model.train_function = _reading_only(
                self._model.train_function, self._model.steps_per_execution
            )

    def end(self) -> None:
        """Puts the callbacks and the training step back."""
        self._list.callbacks = self._callbacks
        self._model.train_function = self._train_function


def _reading_only(step: Callable, batches: int) -> Callable:
    logs: list[Any] = []

    def read_only(*arguments: Any) -> Any:
        if not logs:
            result = step(*arguments)
            logs.append(result[0] if len(arguments) == 2 else result)
            return result
        if keras.config.backend() != "torch":  # there the batch was read before
            for _ in range(batches):
                next(arguments[-1], None)
        # The trainer on JAX hands in the state of all variables.
        return (logs[0], arguments[0]) if len(arguments) == 2 else logs[0]

    return read_only
