"""Models that may make something of NaN or infinity among their inputs."""

from typing import Any

import keras

from keras_trainkit.layers import (
    FeatureSelection,
    MissingIndicator,
    SequenceTruncation,
    TableEncoder,
)

_READS_NAN = (
    FeatureSelection,
    MissingIndicator,
    TableEncoder,
    keras.layers.Cropping1D,
    keras.layers.Discretization,
    keras.layers.Lambda,
)
_CLIPS = ("clip", "outside")  # of scalings: infinity may become a bound
_INNER = ("layer", "cell", "forward_layer", "backward_layer")
_OF_ACTIVATIONS = ("keras.activations.", "keras.src.activations.")
# Of Keras, with code inside that is not.
_FOREIGN = ("FlaxLayer", "JaxLayer", "Pipeline", "TFSMLayer", "TorchModuleWrapper")


def nan_is_read(model: keras.Model, leaf: Any) -> bool:
    """True if a layer may make something of NaN or infinity, or never reads it.

    Args:
        leaf: Array of the inputs.
    """
    operations = getattr(model, "operations", None)
    if isinstance(model, keras.Sequential):
        operations = model.layers
    if operations is None:
        return True  # a model with a `call` of its own
    return any(_may_read(operation, leaf) for operation in operations)


def _may_read(operation: Any, leaf: Any) -> bool:
    if isinstance(operation, keras.Model):
        return nan_is_read(operation, leaf)
    if isinstance(operation, SequenceTruncation):
        longest = operation.max_length
        return longest is not None and longest < (tuple(leaf.shape) + (0,))[1]
    if isinstance(operation, _READS_NAN) or not _is_known(operation):
        return True  # `keras.ops.isnan`, a layer of one's own
    if any(getattr(operation, name, None) for name in _CLIPS):
        return True
    inner = (getattr(operation, name, None) for name in _INNER)
    return any(_may_read(one, leaf) for one in inner if isinstance(one, keras.Layer))


def _is_known(operation: Any) -> bool:
    """True if it is a layer of Keras or of this kit, with an activation of theirs."""
    if not isinstance(operation, keras.Layer) or not _is_ours(type(operation)):
        return False
    if type(operation).__name__ in _FOREIGN:
        return False
    activation = getattr(operation, "activation", None)
    if isinstance(activation, keras.Layer):
        return _is_known(activation)
    return not callable(activation) or _is_ours(activation, _OF_ACTIVATIONS)


def _is_ours(thing: Any, modules: tuple[str, ...] = ("keras.",)) -> bool:
    module = f"{getattr(thing, '__module__', '')}."
    return module.startswith((*modules, "keras_trainkit."))
