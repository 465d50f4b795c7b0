"""Kinds of hyperparameters: what a caller may say of one, and how `hp` is asked.

Each takes one value (fixed), a list (choices) or, for numbers, a tuple (a range).
"""

import dataclasses
import math
from collections.abc import Callable

from keras_trainkit._checks import check_count, check_flag, check_number


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is common to all kinds.

    Args:
        purpose: What it is for, a phrase that follows its name in an error.
        values: What is searched where the caller says nothing.
        start: The value to begin with, where it is among those searched; of a range
            the nearest. None: that in `values`.
        when: Name of another hyperparameter and the values of it with which this one
            is used. None: always.
    """

    purpose: str
    values: object
    start: object = None
    when: tuple | None = None

    def checked(self, name, given):
        """`given` in plain Python types, or an error that says what it may be."""
        if isinstance(given, tuple):
            return self._range(name, given)
        if not isinstance(given, list):
            return self._one(name, given)
        values = [self._one(name, value) for value in given]
        if not values or len(set(values)) < len(values):
            raise ValueError(
                f"`space[{name!r}]` {self.purpose} and, where it is a list of choices, "
                f"must hold at least one, each once. Received: {given!r}."
            )
        return values

    def ask(self, hp, name, values):
        """The value that `hp` has for it, None where its condition does not hold."""
        if isinstance(values, tuple):
            return self._ask_range(hp, name, *values)
        if not isinstance(values, list):
            return hp.Fixed(name, values)
        return hp.Choice(name, values, default=self._first_of(values))

    @property
    def first(self):
        return self.values if self.start is None else self.start

    def _first_of(self, values):
        return self.first if self.first in values else values[0]

    def _one(self, name, value):
        raise NotImplementedError

    def _range(self, name, given):
        raise ValueError(
            f"`space[{name!r}]` {self.purpose} and must be one value or a list of "
            f"choices, for it has no range. Received: {given!r}."
        )

    def _ask_range(self, hp, name, low, high, step=None):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Number(Kind):
    """A number, `whole` or not, drawn from a `log` scale or not, within `bounds`."""

    whole: bool = False
    log: bool = False
    bounds: dict = dataclasses.field(default_factory=dict)

    def _one(self, name, value):
        check = check_count if self.whole else check_number
        check(f"space[{name!r}]", value, self.purpose, **self.bounds)
        return int(value) if self.whole else float(value)

    def _range(self, name, given):
        if len(given) not in (2, 3):
            self._refuse_range(name, given)
        low, high = (self._one(name, end) for end in given[:2])
        if not low < high or (self.log and low <= 0):
            self._refuse_range(name, given)
        if len(given) == 2:
            return low, high
        return low, high, self._step(name, given)

    def _step(self, name, given):
        purpose = "is the factor from value to value" if self.log else "is the step"
        where = f"space[{name!r}][2]"
        if self.whole:
            check_count(where, given[2], purpose, at_least=2 if self.log else 1)
            return int(given[2])
        check_number(where, given[2], purpose, above=1 if self.log else 0)
        return float(given[2])

    def _refuse_range(self, name, given):
        low = "lowest, above 0" if self.log else "lowest"
        step = "factor" if self.log else "step"
        raise ValueError(
            f"`space[{name!r}]` {self.purpose} and, where it is a range, must be "
            f"({low}; highest, above the lowest) or these and a {step}. "
            f"Received: {given!r}."
        )

    def _ask_range(self, hp, name, low, high, step=None):
        start = min(max(self.first, low), high)
        if not self._is_step(start, low, step):
            start = None  # KerasTuner then begins at the lowest
        return (hp.Int if self.whole else hp.Float)(
            name,
            min_value=low,
            max_value=high,
            step=step,
            sampling="log" if self.log else "linear",
            default=start,
        )

    def _is_step(self, value, low, step):
        if step is None:
            return True
        steps = math.log(value / low, step) if self.log else (value - low) / step
        return math.isclose(steps, round(steps), abs_tol=1e-6)


@dataclasses.dataclass(frozen=True)
class Name(Kind):
    """A word, one of `allowed` or such as `is_allowed`, in words `described`."""

    allowed: tuple[str, ...] | None = None
    described: str = ""
    is_allowed: Callable | None = None

    def _one(self, name, value):
        if isinstance(value, str) and self._allows(value):
            return value
        described = self.described
        if self.allowed is not None:
            described = f"one of {', '.join(map(repr, self.allowed))}"
        raise ValueError(
            f"`space[{name!r}]` {self.purpose} and must be {described}, or a list of "
            f"such. Received: {value!r}."
        )

    def _allows(self, value):
        if self.allowed is not None:
            return value in self.allowed
        return self.is_allowed is None or self.is_allowed(value)


@dataclasses.dataclass(frozen=True)
class Flag(Kind):
    """True or False."""

    def ask(self, hp, name, values):
        if isinstance(values, list) and len(values) == 2:
            return hp.Boolean(name, default=self.first is True)
        return hp.Fixed(name, values[0] if isinstance(values, list) else values)

    def _one(self, name, value):
        check_flag(f"space[{name!r}]", value, self.purpose)
        return value
