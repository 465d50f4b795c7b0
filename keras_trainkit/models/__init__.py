"""Functions that return an uncompiled `keras.Model`, and the model of members."""

from keras_trainkit.models.attention_scores import attention_scores
from keras_trainkit.models.bilstm_attention import bilstm_attention
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.mlp import mlp

__all__ = [
    "MemberModel",
    "attention_scores",
    "bilstm_attention",
    "mlp",
]
