"""From one trial of Optuna to the values that a hypermodel asks for."""

from keras_tuner.errors import FatalValueError
from optuna.distributions import (
    CategoricalDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from keras_trainkit.tuners._parameter import as_parameter, draw


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
    """

    def __init__(self, trial, chosen=None, force=None, as_parameter=as_parameter):
        self.trial = trial
        self.chosen = chosen or {}
        self.path: list = []
        self._force = force
        self._as_parameter = as_parameter
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
        return parameter.to_value(drawn)

    def _draw(self, hp, parameter):
        name = self._name(hp.name, parameter.distribution)
        if hp.name in self.chosen:
            self._force(name, _chosen(hp, parameter, self.chosen[hp.name]))
        try:
            return name, draw(self.trial, name, parameter.distribution)
        except ValueError as error:
            if self._is_taken(name, parameter.distribution):
                raise _Taken from error
            raise

    def _name(self, name, distribution):
        if name not in self._known or _fits(self._known[name], distribution):
            return name
        return f"{name} {_described(distribution)}"

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


def _fits(known, distribution):
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
    try:
        drawn = parameter.to_drawn(value)
        held = _holds(parameter.distribution, drawn)
    except (ValueError, TypeError):
        held = False
    if not held:
        raise FatalValueError(
            f"A value chosen by hand for {hp.name!r} must be one that the search space "
            f"holds: {hp}. Received: {value!r}."
        )
    return drawn


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
