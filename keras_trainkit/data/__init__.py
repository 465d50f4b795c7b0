"""Arrays before they meet the model."""

from keras_trainkit.data.pad_sequences import pad_sequences

__all__ = ["pad_sequences"]
