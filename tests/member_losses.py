"""Losses of an ensemble in NumPy, float64, from what its members say."""

import keras
import numpy as np


def members_of(model, x):
    """What each member gives, `(rows, members, outputs)`, read before their mean."""
    heads = keras.Model(model.input, model.get_layer("members").output)
    return keras.ops.convert_to_numpy(heads(x, training=False)).astype("float64")


def mean_of(members, task=None):
    """The mean of values, or the logits of the mean of probabilities."""
    if task == "classification":
        return np.log(softmax(members).mean(1))
    if task == "binary":
        mean = (1 / (1 + np.exp(-members))).mean(1)
        return np.log(mean / (1 - mean))
    return members.mean(1)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def squared(y, p):
    return ((p - y) ** 2).mean(-1)


def absolute(y, p):
    return np.abs(p - y).mean(-1)


def sparse_entropy(y, p):
    return -np.log(softmax(p)[np.arange(len(y)), y])


def entropy_smoothed_by_03(y, p):
    y = 0.7 * y + 0.3 / y.shape[-1]
    return -(y * np.log(softmax(p))).sum(-1)


def binary_entropy_smoothed_by_02(y, p):
    y, q = 0.8 * y + 0.1, 1 / (1 + np.exp(-p))
    return -(y * np.log(q) + (1 - y) * np.log(1 - q)).mean(-1)


def rows_of_members(loss, y, members, weights=None):
    """The loss of each row and member, times the row's weight: `(rows, members)`."""
    each = [loss(y, members[:, k]) for k in range(members.shape[1])]
    return np.stack(each, 1) * (1 if weights is None else weights[:, None])
