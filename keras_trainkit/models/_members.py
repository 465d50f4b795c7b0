"""The head of a model whose members are trained one by one."""

import math

import keras

from keras_trainkit._checks import check_count
from keras_trainkit.layers import MemberDense, MemberMean
from keras_trainkit.layers.member_mean import check_target_scaling

_KINDS = {"classification": "logits", "binary": "binary_logits"}


def check_members(members, target_scaling, task):
    check_count("members", members, "is the number of members of the ensemble")
    check_target_scaling(target_scaling)
    if target_scaling is not None and task in _KINDS:
        raise ValueError(
            "`target_scaling` brings the targets to unit size and must be None where "
            f"they are labels. Received: task={task!r}."
        )


def member_head(
    x,
    outputs,
    output_activation,
    regularizer,
    task,
    members,
    target_scaling,
    classes=None,
):
    """Outputs per member, then their mean: the layers "members" and "outputs".

    `outputs` is their number, or the shape of one answer.
    """
    shape = outputs if isinstance(outputs, tuple) else (int(outputs),)
    dtype = keras.config.dtype_policy().variable_dtype
    if members == 1:
        x = keras.layers.Reshape((1, x.shape[-1]), name="member")(x)
    x = MemberDense(
        math.prod(shape),
        activation=output_activation,
        kernel_regularizer=regularizer,
        dtype=dtype,
        name="members",
    )(x)
    if len(shape) > 1:
        x = keras.layers.Reshape((members, *shape), name="member_answers")(x)
    kind = _KINDS.get(task, "values")
    mean = MemberMean(kind, target_scaling, task, classes, dtype=dtype, name="outputs")
    return mean(x)
