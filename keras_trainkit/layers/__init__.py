"""Tensors in, tensors out, weights or adapted state inside."""

from keras_trainkit.layers.attention_pooling import AttentionPooling
from keras_trainkit.layers.multi_scale import MultiScale
from keras_trainkit.layers.sequence_truncation import SequenceTruncation
from keras_trainkit.layers.variational_lstm import VariationalLSTM

__all__ = ["AttentionPooling", "MultiScale", "SequenceTruncation", "VariationalLSTM"]
