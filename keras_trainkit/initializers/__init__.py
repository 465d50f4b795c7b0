"""Starting values of weights, from a shape or from one batch."""

from keras_trainkit.initializers.for_activation import for_activation
from keras_trainkit.initializers.lsuv import lsuv

__all__ = [
    "for_activation",
    "lsuv",
]
