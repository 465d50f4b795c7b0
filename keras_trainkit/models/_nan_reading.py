"""Models that may make something of NaN or infinity among their inputs."""

from collections.abc import Sequence
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
    if isinstance(model, keras.Sequential):
        return any(_may_read(layer, leaf) for layer in model.layers)
    operations = getattr(model, "operations", None)
    if operations is None:
        return True  # a model with a `call` of its own
    of_masks = _operations_of_masks(operations)
    return any(_may_read(one, leaf) for one in operations if id(one) not in of_masks)


def _operations_of_masks(operations: Sequence[Any]) -> set[int]:
    """Ids of those, beside the layers, by which Keras' `Masking` finds its mask.

    They make nothing of NaN: each number is compared with the `mask_value` alone.
    """
    masked = [id(one.input) for one in operations if _is_masking(one)]
    compared = [one for one in operations if _is_called("NotEqual", one, masked)]
    results = [id(one.output) for one in compared]
    joined = [one for one in operations if _is_called("Any", one, results)]
    return {id(one) for one in (*compared, *joined)}


def _is_masking(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Masking)


def _is_called(name: str, operation: Any, tensors: list[int]) -> bool:
    """True for an operation of Keras of this name, on one of these tensors alone."""
    is_of_keras = type(operation).__name__ == name and _is_ours(type(operation))
    return is_of_keras and id(operation.input) in tensors


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
