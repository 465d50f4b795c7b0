"""Parts that schedules are made of: legs, from one value to the next.

A step is an integer up to 2**31 and float32 counts without gaps to 2**24 only, so
steps are subtracted as integers and become floats afterwards.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._checks import check_count
from keras_trainkit._types import Tensor

MOST_STEPS = 10**9  # two of them, or one and a step, fit the int32 of JAX
SHAPES = ("linear", "cosine")


def check_steps(name: str, value: Any, purpose: str, at_least: int = 1) -> None:
    """Refuses all but a number of optimizer steps."""
    check_count(name, value, purpose, at_least=at_least, at_most=MOST_STEPS)


def steps_since(step: Tensor, moment: float) -> Tensor:
    """Steps from `moment`, which need not be whole, to `step`: float32."""
    whole = math.floor(moment)
    return ops.cast(step - whole, "float32") - (moment - whole)


def constant(step: Tensor, value: float) -> Tensor:
    """`value` in the shape of `step`: float32."""
    return ops.full_like(ops.cast(step, "float32"), value)


def leg(
    step: Tensor,
    start: float,
    end: float,
    first: float,
    last: float | Tensor,
    shape: str,
) -> Tensor:
    """`first` up to the moment `start`, `last` from the moment `end` on.

    Compiled graphs divide by multiplying with the reciprocal: the share at `end` may
    be just below 1, too much of a high `first` next to a tiny `last`.
    """
    share = ops.clip(steps_since(step, start) / (end - start), 0.0, 1.0)
    if shape == "cosine":
        share = (1 - ops.cos(math.pi * share)) / 2
    elif shape == "sqrt":
        share = ops.sqrt(share)
    between = first * (1 - share) + last * share
    return ops.where(steps_since(step, end) >= 0, last, between)


def curve(step: Tensor, points: Sequence[tuple[float, float]], shape: str) -> Tensor:
    """The legs through `points`, each (moment, value), held before and after.

    A compiled step evaluates this at every batch, so it is a handful of operations
    on short vectors: the share done of every leg, and from neighbouring shares the
    weight of every value. At a point the weights are one 1 among zeros, exactly.
    """
    moments, values = zip(*points, strict=True)
    starts = _float32(np.array(moments[:-1]) - moments[0])
    reciprocals = _float32(_reciprocals(np.diff(moments)))
    share = ops.expand_dims(steps_since(step, moments[0]), -1) - starts
    share = ops.clip(share * reciprocals, 0.0, 1.0)
    if shape == "cosine":
        share = (1 - ops.cos(math.pi * share)) / 2
    begun = ops.concatenate([ops.ones_like(share[..., :1]), share], axis=-1)
    over = ops.concatenate([share, ops.zeros_like(share[..., :1])], axis=-1)
    return ops.sum((begun - over) * _float32(values), axis=-1)


def _float32(values: Any) -> Tensor:
    return ops.convert_to_tensor(np.array(values), "float32")


def _reciprocals(lengths: np.ndarray) -> np.ndarray:
    """1 / lengths in float32, rounded up until a whole leg makes a share of 1.

    A leg of less than a millionth of a step is taken for one: 0 * inf is no share.
    """
    lengths = np.maximum(lengths, 1e-6).astype("float32")
    reciprocals = 1 / lengths
    short = lengths * reciprocals < 1
    return np.where(short, np.nextafter(reciprocals, np.float32(2)), reciprocals)
