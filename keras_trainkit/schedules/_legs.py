"""Pieces that the schedules are put together from: legs between two moments.

A step is an integer up to 2**31 and float32 counts without gaps to 2**24 only, so
steps are subtracted as integers and become floats afterwards.
"""

import math

from keras import ops

from keras_trainkit._checks import check_count

MOST_STEPS = 10**9  # two of them, or one and a step, fit the int32 of JAX
SHAPES = ("linear", "cosine")


def check_steps(name, value, purpose, at_least=1):
    """A number of optimizer steps."""
    check_count(name, value, purpose, at_least=at_least, at_most=MOST_STEPS)


def since(step, moment):
    """Steps from `moment`, which need not be whole, to `step`: float32."""
    whole = math.floor(moment)
    return ops.cast(step - whole, "float32") - (moment - whole)


def hold(step, value):
    """`value` in the shape of `step`: float32."""
    return ops.full_like(ops.cast(step, "float32"), value)


def leg(step, start, end, first, last, shape):
    """`first` up to the moment `start`, `last` from the moment `end` on.

    Compiled graphs divide by multiplying with the reciprocal: the share at `end` may
    be just below 1, too much of a high `first` next to a tiny `last`.
    """
    share = ops.clip(since(step, start) / (end - start), 0.0, 1.0)
    if shape == "cosine":
        share = (1 - ops.cos(math.pi * share)) / 2
    elif shape == "sqrt":
        share = ops.sqrt(share)
    between = first * (1 - share) + last * share
    return ops.where(since(step, end) >= 0, last, between)


def through(step, points, shape):
    """The curve through `points`, each (moment, value), held before and after."""
    curve = hold(step, points[0][1])
    for (start, first), (end, last) in zip(points, points[1:], strict=False):
        reached = since(step, start) >= 0
        curve = ops.where(reached, leg(step, start, end, first, last, shape), curve)
    return curve
