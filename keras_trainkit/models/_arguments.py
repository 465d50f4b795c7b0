"""Checks of arguments that every builder takes."""

from typing import Any

import keras

from keras_trainkit._types import Tensor


def check_model_name(name: Any) -> None:
    if not isinstance(name, str) or not name or "/" in name:
        raise ValueError(
            "`name` names the model and must be a string that is not empty, without "
            f"'/'. Received: name={name!r}."
        )


def check_scaling(scaling: Any) -> None:
    if scaling is not None and not isinstance(scaling, keras.layers.Layer):
        raise ValueError(
            "`scaling` is put before the first block and must be an adapted layer or "
            f"None. Received: scaling={scaling!r}."
        )


def check_augmentation(augmentation: Any) -> None:
    layers = augmentation if isinstance(augmentation, list | tuple) else [augmentation]
    wrong = [one for one in layers if not isinstance(one, keras.layers.Layer)]
    if augmentation is not None and wrong:
        raise ValueError(
            "`augmentation` changes the inputs while training and must be a layer, "
            "such as those of keras_trainkit.layers, several in a list, or None. "
            f"Received: augmentation={augmentation!r}."
        )


def augmented(x: Tensor, augmentation: Any) -> Tensor:
    """`x` behind the layer, or behind several, one after the other."""
    if augmentation is None:
        return x
    layers = augmentation if isinstance(augmentation, list | tuple) else [augmentation]
    for layer in layers:
        x = layer(x)
    return x
