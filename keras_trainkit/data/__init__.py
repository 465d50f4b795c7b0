"""Arrays before they meet the model."""

from keras_trainkit.data.pad_sequences import pad_sequences
from keras_trainkit.data.split import Split, split

__all__ = ["Split", "pad_sequences", "split"]
