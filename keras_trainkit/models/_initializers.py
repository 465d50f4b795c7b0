"""Initializers of hidden kernels, checked against the activation they feed."""

from collections.abc import Callable
from typing import Any

import keras

from keras_trainkit._types import Layer
from keras_trainkit.initializers import for_activation

_GLOROT = ("glorot_normal", "glorot_uniform")
_GAINS = {"he_normal": 2.0, "he_uniform": 2.0}
_GAINS |= {"lecun_normal": 1.0, "lecun_uniform": 1.0}
_TOLERANCE = 0.1


def check_initializer(initializer: Any, activation: str | Callable | Layer) -> None:
    """Refuses a name whose variance is not the one the activation needs."""
    if isinstance(initializer, keras.initializers.Initializer):
        _check_draws_differ(initializer)
        return
    if initializer == "paired":
        return
    if not isinstance(initializer, str) or initializer not in (*_GLOROT, *_GAINS):
        raise ValueError(
            "`initializer` sets the hidden kernels and must be 'paired', one of "
            f"{', '.join(map(repr, (*_GLOROT, *_GAINS)))}, or a Keras initializer "
            f"object, which is not checked. Received: initializer={initializer!r}."
        )
    paired = for_activation(activation)
    if not _fits(initializer, paired):
        raise ValueError(
            "`initializer` sets the hidden kernels and must fit `activation`: "
            f"{_name_of(paired)}, or an initializer object to override. "
            f"Received: initializer={initializer!r}, activation={activation!r}."
        )


def hidden_initializer(
    initializer: str | keras.initializers.Initializer,
    activation: str | Callable | Layer,
) -> keras.initializers.Initializer:
    """The object to clone for each kernel: Keras repeats the values of a shared one."""
    if initializer == "paired":
        return for_activation(activation)
    return keras.initializers.get(initializer)


def _check_draws_differ(initializer: keras.initializers.Initializer) -> None:
    seed = initializer.get_config().get("seed")
    if seed is not None:
        raise ValueError(
            "`initializer` sets the hidden kernels, and a seed of its own would give "
            "kernels of one shape the same values: its seed must be None, made "
            "repeatable by keras.utils.set_random_seed. "
            f"Received: initializer={type(initializer).__name__}(seed={seed!r})."
        )


def _fits(name: str, paired: Any) -> bool:
    glorot = isinstance(paired, keras.initializers.GlorotNormal)
    if glorot or name in _GLOROT:
        return glorot and name in _GLOROT
    return abs(_GAINS[name] / paired.scale - 1.0) <= _TOLERANCE


def _name_of(paired: Any) -> str:
    known = {
        keras.initializers.GlorotNormal: "'glorot_normal'",
        keras.initializers.HeNormal: "'he_normal'",
        keras.initializers.LecunNormal: "'lecun_normal'",
    }
    computed = f"'paired' (VarianceScaling(scale={paired.scale:.4g}, mode='fan_in'))"
    return known.get(type(paired), computed)
