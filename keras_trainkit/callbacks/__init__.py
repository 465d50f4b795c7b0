"""Watchers and drivers of a running `fit`."""

from keras_trainkit.callbacks.early_stopping import EarlyStopping

__all__ = ["EarlyStopping"]
