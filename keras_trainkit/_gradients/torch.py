"""Gradients on torch, whose step takes a list with one batch."""

from collections.abc import Callable
from typing import Any

import keras
import torch

from keras_trainkit._gradients.forward import Forward, norms


class Steps:
    """The steps behind `model.train_function(batches)`, one by one."""

    def __init__(self, model: keras.Model, forward: Forward):
        self.model = model
        self.forward = forward

    def take(self, arguments: tuple, count: int) -> list[Any]:
        """The batches; Keras on torch hands over one at a time."""
        return list(arguments[0])

    def train(
        self, function: Callable, arguments: tuple, batches: list[Any]
    ) -> tuple[Any, tuple]:
        """Trains on these batches; returns the result and the next arguments."""
        return function(batches), arguments

    def measure(self, arguments: tuple, batch: Any) -> tuple[dict[str, Any], list[Any]]:
        """Numbers of the step to come, and the weights before it."""
        weights = self.model.trainable_variables
        values = [weight.value for weight in weights]
        mapping = list(zip(weights, values, strict=True))
        scope = keras.StatelessScope(state_mapping=mapping, collect_losses=True)
        # Unseeded dropout draws from the global generators of torch.
        devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
        with torch.random.fork_rng(devices), scope:
            loss, seen = self.forward.loss_of(batch)
            found = torch.autograd.grad(loss, values, allow_unused=True)
        with torch.no_grad():
            gradients = [
                torch.zeros_like(value) if gradient is None else gradient
                for gradient, value in zip(found, values, strict=True)
            ]
            before = [value.detach().clone() for value in values]
            numbers = {"gradients": norms(gradients), "weights": norms(before), **seen}
        return numbers, before

    def changes(self, arguments: tuple, before: list[Any]) -> Any:
        """The norm of how far each trainable weight is from where it was."""
        weights = self.model.trainable_variables
        with torch.no_grad():
            return norms([w.value - b for w, b in zip(weights, before, strict=True)])
