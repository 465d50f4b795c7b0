"""Gradients on TensorFlow, whose compiled step takes batches out of an iterator."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_trainkit._gradients.forward import Forward, norms


class Steps:
    """The steps behind `model.train_function(iterator)`, one by one."""

    def __init__(self, model: keras.Model, forward: Forward):
        self.model = model
        self.forward = forward
        compiled = (lambda f: f) if model.run_eagerly else _compiled
        self._measure = compiled(self._measured)
        self._compare = compiled(self._changes)
        self._rewrap: Any = None

    def take(self, arguments: tuple, count: int) -> list[Any]:
        """The next batches; the error of an iterator at its end comes for the first."""
        (iterator,) = arguments
        if self._rewrap is None:
            self._rewrap = _as_it_came(iterator.element_spec)
        batches = [iterator.get_next()]
        while len(batches) < count:
            found = iterator.get_next_as_optional()
            if not found.has_value():
                break
            batches.append(found.get_value())
        return batches

    def train(
        self, function: Callable, arguments: tuple, batches: list[Any]
    ) -> tuple[Any, tuple]:
        """Trains on these batches; returns the result and the next arguments."""
        dataset = self._rewrap(batches[0])
        for batch in batches[1:]:
            dataset = dataset.concatenate(self._rewrap(batch))
        return function(iter(dataset)), arguments

    def measure(self, arguments: tuple, batch: Any) -> tuple[dict[str, Any], list[Any]]:
        """Numbers of the step to come, and the weights before it."""
        return self._measure(batch)

    def changes(self, arguments: tuple, before: list[Any]) -> Any:
        """The norm of how far each trainable weight is from where it was."""
        return self._compare(before)

    def _measured(self, batch: Any) -> tuple[dict[str, Any], list[Any]]:
        batch = tf.nest.map_structure(
            lambda part: None if isinstance(part, tf.experimental.Optional) else part,
            batch,
        )
        weights = self.model.trainable_variables
        values = [tf.convert_to_tensor(weight.value) for weight in weights]
        mapping = list(zip(weights, values, strict=True))
        with tf.GradientTape() as tape:
            tape.watch(values)
            with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
                loss, seen = self.forward.loss_of(batch)
        gradients = tape.gradient(loss, values)
        dense = [
            tf.zeros_like(value) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, value in zip(gradients, values, strict=True)
        ]
        before = [tf.identity(value) for value in values]
        numbers = {"gradients": norms(dense), "weights": norms(before), **seen}
        return numbers, before

    def _changes(self, before: list[Any]) -> Any:
        weights = self.model.trainable_variables
        return norms([w.value - b for w, b in zip(weights, before, strict=True)])


def _compiled(function: Callable) -> Callable:
    return tf.function(function, reduce_retracing=True, autograph=False)


def _as_it_came(element_spec: Any) -> Callable:
    """A function from a batch to a dataset with the shapes that the iterator told.

    With these an iterator is one that the compiled step knows: nothing is traced anew.
    Left to itself tf.data spends four milliseconds on how best to read one batch.
    """
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False

    @tf.function(input_signature=[element_spec], autograph=False)
    def rewrap(batch: Any) -> Any:
        return tf.data.Dataset.from_tensors(batch).with_options(options)

    return rewrap
