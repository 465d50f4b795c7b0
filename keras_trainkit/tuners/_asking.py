"""From one trial of Optuna to the values that a hypermodel asks for."""

from keras_tuner.errors import FatalValueError
from optuna.distributions import (
    CategoricalDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from keras_trainkit.tuners._parameter import as_parameter, draw
from keras_trainkit.tuners._tried import Repeated, step_of


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
