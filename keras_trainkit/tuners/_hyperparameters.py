"""Hyperparameters of KerasTuner whose values one trial of Optuna suggests.

`SuggestedHyperParameters` is the `hp` of a hypermodel; `SuggestedValues` answers it
from the trial; `Parameter` converts each definition to a distribution and values back.
"""

import dataclasses
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import keras_tuner
import optuna
from keras_tuner.engine.hyperparameters import Boolean, Choice, Fixed, Int
from keras_tuner.errors import FatalValueError
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from keras_trainkit.tuners._configuration_tree import PartialConfiguration


class SuggestedHyperParameters(keras_tuner.HyperParameters):
    """`HyperParameters` whose active entries are suggested when they are first used.

    But for those of `given`, nothing is drawn in advance: `build(hp)` decides by its
    own course which entries exist, and an entry under a condition that does not hold
    is never drawn.

    Args:
        suggest: Function of a definition that returns its value.
        given: `HyperParameters` whose definitions go before those of `build`. None
            for none.
        tune_new_entries: Bool. Draw entries that `given` lacks; False takes their
            default.
        allow_new_entries: Bool. False makes such entries an error.
    """

    def __init__(
        self,
        suggest: Callable[[Any], Any],
        given: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
    ):
        super().__init__()
        self._suggest = suggest
        self._tune_new_entries = tune_new_entries
        self._allow_new_entries = allow_new_entries
        if given is not None:
            self.merge(given)
            self.values.clear()  # those were defaults; conditions depend on real values

    def draw_given(self) -> None:
        """Draws the active entries of `given`, so that `hp.get` finds them."""
        for hp in list(self.space):
            self._retrieve(hp)

    def _retrieve(self, hyperparameter: Any) -> Any:
        """Entries of all classes come through here, in KerasTuner 1.4.8.

        The base class then returns the value that is in `values`.
        """
        hp = self._definition(hyperparameter)
        if self.is_active(hp) and hp.name not in self.values:
            self.values[hp.name] = self._value_of(hp)
        return super()._retrieve(hyperparameter)

    def _definition(self, wanted: Any) -> Any:
        for hp in self.space:
            if hp.name == wanted.name and hp.conditions == wanted.conditions:
                return hp
        return wanted

    def _value_of(self, hp: Any) -> Any:
        is_new = hp not in self.space
        if is_new and not self._allow_new_entries:
            raise RuntimeError(
                "`allow_new_entries` decides whether the hypermodel may use entries "
                "that `hyperparameters` lacks, and it is False. "
                f"Received: the new entry {hp}."
            )
        if isinstance(hp, Fixed) or (is_new and not self._tune_new_entries):
            return hp.default
        return self._suggest(hp)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A distribution of Optuna, and conversions of what is drawn to the value and back.

    Args:
        distribution: Distribution of what is drawn.
        to_value: Function of what was drawn; returns the value for the hypermodel.
        to_drawn: Its inverse.
    """

    distribution: BaseDistribution
    to_value: Callable[[Any], Any] = lambda drawn: drawn
    to_drawn: Callable[[Any], Any] = lambda value: value


def as_parameter(hp: Any) -> Parameter:
    """Converts one definition.

    | definition                 | drawn                                            |
    | -------------------------- | ------------------------------------------------ |
    | Choice, Boolean            | one of the values                                |
    | Int, Float, with a step    | a number on the grid from the lowest value       |
    | log or reverse log, a step | the index of the value                           |
    | reverse log                | the mirrored number, `lowest + highest - value`  |
    """
    if isinstance(hp, Choice | Boolean):
        return Parameter(CategoricalDistribution(list(hp.values)))
    if isinstance(hp, Fixed):
        return Parameter(CategoricalDistribution([hp.value]))
    _check_range(hp)
    if hp.sampling != "linear" and hp.step is not None:
        return _index_parameter(hp)
    number = int if isinstance(hp, Int) else float
    if hp.sampling == "linear":
        return Parameter(_linear(hp, number))
    is_range = hp.max_value > hp.min_value
    drawn = _distribution_of(number)(
        number(hp.min_value), number(hp.max_value), log=is_range
    )
    if hp.sampling == "log":
        return Parameter(drawn)
    mirrored = _mirror_of(drawn)
    return Parameter(drawn, mirrored, mirrored)


def _mirror_of(distribution: Any) -> Callable[[Any], Any]:
    """Function that mirrors a number in its range; `low + high - high` may be < low."""
    low, high = distribution.low, distribution.high

    def mirrored(number: Any) -> Any:
        other = low + high - number
        return min(high, max(low, other)) if low <= number <= high else other

    return mirrored


def as_listed_parameter(hp: Any) -> Parameter:
    """Converts one definition where every value is to be listed.

    KerasTuner's own list: 10 values where a range has no step. The default comes
    first, as in its grid search.
    """
    if isinstance(hp, Choice | Boolean | Fixed):
        others = list(hp.values)
    else:
        _check_range(hp)
        others = sorted(_numbers(hp))
    values = [hp.default, *(value for value in others if value != hp.default)]
    return Parameter(CategoricalDistribution(values))


def _check_range(hp: Any) -> None:
    """Refuses a range of numbers that have no end, or lie too far apart."""
    low, high, step = float(hp.min_value), float(hp.max_value), hp.step
    fine = math.isfinite(high - low) and (
        step is None or (math.isfinite(float(step)) and float(step) > 0)
    )
    if isinstance(hp, Int):
        fine = fine and low >= -(2**63) and high < 2**63
    if not fine:
        bounds = "integers of 64 bits" if isinstance(hp, Int) else "finite numbers"
        raise FatalValueError(
            f"The range of {hp.name!r} is what its values are drawn from and must have "
            f"{bounds} as bounds, of a finite difference, and a step above 0 or None. "
            f"Received: min_value={hp.min_value}, max_value={hp.max_value}, "
            f"step={step}."
        )


def _distribution_of(number: type) -> Any:
    return IntDistribution if number is int else FloatDistribution


def _linear(hp: Any, number: type) -> BaseDistribution:
    low, high, step = number(hp.min_value), number(hp.max_value), hp.step
    if step is None:
        return _distribution_of(number)(low, high)
    # In decimals, as Optuna counts: 0.1 * 3 is no multiple of 0.1 in binary.
    first, last, apart = (Decimal(str(part)) for part in (low, high, number(step)))
    high = number(first + (last - first) // apart * apart)
    return _distribution_of(number)(low, high, step=number(step))


def _index_parameter(hp: Any) -> Parameter:
    values = _numbers(hp)
    return Parameter(
        IntDistribution(0, len(values) - 1), values.__getitem__, values.index
    )


def _numbers(hp: Any) -> list[Any]:
    # KerasTuner gives floats for an Int with a logarithmic step.
    number = round if isinstance(hp, Int) else float
    return [number(value) for value in hp.values]


class SuggestedValues:
    """Answers a hypermodel's requests with suggestions of one Optuna trial.

    Under one name a study has distributions of one class. A second definition under
    the same name, which KerasTuner allows, gets the name with its values after it.

    Args:
        trial: `optuna.Trial`.
        configuration: `PartialConfiguration`; takes each value drawn.
        as_parameter: Function from a definition to a `Parameter`.
        chosen: Dict from names to values that were chosen by hand.
        force: Function of a name in the study and a value, called before a chosen
            value is asked for.
        prefer: Function of a name in the study and the default, called before any
            other value is asked for. None where the default is a value like others.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        configuration: PartialConfiguration,
        as_parameter: Callable[[Any], Parameter] = as_parameter,
        *,
        chosen: dict[str, Any] | None = None,
        force: Callable[[str, Any], None] | None = None,
        prefer: Callable[[str, Any], None] | None = None,
    ):
        self.path: list[tuple[str, Any]] = []
        self._trial = trial
        self._configuration = configuration
        self._as_parameter = as_parameter
        self._chosen = chosen or {}
        self._force = force
        self._prefer = prefer
        self._known = _distributions_in(trial.study)

    def __call__(self, hp: Any) -> Any:
        parameter = self._as_parameter(hp)
        try:
            name, drawn = self._draw(hp, parameter)
        except _NameTaken:
            # Another process brought a second definition in since we looked.
            self._known = _distributions_in(self._trial.study)
            name, drawn = self._draw(hp, parameter)
        self.path.append((name, drawn))
        self._configuration.add(name, self._trial.distributions[name], drawn)
        return parameter.to_value(drawn)

    def _draw(self, hp: Any, parameter: Parameter) -> tuple[str, Any]:
        distribution = parameter.distribution
        name = self._name(hp.name, distribution)
        if hp.name in self._chosen and self._force is not None:
            self._force(name, _forced(hp, parameter, self._chosen[hp.name]))
        elif self._prefer is not None and _can_draw(parameter, hp.default):
            self._prefer(name, parameter.to_drawn(hp.default))
        try:
            distribution = self._in_known_order(name, distribution)
            return name, _suggest(self._trial, name, distribution)
        except ValueError as error:
            if self._is_taken(name, distribution):
                raise _NameTaken from error
            raise

    def _name(self, name: str, distribution: BaseDistribution) -> str:
        if name not in self._known or _fits(self._known[name], distribution):
            return name
        return f"{name} {_values_as_text(distribution)}"

    def _in_known_order(
        self, name: str, distribution: BaseDistribution
    ) -> BaseDistribution:
        """A list of values as the study has it: its order may depend on a default."""
        known = self._known.get(name)
        if known is not None and _is_same_list(known, distribution):
            return known
        return distribution

    def _is_taken(self, name: str, distribution: BaseDistribution) -> bool:
        now = _distributions_in(self._trial.study)
        return name in now and not _fits(now[name], distribution)


