"""Loss of a model and its gradient at any weights, in the compiled steps of Keras."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._types import Tensor


class LossAndGradient:
    """Loss over all rows, as `evaluate` gives it, and its gradient.

    Dropout is off and batch norm uses its running statistics, in the gradient too.

    Args:
        model: Compiled and built model. The caller puts back what is changed in it.
        variables: Those of its trainable variables that `at` sets.
        batches: Function that yields all rows once, `(x, y, sample_weight)`.
        batch_size: Int. Rows of a usual batch.
    """

    def __init__(
        self,
        model: keras.Model,
        variables: Sequence[keras.Variable],
        batches: Callable[[], Iterator[tuple]],
        batch_size: int,
    ):
        self.variables = variables
        self._batches = batches
        _build_loss(model, next(batches()))
        self._probe = _Probe(model, batch_size)
        self._gradients = _GradientSum()
        self._gradients.build(model.trainable_variables)
        self._probe.compile(
            self._gradients, run_eagerly=model.run_eagerly, auto_scale_loss=False
        )

    def loss(self, values: Sequence[np.ndarray]) -> float:
        self._set(values)
        total, rows = 0.0, 0
        for x, y, sample_weight in self._batches():
            self._probe.reset_metrics()  # some releases of Keras do so themselves
            logs = self._probe.test_on_batch(x, y, sample_weight, return_dict=True)
            count = keras.tree.flatten(x)[0].shape[0]
            total, rows = total + count * float(logs["loss"]), rows + count
        return total / rows

    def gradient(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradient for each of the variables, up to one factor above 0."""
        self._set(values)
        self._gradients.reset()
        for x, y, sample_weight in self._batches():
            self._probe.train_on_batch(x, y, sample_weight)
        sums = self._gradients.sums
        numbers = {
            id(variable): number
            for number, variable in enumerate(self._probe.trainable_variables)
        }
        wanted = [sums[numbers[id(variable)]] for variable in self.variables]
        return [np.array(ops.convert_to_numpy(s), "float64") for s in wanted]

    def _set(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)


def _build_loss(model: keras.Model, batch: tuple) -> None:
    """Builds a loss that was never called, which JAX refuses in a compiled step."""
    x, y, sample_weight = batch
    outputs = model(x, training=False)
    model.compute_loss(x, y, outputs, sample_weight, training=False)


class _Probe(keras.Model):
    """A model around another, whose training steps see it as it is in inference."""

    def __init__(self, model: keras.Model, batch_size: int):
        super().__init__(name="probe")
        self.model = model
        self.batch_size = batch_size
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        return self.model(inputs, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        loss = self.model.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
        )
        if not training:
            return loss
        # A smaller batch counts less in the sum of gradients, as it does in `evaluate`.
        rows = ops.shape(keras.tree.flatten(x)[0])[0]
        return loss * (ops.cast(rows, loss.dtype) / self.batch_size)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        return {"loss": self._loss_tracker.result()}


class _GradientSum(keras.optimizers.Optimizer):
    """Adds up gradients, and leaves the weights as they are."""

    def __init__(self) -> None:
        super().__init__(learning_rate=0.0)
        self.sums: list[keras.Variable] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self.sums = [
                self.add_variable_from_reference(variable, "sum")
                for variable in variables
            ]

    def reset(self) -> None:
        for total in self.sums:
            total.assign(ops.zeros(total.shape, total.dtype))

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        for total, gradient in zip(self.sums, grads, strict=True):
            if gradient is not None:
                gradient = ops.convert_to_tensor(gradient)  # rows of an embedding
                total.assign(total + ops.cast(gradient, total.dtype))
        self.iterations.assign_add(1)
