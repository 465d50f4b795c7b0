"""Hyperparameters of KerasTuner whose values one trial of Optuna suggests."""

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import keras_tuner
import optuna
from keras_tuner.engine import hyperparameters as kinds
from keras_tuner.engine.hyperparameters import Fixed
from keras_tuner.errors import FatalValueError
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from keras_trainkit.tuners._configuration_tree import Repeated, step_of


def _itself(value):
    return value


@dataclasses.dataclass(frozen=True)
class Parameter:
    """What Optuna draws, and the way from there to the value and back."""

    distribution: optuna.distributions.BaseDistribution
    to_value: Callable[[Any], Any] = _itself
    to_drawn: Callable[[Any], Any] = _itself


def as_parameter(hp) -> Parameter:
    """The parameter of one definition.

    | definition                 | drawn                                            |
    | -------------------------- | ------------------------------------------------ |
    | Choice, Boolean            | one of the values                                |
    | Int, Float, with a step    | a number on the grid from the lowest value       |
    | log or reverse log, a step | the index of the value                           |
    | reverse log                | the mirrored number, `lowest + highest - value`  |
    """
    if isinstance(hp, kinds.Choice | kinds.Boolean):
        return Parameter(CategoricalDistribution(list(hp.values)))
    if hp.sampling != "linear" and hp.step is not None:
        return _index(hp)
    number = int if isinstance(hp, kinds.Int) else float
    if hp.sampling == "linear":
        return Parameter(_linear(hp, number))
    drawn = _distribution(number)(
        number(hp.min_value), number(hp.max_value), log=_spans(hp)
    )
    if hp.sampling == "log":
        return Parameter(drawn)
    ends = number(hp.min_value) + number(hp.max_value)
    return Parameter(drawn, lambda drawn: ends - drawn, lambda value: ends - value)


def as_list(hp) -> Parameter:
    """The parameter of one definition where every value is to be listed.

    KerasTuner's own list: 10 values where a range has no step. The default comes
    first, as in its grid search.
    """
    if isinstance(hp, kinds.Choice | kinds.Boolean):
        others = list(hp.values)
    else:
        others = sorted(_numbers(hp))
    values = [hp.default, *(value for value in others if value != hp.default)]
    return Parameter(CategoricalDistribution(values))