class _NameTaken(Exception):
    """The name has got a distribution of another class meanwhile."""


def _suggest(trial: optuna.Trial, name: str, distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    is_int = isinstance(distribution, IntDistribution)
    suggest: Any = trial.suggest_int if is_int else trial.suggest_float
    bounds = (distribution.low, distribution.high)
    return suggest(name, *bounds, step=distribution.step, log=distribution.log)


def _distributions_in(study: optuna.Study) -> dict[str, BaseDistribution]:
    known: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            known.setdefault(name, distribution)
    return known


def _is_same_list(known: BaseDistribution, distribution: BaseDistribution) -> bool:
    if not isinstance(known, CategoricalDistribution):
        return False
    others = getattr(distribution, "choices", ())
    return len(others) == len(known.choices) and set(others) == set(known.choices)


def _fits(known: BaseDistribution, distribution: BaseDistribution) -> bool:
    if _is_same_list(known, distribution):
        return True
    try:
        check_distribution_compatibility(known, distribution)
    except ValueError:
        return False
    return True


def _values_as_text(distribution: Any) -> str:
    """Ending of a name in the study; it is saved there and must stay as it is."""
    if isinstance(distribution, CategoricalDistribution):
        return str(distribution.choices)
    scale = " log" if distribution.log else ""
    return f"({distribution.low} to {distribution.high}{scale})"


def _forced(hp: Any, parameter: Parameter, value: Any) -> Any:
    """A chosen value as it is drawn; refused where the range does not hold it."""
    if not _can_draw(parameter, value):
        raise FatalValueError(
            f"A value chosen by hand for {hp.name!r} must be one that the search space "
            f"holds: {hp}. Received: {value!r}."
        )
    return parameter.to_drawn(value)


def _can_draw(parameter: Parameter, value: Any) -> bool:
    try:
        return _holds(parameter.distribution, parameter.to_drawn(value))
    except (ValueError, TypeError):
        return False


def _holds(distribution: Any, drawn: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return drawn in distribution.choices
    if not distribution.low <= drawn <= distribution.high:
        return False
    if isinstance(distribution, IntDistribution) and drawn != int(drawn):
        return False
    if not distribution.step:
        return True
    steps = (drawn - distribution.low) / distribution.step
    return abs(steps - round(steps)) < 1e-8
