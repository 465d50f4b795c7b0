"""Finished trials of a tuner: values, scores, and an axis per hyperparameter."""

import dataclasses
import math
from typing import Any

import numpy as np

_MOST_TICKS = 8


@dataclasses.dataclass(frozen=True)
class Axis:
    """A hyperparameter as an axis: its range and scale as the user wrote them.

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
        """True if there is nothing to vary."""
        return len(self.choices) == 1 or (not self.choices and self.low == self.high)

    @property
    def is_number(self) -> bool:
        """True if its values have an order and distances."""
        return not any(isinstance(value, bool | str) for value in self.choices)

    def share(self, value: Any) -> float:
        """Position of the value between the ends of the axis, 0 to 1."""
        low, high = self.ends()
        scale = math.log if self.log else float
        return (scale(self.at(value)) - scale(low)) / (scale(high) - scale(low))

    def at(self, value: Any) -> float:
        """Position of the value on an axis of matplotlib."""
        return self.choices.index(value) if self.choices else value

    def ends(self) -> tuple[float, float]:
        """The first and the last position on an axis of matplotlib."""
        return (0, len(self.choices) - 1) if self.choices else (self.low, self.high)

    def ticks(self) -> list[Any]:
        """Values to be written at the axis."""
        values = list(self.choices or self.steps)
        if self.whole and not values and self.high - self.low < _MOST_TICKS:
            values = list(range(int(self.low), int(self.high) + 1))
        if self.choices or 0 < len(values) <= _MOST_TICKS:
            return values
        return self._round_numbers()

    def _round_numbers(self) -> list[float]:
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


@dataclasses.dataclass(frozen=True)
class Trials:
    """The completed trials from the worst to the best, and the values of the others."""

    objective: str
    direction: str
    axes: list[Axis]
    names: list[str]
    values: list[dict[str, Any]]
    scores: np.ndarray
    others: list[dict[str, Any]]

    def axis(self, name: str) -> Axis | None:
        """The axis of this name."""
        return next((axis for axis in self.axes if axis.name == name), None)


def finished_trials(tuner: Any, at_least: int, purpose: str) -> Trials:
    """The trials of the kit's tuners and of KerasTuner's.

    Args:
        tuner: `keras_tuner.Tuner`.
        at_least: Int. Completed trials that are needed.
        purpose: String. What they are needed for, as the beginning of a message.
    """
    oracle = _oracle(tuner)
    trials = list(oracle.trials.values())
    done = [t for t in trials if t.status == "COMPLETED" and math.isfinite(t.score)]
    if len(done) < at_least:
        raise ValueError(
            f"{purpose}: at least {at_least} completed trials in `tuner` are needed. "
            f"Received: {len(done)} completed of {len(trials)} trials."
        )
    sign = -1 if oracle.objective.direction == "max" else 1
    done.sort(key=lambda trial: sign * trial.score)  # the first of equals is best
    done.reverse()
    others = [t for t in trials if t.status in ("STOPPED", "FAILED", "INVALID")]
    rows = [trial.hyperparameters.values for trial in [*done, *others]]
    axes = axes_of(oracle.get_space().space, rows)
    if not axes:
        raise ValueError(
            f"{purpose}: `tuner` must have a hyperparameter that is not fixed. "
            f"Received: {len(trials)} trials with {rows[0]}."
        )
    return Trials(
        oracle.objective.name,
        oracle.objective.direction,
        axes,
        [trial.trial_id for trial in done],
        rows[: len(done)],
        np.array([trial.score for trial in done]),
        rows[len(done) :],
    )


def _oracle(tuner: Any) -> Any:
    import keras_tuner

    if not isinstance(tuner, keras_tuner.engine.base_tuner.BaseTuner):
        raise ValueError(
            "`tuner` is the finished search and must be a tuner of the kit or of "
            f"KerasTuner. Received: tuner={tuner!r}."
        )
    return tuner.oracle


def axes_of(space: list[Any], rows: list[dict[str, Any]]) -> list[Axis]:
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


def _in_order(rows: list[dict[str, Any]]) -> list[str]:
    """All names as the hypermodel asks for them: each after the one before it."""
    order: list[str] = []
    for row in rows:
        position = 0
        for name in row:
            if name not in order:
                order.insert(position, name)
            position = order.index(name) + 1
    return order


def _range(name: str, same: list[Any], values: list[Any]) -> Axis:
    low = min([*(hp.min_value for hp in same), *values])
    high = max([*(hp.max_value for hp in same), *values])
    stepped = all(hp.step is not None for hp in same)
    steps = {value for hp in same for value in hp.values} if stepped else set()
    whole = all(type(hp).__name__ == "Int" for hp in same)
    steps = {round(value) for value in steps} if whole else steps
    log = low > 0 and all(hp.sampling == "log" for hp in same)
    return Axis(name, (), low, high, log, whole, tuple(sorted(steps)))


def _choice(name: str, same: list[Any], values: list[Any]) -> Axis:
    known: list[Any] = []
    for hp in same:
        if hasattr(hp, "min_value"):
            continue
        known += getattr(hp, "values", [hp.default])
    known = list(dict.fromkeys([*known, *values]))
    if all(isinstance(value, int | float) for value in known):
        known.sort()
    return Axis(name, tuple(known))
