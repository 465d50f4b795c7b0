"""Replicas of a model, which TensorFlow trains at once, one on each device.

On JAX there are none: one step computes the whole batch, wherever its rows lie.
"""

from typing import Any

import keras

from keras_trainkit._types import Model, Tensor


def replicas_of(model: Model) -> int:
    """Number of replicas of a model, each of which gets a share of a batch."""
    strategy = getattr(model, "distribute_strategy", None)  # TensorFlow has it
    return 1 if strategy is None else strategy.num_replicas_in_sync


def replicas_here() -> int:
    """Number of replicas in the scope, or in the step, that this is called from."""
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(tensors: list[Tensor]) -> list[Tensor]:
    """The sum of what all replicas have in the place of each tensor, in a step."""
    import tensorflow as tf

    replica: Any = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def is_over_processes(model: Model) -> bool:
    """True where other processes train replicas of the model, too."""
    if replicas_of(model) == 1:
        return False
    import tensorflow as tf

    strategy: Any = model.distribute_strategy
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    return len(strategy.cluster_resolver.cluster_spec().jobs) > 0
