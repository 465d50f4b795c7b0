"""Narrowing a search around its best trial, parameter by parameter.

A number lives on [0, 1]: its place in its range, in the logarithm where the range has
one. A choice lives in the list of its values.
"""

import dataclasses
import math

from optuna.distributions import CategoricalDistribution, IntDistribution

_EDGE = 0.1


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of [0, 1]."""

    low: float = 0.0
    high: float = 1.0

    @property
    def width(self):
        """Its share of the range."""
        return self.high - self.low

    def around(self, best: float, shrink: float) -> "Window":
        """The next window: narrower around the best, or wider if that is on an edge.

        The ends of the whole range are no edges: there is nothing behind them.
        """
        near = _EDGE * self.width
        at_low = best - self.low < near and self.low > 0
        at_high = self.high - best < near and self.high < 1
        on_edge = at_low or at_high
        width = min(1.0, self.width / shrink if on_edge else self.width * shrink)
        low = min(max(0.0, best - width / 2), 1 - width)
        return Window(low, low + width)


def to_share(value, distribution) -> float:
    """Where a number stands in its range."""
    low, high = _ends(distribution)
    if high == low:
        return 0.5
    value = math.log(value) if distribution.log else value
    return min(1.0, max(0.0, (value - low) / (high - low)))


def from_share(share: float, distribution):
    """The number at a share of the range, on the grid of its step."""
    low, high = _ends(distribution)
    value = low + share * (high - low)
    value = math.exp(value) if distribution.log else value
    if isinstance(distribution, IntDistribution):
        steps = round((value - distribution.low) / distribution.step)
        return min(distribution.high, distribution.low + steps * distribution.step)
    if distribution.step is not None:
        steps = round((value - distribution.low) / distribution.step)
        value = distribution.low + steps * distribution.step
    return min(distribution.high, max(distribution.low, value))


def kept_choices(scored: list[tuple], distribution, share: float) -> list:
    """The best `share` of the values, by the best score of each; at least one.

    Args:
        scored: Pairs of value and score, lower is better.
        distribution: `CategoricalDistribution`.
        share: Float in (0, 1].
    """
    best: dict = {}
    for value, score in scored:
        best[value] = min(score, best.get(value, math.inf))
    count = max(1, math.ceil(share * len(distribution.choices)))
    ranked = sorted(distribution.choices, key=lambda choice: best.get(choice, math.inf))
    return ranked[:count]


def is_choice(distribution) -> bool:
    """Whether values are listed and have no order."""
    return isinstance(distribution, CategoricalDistribution)


def _ends(distribution):
    low, high = distribution.low, distribution.high
    return (math.log(low), math.log(high)) if distribution.log else (low, high)
