"""Argument checks. Each raises a ValueError of three parts, in this order:

what the argument is for (`purpose`, a phrase that follows its name), what it may
be, and what came:

    `dropout` is the share of units set to 0 while training and must be a number of
    at least 0 and below 1. Received: dropout=1.5.
"""

import math
import numbers
from collections.abc import Iterable
from typing import Any, NoReturn


def check_number(
    name: str,
    value: Any,
    purpose: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> None:
    """Refuses all but a finite real number (no bool, no NaN) within the bounds."""
    lower = [("above", above), ("at least", at_least)]
    bounds = [*lower, ("below", below), ("at most", at_most)]
    inside = (
        _is_finite(value)
        and (above is None or value > above)
        and (at_least is None or value >= at_least)
        and (below is None or value < below)
        and (at_most is None or value <= at_most)
    )
    if not inside:
        _refuse(name, value, purpose, "a number" + _range(bounds))


def _is_finite(value: Any) -> bool:
    """True for a finite float, and for another real number that becomes one."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def check_count(
    name: str,
    value: Any,
    purpose: str,
    *,
    at_least: int | None = 1,
    at_most: int | None = None,
) -> None:
    """Refuses all but an integer of 64 bits within the bounds; 3.0 is not one."""
    inside = (
        _is_int64(value)
        and (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
    )
    if not inside:
        bounds = (("at least", at_least), ("at most", at_most))
        _refuse(name, value, purpose, "an integer" + _range(bounds))


def _is_int64(value: Any) -> bool:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        return False
    return -(2**63) <= int(value) < 2**63


def check_counts(name: str, values: Any, purpose: str, min_length: int) -> None:
    """Refuses all but a tuple or list of `min_length` integers >= 1 or more."""
    if not isinstance(values, (tuple, list)) or len(values) < min_length:
        _refuse(name, values, purpose, "a tuple or list of integers of at least 1")
    for index, value in enumerate(values):
        check_count(f"{name}[{index}]", value, purpose)


def check_choice(name: str, value: Any, purpose: str, choices: Iterable) -> None:
    """Refuses all but one of `choices`, compared with `==` and of the same type."""
    if not any(type(value) is type(c) and value == c for c in choices):
        _refuse(name, value, purpose, "one of " + ", ".join(map(repr, choices)))


def check_flag(name: str, value: Any, purpose: str) -> None:
    """Refuses all but True and False, so also 0, 1 and what NumPy has for them."""
    if not isinstance(value, bool):
        _refuse(name, value, purpose, "True or False")


def check_seed(name: str, value: Any) -> int | None:
    """None, or an int that every backend takes; others are refused.

    Keras and JSON take no integer of NumPy for one.
    """
    return None if value is None else check_given_seed(name, value)


def check_given_seed(name: str, value: Any) -> int:
    """As `check_seed`, and None is refused too."""
    purpose = "makes the random numbers repeatable"
    check_count(name, value, purpose, at_least=0, at_most=2**31 - 1)
    return int(value)


def _range(bounds: Iterable[tuple[str, float | None]]) -> str:
    given = [f"{word} {bound}" for word, bound in bounds if bound is not None]
    return f" {' and '.join(given)}" if given else ""


def _refuse(name: str, value: Any, purpose: str, allowed: str) -> NoReturn:
    raise ValueError(
        f"`{name}` {purpose} and must be {allowed}. Received: {name}={_shown(value)}."
    )


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"
