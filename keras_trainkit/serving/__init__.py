"""A fitted model to a checked SavedModel. Needs TensorFlow."""

from keras_trainkit.serving.export import export

__all__ = ["export"]
