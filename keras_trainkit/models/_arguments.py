"""Checks of arguments that every builder takes."""

import keras

from keras_trainkit._checks import check_count


def check_counts(name, values, purpose, min_length):
    """A tuple or list of integers >= 1, `min_length` of them or more."""
    if not isinstance(values, (tuple, list)) or len(values) < min_length:
        raise ValueError(
            f"`{name}` {purpose} and must be a tuple or list of integers of at "
            f"least 1. Received: {name}={values!r}."
        )
    for index, value in enumerate(values):
        check_count(f"{name}[{index}]", value, purpose)


def check_model_name(name):
    if not isinstance(name, str) or not name:
        raise ValueError(
            "`name` names the model and must be a string that is not empty. "
            f"Received: name={name!r}."
        )


def check_scaling(scaling):
    if scaling is not None and not isinstance(scaling, keras.layers.Layer):
        raise ValueError(
            "`scaling` is put before the first block and must be an adapted layer or "
            f"None. Received: scaling={scaling!r}."
        )
