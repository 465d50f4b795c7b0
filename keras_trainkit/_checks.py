"""Argument checks. Each raises a ValueError of three parts, in this order:

what the argument is for (`purpose`, a phrase that follows its name), what it may
be, and what came:

    `dropout` is the share of units set to 0 while training and must be a number of
    at least 0 and below 1. Received: dropout=1.5.
"""

import math
import numbers


def check_number(
    name, value, purpose, *, above=None, at_least=None, below=None, at_most=None
):
    """A finite real number (no bool, no NaN) within the bounds given."""
    lower = [("above", above), ("at least", at_least)]
    bounds = [*lower, ("below", below), ("at most", at_most)]
    inside = (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and _is_finite(value)
        and (above is None or value > above)
        and (at_least is None or value >= at_least)
        and (below is None or value < below)
        and (at_most is None or value <= at_most)
    )
    if not inside:
        _refuse(name, value, purpose, "a number" + _range(bounds))


def _is_finite(value):
    """Whether it is a finite float, or another number that becomes one."""
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def check_count(name, value, purpose, *, at_least=1, at_most=None):
    """A whole number of 64 bits within the bounds given; 3.0 is not one."""
    inside = (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and -(2**63) <= int(value) < 2**63
        and (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
    )
    if not inside:
        bounds = (("at least", at_least), ("at most", at_most))
        _refuse(name, value, purpose, "an integer" + _range(bounds))


def check_choice(name, value, purpose, choices):
    """One of `choices`, compared with `==` and of the same type."""
    if not any(type(value) is type(c) and value == c for c in choices):
        _refuse(name, value, purpose, "one of " + ", ".join(map(repr, choices)))


def check_flag(name, value, purpose):
    """True or False, nothing that merely counts as them."""
    if not isinstance(value, bool):
        _refuse(name, value, purpose, "True or False")


def check_seed(name, value):
    """None or an integer that every backend takes."""
    if value is not None:
        purpose = "makes the random numbers repeatable"
        check_count(name, value, purpose, at_least=0, at_most=2**31 - 1)


def _range(bounds):
    given = [f"{word} {bound}" for word, bound in bounds if bound is not None]
    return f" {' and '.join(given)}" if given else ""


def _refuse(name, value, purpose, allowed):
    raise ValueError(
        f"`{name}` {purpose} and must be {allowed}. Received: {name}={_shown(value)}."
    )


def _shown(value):
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"
