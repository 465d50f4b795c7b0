"""A hyperparameter as an axis: its range and scale as the user wrote them."""

import dataclasses
import math
from typing import Any

_MOST_TICKS = 8


@dataclasses.dataclass(frozen=True)
class Axis:
    """What one name may be in a search.

    Args:
        name: String.
        choices: Tuple of the values of a choice, else empty.
        low: Number, the lowest value of a range.
        high: Likewise the highest.
        log: Bool. The scale is logarithmic.
        whole: Bool. Values are whole numbers.
        steps: Tuple of values that a range is limited to, else empty.
    """

    name: str
    choices: tuple = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    steps: tuple = ()

    @property
    def is_single(self) -> bool:
        """Whether there is nothing to vary."""
        return len(self.choices) == 1 or (not self.choices and self.low == self.high)

    @property
    def is_number(self) -> bool:
        """Whether its values have an order and distances."""
        return not any(isinstance(value, bool | str) for value in self.choices)

    def share(self, value) -> float:
        """Where the value stands between the ends of the axis, 0 to 1."""
        low, high = self.ends()
        scale = math.log if self.log else float
        return (scale(self.at(value)) - scale(low)) / (scale(high) - scale(low))

    def at(self, value) -> float:
        """Where the value stands on an axis of matplotlib."""
        return self.choices.index(value) if self.choices else value

    def ends(self) -> tuple[float, float]:
        """The first and the last place on an axis of matplotlib."""
        return (0, len(self.choices) - 1) if self.choices else (self.low, self.high)

    def ticks(self) -> list:
        """Values to be written at the axis."""
        values = list(self.choices or self.steps)
        if self.whole and not values and self.high - self.low < _MOST_TICKS:
            values = list(range(int(self.low), int(self.high) + 1))
        if self.choices or 0 < len(values) <= _MOST_TICKS:
            return values
        return self._round_numbers()

    def _round_numbers(self):
        from matplotlib.ticker import LogLocator, MaxNLocator

        few = MaxNLocator(5, integer=self.whole, steps=[1, 2, 5, 10])
        found = list(few.tick_values(self.low, self.high))
        if self.log and self.high >= 10 * self.low:
            wide = self.high >= 100 * self.low
            subs = (1.0,) if wide else (1.0, 2.0, 5.0)
            locator = LogLocator(subs=subs, numticks=_MOST_TICKS)
            found = list(locator.tick_values(self.low, self.high))
        slack = 1e-9 * (self.high - self.low)
        return [v for v in found if self.low - slack <= v <= self.high + slack]


def axes_of(space, rows: list[dict[str, Any]]) -> list[Axis]:
    """An axis per name that may vary and that some trial used.

    Where a name is defined more than once its axis holds all the definitions.

    Args:
        space: List of KerasTuner's definitions.
        rows: The values of each trial; what no definition holds widens the axis.
    """
    found = []
    for name in _in_order(rows):
        same = [hp for hp in space if hp.name == name]
        values = [row[name] for row in rows if name in row]
        if same:
            ranges = all(hasattr(hp, "min_value") for hp in same)
            found.append((_range if ranges else _choice)(name, same, values))
    return [axis for axis in found if not axis.is_single]


def _in_order(rows):
    """All names as the hypermodel asks for them: each after the one before it."""
    order: list[str] = []
    for row in rows:
        place = 0
        for name in row:
            if name not in order:
                order.insert(place, name)
            place = order.index(name) + 1
    return order


def _range(name, same, values):
    low = min([*(hp.min_value for hp in same), *values])
    high = max([*(hp.max_value for hp in same), *values])
    stepped = all(hp.step is not None for hp in same)
    steps = {value for hp in same for value in hp.values} if stepped else set()
    whole = all(type(hp).__name__ == "Int" for hp in same)
    steps = {round(value) for value in steps} if whole else steps
    log = low > 0 and all(hp.sampling == "log" for hp in same)
    return Axis(name, (), low, high, log, whole, tuple(sorted(steps)))


def _choice(name, same, values):
    known: list = []
    for hp in same:
        if hasattr(hp, "min_value"):
            continue
        known += getattr(hp, "values", [hp.default])
    known = list(dict.fromkeys([*known, *values]))
    if all(isinstance(value, int | float) for value in known):
        known.sort()
    return Axis(name, tuple(known))
