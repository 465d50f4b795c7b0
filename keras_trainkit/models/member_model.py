import math
from typing import Any

import keras
from keras import ops

from keras_trainkit._serialization import serializable
from keras_trainkit._tensorflow.replicas import replicas_of
from keras_trainkit._types import Tensor
from keras_trainkit.layers import MemberMean
from keras_trainkit.models.task_model import TaskModel


@serializable
class MemberModel(TaskModel):
    """A functional model that trains the members of an ensemble, not their mean.

    Made by `models.mlp` and `models.bilstm_attention` with `members` or
    `target_scaling`; used like any Keras model, with stock losses, metrics and
    `compile`, `fit`, `evaluate`, `predict`, `export`.
    Outputs must come from a `layers.MemberMean`. That layer gives the mean, and leaves
    the outputs of the members in its attribute `last_call`, where `compute_loss` takes
    them.

    | where                           | what                                         |
    | ------------------------------- | -------------------------------------------- |
    | loss in training                | mean of the members' losses                  |
    | loss in validation, `evaluate`  | loss of their mean prediction                |
    | metric `member_loss`, in both   | mean of the members' losses, penalties added |
    | metrics, predictions            | of the mean, in the units of the targets     |
    | nested in another model         | the mean, in training too                    |
    | `compute_loss` of a prediction  | loss of that prediction                      |
    | that is not its last call's, or |                                              |
    | of the same again               |                                              |

    With a target scaling each loss is taken on standardized targets and predictions,
    so that it does not depend on their units. `sample_weight` and `class_weight` count
    for every member. All members are rows of one call of the loss: one that compares
    rows with each other, such as `keras.losses.Dice`, sees those of all members at
    once.

    Args:
        inputs: As in `keras.Model`.
        outputs: The tensor that a `layers.MemberMean` gives.
        name: String or None.
        **kwargs: Passed to `keras.Model` (`trainable`).

    Source: Gorishniy, Kotelnikov and Babenko, 2024, arXiv:2410.24210, section 3 (loss
    per member, mean prediction).
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ):
        super().__init__(inputs, outputs, name=name, **kwargs)
        one = isinstance(self.output, keras.KerasTensor)
        if not one or not isinstance(self.operations[-1], MemberMean):
            raise ValueError(
                f"{self.name} trains the members behind its output, which must be the "
                "one tensor that a `layers.MemberMean` gives. "
                f"Received: outputs={outputs!r}."
            )
        self.member_loss = keras.metrics.Mean(name="member_loss")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Tensor | None = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        mean = self.layers[-1]
        members, outputs = mean.last_call.take()
        if mean.target_scaling is not None:
            y = keras.tree.map_structure(self._scaled_target, y)
        if outputs is not y_pred:  # while Keras builds the metrics, or a user's own
            if mean.target_scaling is not None:
                y_pred = mean.target_scaling(y_pred)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        loss = self._loss_of_members(x, y, members, sample_weight, training)
        rows = ops.cast(ops.shape(members)[0], "float32")
        # By the replicas Keras divides losses, for it adds up their gradients.
        self.member_loss.update_state(loss * replicas_of(self), rows)
        if training:
            return loss
        y_pred = mean.mean(members)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Tensor, sample_weight: Any = None
    ) -> dict[str, Any]:
        if self.layers[-1].target_scaling is not None:  # JAX builds metrics first
            keras.tree.map_structure(self._check_target, y)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _scaled_target(self, y: Tensor | None) -> Tensor | None:
        if y is None:
            return None
        self._check_target(y)
        y = ops.reshape(y, (-1, *self.output_shape[1:]))
        return self.layers[-1].target_scaling(y)

    def _check_target(self, y: Tensor) -> None:
        """Refuses a wrong shape, which broadcasting would hide."""
        outputs = tuple(self.output_shape[1:])
        shape = outputs if y is None else tuple(y.shape[1:])
        if shape != outputs and not (shape == () and outputs == (1,)):
            wanted = ", ".join(map(str, ("batch", *outputs)))
            raise ValueError(
                f"`y` is scaled as {self.name} does with its {math.prod(outputs)} "
                f"outputs and must have the shape ({wanted})"
                f"{' or (batch,)' * (outputs == (1,))}. "
                f"Received: y of the shape {tuple(y.shape)}."
            )

    def _loss_of_members(
        self, x: Any, y: Any, members: Tensor, sample_weight: Any, training: bool
    ) -> Tensor:
        """Loss of all members in one call, as if each had rows of its own."""
        count, *outputs = members.shape[1:]
        y_pred = ops.reshape(members, (-1, *outputs))
        y, sample_weight = keras.tree.map_structure(
            lambda t: None if t is None else ops.repeat(t, count, axis=0),
            (y, sample_weight),
        )
        if self._sums_its_loss():
            if sample_weight is None:
                sample_weight = ops.ones_like(y_pred[..., 0])
            sample_weight = keras.tree.map_structure(
                lambda weight: weight / count, sample_weight
            )
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _sums_its_loss(self) -> bool:
        """True if the sum over rows is reported, which grows with the members."""
        for loss in keras.tree.flatten(self.loss):
            reduction = getattr(loss, "reduction", "mean")
            if reduction in (None, "none"):
                raise ValueError(
                    f"`loss` is averaged over the members of {self.name} and must give "
                    'one number, as with reduction="sum_over_batch_size". '
                    f"Received: {loss!r} with reduction={reduction!r}."
                )
            if reduction == "sum":
                return True
        return False
