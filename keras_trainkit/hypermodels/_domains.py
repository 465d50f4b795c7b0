"""Domains of hyperparameters: values that a space may give, and requests to `hp`.

Each takes one value (fixed), a list (choices) or, for numbers, a tuple (a range).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from keras_tuner import HyperParameters

from keras_trainkit._checks import check_count, check_flag, check_number


@dataclasses.dataclass(frozen=True)
class Domain:
    """Base class of the domains.

    Args:
        purpose: A phrase that follows the hyperparameter's name in an error.
        values: The values searched by default.
        start: The value to begin with, where it is among those searched; of a range
            the nearest. None: that in `values`.
        when: Name of another hyperparameter and the values of it with which this one
            is used. None: always.
    """

    purpose: str
    values: Any
    start: Any = None
    when: tuple[str, tuple] | None = None

    def checked(self, name: str, given: Any) -> Any:
        """`given` in plain Python types; an error if it is not in the domain."""
        if isinstance(given, tuple):
            return self._range(name, given)
        if isinstance(given, np.ndarray | range | set | frozenset | dict):
            raise ValueError(
                f"`space[{name!r}]` {self.purpose} and must be one value, a list of "
                "choices or, for numbers, a range (lowest, highest). "
                f"Received: {given!r}."
            )
        if not isinstance(given, list):
            return self._one(name, given)
        values = [self._one(name, value) for value in given]
        if not values or len(set(values)) < len(values):
            raise ValueError(
                f"`space[{name!r}]` {self.purpose} and, where it is a list of choices, "
                f"must hold at least one, each once. Received: {given!r}."
            )
        return values

    def ask(self, hp: HyperParameters, name: str, values: Any) -> Any:
        """The value that `hp` has for it, None where its condition does not hold."""
        if isinstance(values, tuple):
            return self._ask_range(hp, name, *values)
        if not isinstance(values, list):
            return hp.Fixed(name, values)
        return hp.Choice(name, values, default=self._first_of(values))

    @property
    def first(self) -> Any:
        return self.values if self.start is None else self.start

    def _first_of(self, values: list) -> Any:
        return self.first if self.first in values else values[0]

    def _one(self, name: str, value: Any) -> Any:
        raise NotImplementedError

    def _range(self, name: str, given: tuple) -> tuple:
        raise ValueError(
            f"`space[{name!r}]` {self.purpose} and must be one value or a list of "
            f"choices, for it has no range. Received: {given!r}."
        )

    def _ask_range(
        self,
        hp: HyperParameters,
        name: str,
        low: float,
        high: float,
        step: float | None = None,
    ) -> float:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class NumberDomain(Domain):
    """A number, `whole` or not, drawn from a `log` scale or not, within `bounds`."""

    whole: bool = False
    log: bool = False
    bounds: dict = dataclasses.field(default_factory=dict)

    def _one(self, name: str, value: Any) -> Any:
        check = check_count if self.whole else check_number
        check(f"space[{name!r}]", value, self.purpose, **self.bounds)
        return int(value) if self.whole else float(value)

    def _range(self, name: str, given: tuple) -> tuple:
        if len(given) not in (2, 3):
            self._refuse_range(name, given)
        low, high = (self._one(name, end) for end in given[:2])
        if not low < high or (self.log and low <= 0):
            self._refuse_range(name, given)
        if len(given) == 2:
            return low, high
        return low, high, self._step(name, given)

    def _step(self, name: str, given: tuple) -> float:
        purpose = "is the factor from value to value" if self.log else "is the step"
        argument = f"space[{name!r}][2]"
        if self.whole:
            check_count(argument, given[2], purpose, at_least=2 if self.log else 1)
            return int(given[2])
        check_number(argument, given[2], purpose, above=1 if self.log else 0)
        return float(given[2])

    def _refuse_range(self, name: str, given: tuple) -> NoReturn:
        low = "lowest, above 0" if self.log else "lowest"
        step = "factor" if self.log else "step"
        raise ValueError(
            f"`space[{name!r}]` {self.purpose} and, where it is a range, must be "
            f"({low}; highest, above the lowest) or these and a {step}. "
            f"Received: {given!r}."
        )

    def _ask_range(
        self,
        hp: HyperParameters,
        name: str,
        low: float,
        high: float,
        step: float | None = None,
    ) -> float:
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

    def _is_step(self, value: float, low: float, step: float | None) -> bool:
        if step is None:
            return True
        steps = math.log(value / low, step) if self.log else (value - low) / step
        return math.isclose(steps, round(steps), abs_tol=1e-6)


@dataclasses.dataclass(frozen=True)
class ChoiceDomain(Domain):
    """A word: one of `allowed`, or one that `is_allowed` accepts.

    Args:
        described: A phrase for the words that `is_allowed` accepts.
    """

    allowed: tuple[str, ...] | None = None
    described: str = ""
    is_allowed: Callable | None = None

    def _one(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and self._allows(value):
            return value
        described = self.described
        if self.allowed is not None:
            described = f"one of {', '.join(map(repr, self.allowed))}"
        raise ValueError(
            f"`space[{name!r}]` {self.purpose} and must be {described}, or a list of "
            f"such. Received: {value!r}."
        )

    def _allows(self, value: str) -> bool:
        if self.allowed is not None:
            return value in self.allowed
        return self.is_allowed is None or self.is_allowed(value)


@dataclasses.dataclass(frozen=True)
class FlagDomain(Domain):
    """True or False."""

    def ask(self, hp: HyperParameters, name: str, values: Any) -> Any:
        if isinstance(values, list) and len(values) == 2:
            return hp.Boolean(name, default=self.first is True)
        return hp.Fixed(name, values[0] if isinstance(values, list) else values)

    def _one(self, name: str, value: Any) -> Any:
        check_flag(f"space[{name!r}]", value, self.purpose)
        return value