def draw(trial: optuna.Trial, name: str, distribution):
    """Asks the trial for one value."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    suggest = (
        trial.suggest_int
        if isinstance(distribution, IntDistribution)
        else trial.suggest_float
    )
    bounds = (distribution.low, distribution.high)
    return suggest(name, *bounds, step=distribution.step, log=distribution.log)


def _distribution(number):
    return IntDistribution if number is int else FloatDistribution


def _spans(hp):
    return hp.max_value > hp.min_value


def _linear(hp, number):
    low, high, step = number(hp.min_value), number(hp.max_value), hp.step
    if step is None:
        return _distribution(number)(low, high)
    # In decimals, as Optuna counts: 0.1 * 3 is no multiple of 0.1 in binary.
    first, last, apart = (Decimal(str(part)) for part in (low, high, number(step)))
    high = number(first + (last - first) // apart * apart)
    return _distribution(number)(low, high, step=number(step))


def _index(hp):
    values = _numbers(hp)
    return Parameter(
        IntDistribution(0, len(values) - 1), values.__getitem__, values.index
    )


def _numbers(hp):
    # KerasTuner gives floats for an Int with a logarithmic step.
    number = round if isinstance(hp, kinds.Int) else float
    return [number(value) for value in hp.values]


class AskingHyperParameters(keras_tuner.HyperParameters):
    """`HyperParameters` whose active entries ask for their value when first used.

    But for those of `given`, nothing is drawn in advance: `build(hp)` decides by its
    own course which entries exist, and an entry under a condition that does not hold
    is never asked for.

    Args:
        ask: Function of a definition that returns its value.
        given: `HyperParameters` whose definitions go before those of `build`. None
            for none.
        tune_new_entries: Bool. Ask for entries that `given` lacks; False takes their
            default.
        allow_new_entries: Bool. False makes such entries an error.
    """

    def __init__(
        self,
        ask: Callable,
        given: keras_tuner.HyperParameters | None = None,
        tune_new_entries=True,
        allow_new_entries=True,
    ):
        super().__init__()
        self._ask = ask
        self._tune_new_entries = tune_new_entries
        self._allow_new_entries = allow_new_entries
        if given is not None:
            self.merge(given)
            self.values.clear()  # those were defaults; conditions hang on real values

    def ask_given(self):
        """Asks for the active entries of `given`, so that `hp.get` finds them."""
        for hp in list(self.space):
            self._retrieve(hp)

    def _retrieve(self, hyperparameter):
        """Every kind of entry comes through here, in KerasTuner 1.4.8.

        A value that stands in `values` is what the base class then returns.
        """
        hp = self._definition(hyperparameter)
        if self.is_active(hp) and hp.name not in self.values:
            self.values[hp.name] = self._value_of(hp)
        return super()._retrieve(hyperparameter)

    def _definition(self, wanted):
        for hp in self.space:
            if hp.name == wanted.name and hp.conditions == wanted.conditions:
                return hp
        return wanted

    def _value_of(self, hp):
        is_new = hp not in self.space
        if is_new and not self._allow_new_entries:
            raise RuntimeError(
                "`allow_new_entries` decides whether the hypermodel may use entries "
                "that `hyperparameters` lacks, and it is False. "
                f"Received: the new entry {hp}."
            )
        if isinstance(hp, Fixed) or (is_new and not self._tune_new_entries):
            return hp.default
        return self._ask(hp)


class Asking:
    """Answers definitions from one trial, under names that the study can hold.

    A study knows one kind of distribution under a name. A second definition under the
    same name, which KerasTuner allows, goes under the name with its values after it.

    Args:
        trial: `optuna.Trial`.
        chosen: Dict from names to values that were chosen by hand.
        force: Function of a name in the study and a value, called before a chosen
            value is asked for.
        as_parameter: Function from a definition to a `Parameter`.
        suggest: Function of a name in the study and the default, called before any
            other value is asked for. None where the default is a value like others.
        tried: `Tried`, or None where a configuration may come again.
        steps: List to which each value drawn is added.
    """

    def __init__(
        self,
        trial,
        chosen=None,
        force=None,
        as_parameter=as_parameter,
        *,
        suggest=None,
        tried=None,
        steps=None,
    ):
        self.trial = trial
        self.chosen = chosen or {}
        self.path: list = []
        self._force = force
        self._as_parameter = as_parameter
        self._suggest = suggest
        self._tried = tried
        self._steps = [] if steps is None else steps
        self._known = _distributions(trial.study)

    def __call__(self, hp):
        parameter = self._as_parameter(hp)
        try:
            name, drawn = self._draw(hp, parameter)
        except _Taken:
            # Another process brought a second definition in since we looked.
            self._known = _distributions(self.trial.study)
            name, drawn = self._draw(hp, parameter)
        self.path.append((name, drawn))
        self._steps.append(step_of(name, self.trial.distributions[name], drawn))
        if self._tried is not None and self._tried.is_tried(self._steps):
            raise Repeated
        return parameter.to_value(drawn)

    def _draw(self, hp, parameter):
        distribution = parameter.distribution
        name = self._name(hp.name, distribution)
        if hp.name in self.chosen:
            self._force(name, _chosen(hp, parameter, self.chosen[hp.name]))
        elif self._suggest is not None and _can_draw(parameter, hp.default):
            self._suggest(name, parameter.to_drawn(hp.default))
        try:
            distribution = self._in_known_order(name, distribution)
            return name, draw(self.trial, name, distribution)
        except ValueError as error:
            if self._is_taken(name, distribution):
                raise _Taken from error
            raise

    def _name(self, name, distribution):
        if name not in self._known or _fits(self._known[name], distribution):
            return name
        return f"{name} {_described(distribution)}"

    def _in_known_order(self, name, distribution):
        """A list of values as the study has it: its order may hang on a default."""
        known = self._known.get(name)
        if _is_same_list(known, distribution):
            return known
        return distribution

    def _is_taken(self, name, distribution):
        now = _distributions(self.trial.study)
        return name in now and not _fits(now[name], distribution)


class _Taken(Exception):
    """The name got another kind of distribution meanwhile."""


def _distributions(study):
    known: dict = {}
    for trial in study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            known.setdefault(name, distribution)
    return known


def _is_same_list(known, distribution):
    if not isinstance(known, CategoricalDistribution):
        return False
    others = getattr(distribution, "choices", ())
    return len(others) == len(known.choices) and all(c in others for c in known.choices)


def _fits(known, distribution):
    if _is_same_list(known, distribution):
        return True
    try:
        check_distribution_compatibility(known, distribution)
    except ValueError:
        return False
    return True


def _described(distribution):
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return str(choices)
    scale = " log" if distribution.log else ""
    return f"({distribution.low} to {distribution.high}{scale})"


def _chosen(hp, parameter, value):
    """The number to force; refused where the range does not hold it."""
    if not _can_draw(parameter, value):
        raise FatalValueError(
            f"A value chosen by hand for {hp.name!r} must be one that the search space "
            f"holds: {hp}. Received: {value!r}."
        )
    return parameter.to_drawn(value)


def _can_draw(parameter, value):
    try:
        return _holds(parameter.distribution, parameter.to_drawn(value))
    except (ValueError, TypeError):
        return False


def _holds(distribution, drawn):
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
