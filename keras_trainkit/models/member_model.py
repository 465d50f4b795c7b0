import keras
from keras import ops

from keras_trainkit._serialization import serializable
from keras_trainkit.layers import MemberMean


@serializable
class MemberModel(keras.Model):
    """A functional model that trains the members of an ensemble, not their mean.

    Made by `models.mlp` with `members` or `target_scaling`; used like any Keras model,
    with stock losses, metrics and `compile`, `fit`, `evaluate`, `predict`, `export`.
    Its last layer must be a `layers.MemberMean`.

    | where                           | what                                         |
    | ------------------------------- | -------------------------------------------- |
    | loss in training                | mean of the members' losses                  |
    | loss in validation, `evaluate`  | loss of their mean prediction                |
    | metric `member_loss`, in both   | mean of the members' losses, penalties added |
    | metrics, predictions            | of the mean, in the units of the targets     |
    | nested in another model         | the mean, in training too                    |
    | `compute_loss` of a prediction  | loss of that prediction                      |
    | that is not its last call's     |                                              |

    With a target scaling each loss is taken on standardized targets and predictions,
    so that it does not depend on their units. `sample_weight` and `class_weight` count
    for every member.

    Source: Gorishniy, Kotelnikov and Babenko, 2024, arXiv:2410.24210, section 3 (loss
    per member, mean prediction).
    """

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        self.member_loss = keras.metrics.Mean(name="member_loss")

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        mean = self._mean_layer()
        members, outputs = mean.latest.take()
        scaling = mean.target_scaling
        if scaling is not None:
            y = scaling(ops.reshape(y, ops.shape(y_pred)))
        if outputs is not y_pred:  # while Keras builds the metrics, or a user's own
            y_pred = y_pred if scaling is None else scaling(y_pred)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        loss = self._loss_of_members(x, y, members, sample_weight, training)
        self.member_loss.update_state(loss, ops.cast(ops.shape(members)[0], "float32"))
        if training:
            return loss
        y_pred = mean.mean(members)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _mean_layer(self):
        layer = self.layers[-1]
        if not isinstance(layer, MemberMean):
            raise ValueError(
                f"{self.name} trains the members behind its last layer, which must be a "
                f"`layers.MemberMean`. Received: {layer!r}."
            )
        return layer

    def _loss_of_members(self, x, y, members, sample_weight, training):
        count, outputs = members.shape[1:]
        y_pred = ops.reshape(members, (-1, outputs))
        y = keras.tree.map_structure(lambda t: ops.repeat(t, count, axis=0), y)
        if sample_weight is not None:
            sample_weight = ops.repeat(sample_weight, count, axis=0)
        return super().compute_loss(x, y, y_pred, sample_weight, training)
