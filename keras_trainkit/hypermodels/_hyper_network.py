import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner import HyperParameters
from keras_tuner.errors import FatalValueError

from keras_trainkit._checks import check_count
from keras_trainkit.hypermodels._domains import ChoiceDomain, Domain
from keras_trainkit.hypermodels._fit_arguments import fit_arguments
from keras_trainkit.hypermodels._space import (
    Entry,
    check_space,
    entries_of,
    options,
    values_of,
)
from keras_trainkit.hypermodels._task import (
    check_metrics,
    check_task,
    label_smoothing_domain,
    loss_of,
    metrics_of,
    objective_of,
)
from keras_trainkit.hypermodels._training_space import (
    cycle_of,
    optimizer_of,
    training_domains,
)
from keras_trainkit.models._data_checks import check_fit_data

_PURPOSE = "`prepare` gives what has learned from the training rows and must return"


class HyperNetwork(keras_tuner.HyperModel):
    """Base class of the hypermodels: a builder of `models`, and its training.

    A subclass gives `_parts` (keys that the dict of `prepare` may have),
    `_named_parts` (those of them that the space may choose by name), the defaults of
    `learning_rate` and `global_clipnorm`, the domains of the builder's arguments, and
    `_network`. The tuners of this kit try the defaults first, which are the recipe of
    the examples.
    """

    begins_with_defaults = True

    _parts: tuple[str, ...] = ()
    _named_parts: tuple[str, ...] = ()
    _learning_rate: float
    _global_clipnorm: float

    def __init__(
        self,
        outputs: int,
        task: str,
        *,
        one_hot: bool,
        space: dict[str, Any] | None,
        prepare: Callable | None,
        classes: Sequence | None,
        metrics: Sequence,
        steps_per_execution: int,
        name: str | None,
        tunable: bool,
    ):
        super().__init__(name=name, tunable=tunable)  # it swaps `build`
        check_task(task, outputs, one_hot, classes)
        check_metrics(metrics)
        _check_prepare(prepare)
        check_count(
            "steps_per_execution",
            steps_per_execution,
            "is the number of batches per call of the compiled step",
        )
        self.outputs = outputs
        self.task = task
        self.one_hot = one_hot
        self.classes = classes
        self.space = space
        self.metrics = metrics
        self.steps_per_execution = steps_per_execution
        self.prepared: dict | None = None if prepare else {}
        self._prepare = prepare
        self._entries = self._checked_entries()
        self._named = {
            entry.name: options(entry)
            for entry in self._entries
            if entry.name in self._named_parts
        }
        self._check_named()

    @property
    def objective(self) -> keras_tuner.Objective:
        """Compares trials by the validation loss without terms that are searched."""
        return objective_of(self.task, self._loss_has_terms())

    def prepare(self, x_train: Any, y_train: Any = None) -> dict[str, Any]:
        """Calls the function given as `prepare`; models built from now on use it.

        The tuners of this package call it themselves, in each fold. KerasTuner's do
        not: call it once, on the training rows, before the tuner is made.

        Returns:
            The dict of that function, kept as `prepared` too; `{}` without one.

        Raises:
            ValueError: The function returned something else than it may.
        """
        if self._prepare is not None:
            found = self._prepare(x_train, y_train)
            self.prepared = _checked_parts(found, self._parts, self._named)
        return self._ready()

    def encode(self, x: Any) -> Any:
        """`x` as the model takes it: through "encoding" of `prepare`, if it has one."""
        encoding = self._ready().get("encoding")
        return x if encoding is None else encoding(x)

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        if self.tunable:
            values_of(hp, self._entries)

    def build(self, hp: HyperParameters) -> keras.Model:
        parts = {key: part for key, part in self._ready().items() if key != "encoding"}
        values = values_of(hp, self._entries)
        model = self._network(values, _chosen_parts(parts, values, self._named))
        model.compile(
            optimizer_of(values),
            loss=loss_of(self.task, self.one_hot, values),
            metrics=metrics_of(
                self.task, self.one_hot, self._loss_has_terms(), self.metrics
            ),
            steps_per_execution=self.steps_per_execution,
        )
        # Built now, so that weights which a tuner loads bring their state along.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(
        self, hp: HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        values = values_of(hp if self.tunable else hp.copy(), self._entries)
        encode = self.encode if "encoding" in self._ready() else None
        check = functools.partial(_check_data, model)
        arguments = fit_arguments(
            args, kwargs, encode, check, values.get("batch_size"), cycle_of(values)
        )
        return model.fit(**arguments)

    def _builder_domains(self) -> dict[str, Domain]:
        """Domains of the builder's arguments, by name."""
        raise NotImplementedError

    def _network(self, values: dict[str, Any], parts: dict[str, Any]) -> keras.Model:
        """The model of one trial, from its values and from parts of `prepare`."""
        raise NotImplementedError

    def _ready(self) -> dict[str, Any]:
        """`prepared`; an error before the first call of `prepare`."""
        if self.prepared is None:
            raise FatalValueError(
                "`prepare` adapts layers to training rows, which must come before a "
                "model is built: call `hypermodel.prepare(x_train, y_train)`. The "
                "tuners of this kit do so in `search`, KerasTuner's never do and need "
                "it before they are made. Received: no rows yet."
            )
        return self.prepared

    def _checked_entries(self) -> tuple[Entry, ...]:
        space = self.space
        check_space(space)
        domains = {
            **self._builder_domains(),
            **_part_domains(space, self._named_parts),
            **training_domains(space, self._learning_rate, self._global_clipnorm),
            **label_smoothing_domain(self.task, self.one_hot, space),
        }
        if space is not None and space.get("batch_size", 0) is None:
            del domains["batch_size"]
            space = {name: v for name, v in space.items() if name != "batch_size"}
        return entries_of(domains, space)

    def _check_named(self) -> None:
        if self._named and self._prepare is None:
            part = next(iter(self._named))
            raise ValueError(
                f"`space[{part!r}]` chooses a layer of `prepare`, which must be given. "
                "Received: prepare=None."
            )

    def _loss_has_terms(self) -> bool:
        """True if the loss may have terms besides the error (penalties, smoothing)."""
        for entry in self._entries:
            if entry.name in ("l1", "l2", "label_smoothing") and entry.values != 0.0:
                return True
        return False


