"""Checks of arguments that every builder takes."""

from typing import Any

import keras


def check_model_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError(
            "`name` names the model and must be a string that is not empty. "
            f"Received: name={name!r}."
        )


def check_scaling(scaling: Any) -> None:
    if scaling is not None and not isinstance(scaling, keras.layers.Layer):
        raise ValueError(
            "`scaling` is put before the first block and must be an adapted layer or "
            f"None. Received: scaling={scaling!r}."
        )
