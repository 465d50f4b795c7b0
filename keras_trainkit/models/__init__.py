"""Functions that return an uncompiled `keras.Model`, and tools for such a model."""

from keras_trainkit.models.attention_scores import attention_scores
from keras_trainkit.models.autoregression import autoregression
from keras_trainkit.models.bag_of_words import bag_of_words
from keras_trainkit.models.bilstm_attention import bilstm_attention
from keras_trainkit.models.ensemble import ensemble
from keras_trainkit.models.image_augmentation import image_augmentation
from keras_trainkit.models.kernel_machine import kernel_machine
from keras_trainkit.models.loss_for import loss_for
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.metrics_for import metrics_for
from keras_trainkit.models.mini_rocket import mini_rocket
from keras_trainkit.models.mlp import mlp
from keras_trainkit.models.predict_labels import predict_labels
from keras_trainkit.models.predict_proba import predict_proba
from keras_trainkit.models.task_model import TaskModel

__all__ = [
    "MemberModel",
    "TaskModel",
    "attention_scores",
    "autoregression",
    "bag_of_words",
    "bilstm_attention",
    "ensemble",
    "image_augmentation",
    "kernel_machine",
    "loss_for",
    "metrics_for",
    "mini_rocket",
    "mlp",
    "predict_labels",
    "predict_proba",
]
