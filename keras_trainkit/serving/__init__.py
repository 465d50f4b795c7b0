"""A fitted model to a checked SavedModel. Needs TensorFlow."""

from keras_trainkit.serving.export import export
from keras_trainkit.serving.served_columns import served_columns

__all__ = ["export", "served_columns"]