def _check_prepare(prepare: Any) -> None:
    if prepare is not None and not callable(prepare):
        raise ValueError(
            "`prepare` adapts layers to training rows and must be a function "
            f"`prepare(x_train, y_train)` or None. Received: prepare={prepare!r}."
        )


def _part_domains(space: Any, named_parts: Iterable[str]) -> dict[str, Domain]:
    """Domains by name of the parts that `space` chooses; its own check comes later."""
    purpose = "chooses what `prepare` returns by name"
    described = "a name that is not empty"
    return {
        part: ChoiceDomain(purpose, [], is_allowed=bool, described=described)
        for part in named_parts
        if isinstance(space, dict) and part in space
    }


def _checked_parts(
    prepared: Any, parts: Iterable[str], named: Mapping[str, list]
) -> dict[str, Any]:
    """The dict of `prepare`, checked against the parts that a hypermodel takes.

    Args:
        prepared: The return value of the caller's function.
        parts: Names that it may have.
        named: Dict from such a name to the names that the space chooses from there.
    """
    if not isinstance(prepared, dict) or not set(prepared) <= set(parts):
        keys = isinstance(prepared, dict) and sorted(map(str, prepared))
        raise FatalValueError(
            f"{_PURPOSE} a dict with some of these keys: {', '.join(parts)}. "
            f"Received: {keys or prepared!r}."
        )
    for part, names in named.items():
        _check_choices(part, prepared.get(part), names)
    for part in set(prepared) - set(named):
        if isinstance(prepared[part], dict):
            raise FatalValueError(
                f"{_PURPOSE} a single {part}, or several by name where the space "
                f"chooses, as `space={{{part!r}: {list(prepared[part])!r}}}`. "
                f"Received: several, and no choice in `space`."
            )
    return prepared


def _chosen_parts(
    prepared: dict[str, Any], values: dict[str, Any], named: Iterable[str]
) -> dict[str, Any]:
    """The parts for one trial, layers copied so that trials share no state."""
    parts = dict(prepared)
    for part in named:
        parts[part] = prepared[part].get(values[part])
    has_state = (keras.layers.Layer, list, tuple)  # several of `augmentation` too
    return {
        part: copy.deepcopy(value) if isinstance(value, has_state) else value
        for part, value in parts.items()
    }


def _check_choices(part: str, given: Any, names: list) -> None:
    needed = set(names) - {"none"}
    if not isinstance(given, dict) or not needed <= set(given):
        raise FatalValueError(
            f"{_PURPOSE} under {part!r} a dict with the names that the space chooses "
            f"from: {', '.join(map(repr, names))} ('none' may be left out). "
            f"Received: {list(given) if isinstance(given, dict) else given!r}."
        )


def _check_data(model: keras.Model, **arguments: Any) -> None:
    """Ends the search where no trial could learn from the data."""
    try:
        check_fit_data(model, **arguments)
    except ValueError as error:
        raise FatalValueError(str(error)) from error
