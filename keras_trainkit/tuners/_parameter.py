"""A hyperparameter of KerasTuner as a parameter that Optuna can draw."""

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import optuna
from keras_tuner.engine import hyperparameters as kinds
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


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
