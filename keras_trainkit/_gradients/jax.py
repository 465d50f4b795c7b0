"""Gradients on JAX, whose compiled step takes the state and an iterator."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import keras

from keras_trainkit._gradients.forward import Forward, norms


class Steps:
    """The steps behind `model.train_function(state, iterator)`, one by one.

    The state holds the variables, which the model itself does not have while training:
    trainable, non-trainable, those of the optimizer and of the metrics.
    """

    def __init__(self, model: keras.Model, forward: Forward):
        self.model = model
        self.forward = forward
        compiled = (lambda f: f) if model.run_eagerly else jax.jit
        self._measure = compiled(self._measured)
        self._compare = compiled(_changes)

    def take(self, arguments: tuple, count: int) -> list[Any]:
        """The next batches; the error of an iterator at its end comes for the first."""
        batches = [next(arguments[1])]
        batches += itertools.islice(arguments[1], count - 1)
        return batches

    def train(
        self, function: Callable, arguments: tuple, batches: list[Any]
    ) -> tuple[Any, tuple]:
        """Trains on these batches; returns the result and the next arguments."""
        result = function(arguments[0], iter(batches))
        return result, (result[1], arguments[1])

    def measure(self, arguments: tuple, batch: Any) -> tuple[dict[str, Any], list[Any]]:
        """Numbers of the step to come, and the weights before it."""
        # Copies, made outside the compiled function: the step to come takes over the
        # buffers of the state, and a compiled function hands them on uncopied.
        before = [jax.numpy.array(value, copy=True) for value in arguments[0][0]]
        return self._measure(arguments[0], batch), before

    def changes(self, arguments: tuple, before: list[Any]) -> Any:
        """The norm of how far each trainable weight is from where it was."""
        return self._compare(arguments[0][0], before)

    def _measured(self, state: tuple, batch: Any) -> dict[str, Any]:
        model = self.model
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )

        def loss_of(trainable: list[Any]) -> tuple[Any, dict[str, Any]]:
            mapping = [
                pair
                for some, values in zip(variables, (trainable, *state[1:]), strict=True)
                for pair in zip(some, values, strict=True)
            ]
            with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
                return self.forward.loss_of(batch)

        gradients, seen = jax.grad(loss_of, has_aux=True)(state[0])
        return {"gradients": norms(gradients), "weights": norms(state[0]), **seen}


def _changes(trainable: list[Any], before: list[Any]) -> Any:
    return norms([now - then for now, then in zip(trainable, before, strict=True)])
