from collections.abc import Callable, Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner import HyperParameters
from keras_tuner.errors import FatalValueError

from keras_trainkit._checks import check_count
from keras_trainkit.hypermodels._domains import Domain
from keras_trainkit.hypermodels._fit_arguments import fit_arguments
from keras_trainkit.hypermodels._preparation import (
    check_prepare,
    checked,
    chosen,
    part_domains,
)
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
        check_prepare(prepare)
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
        return objective_of(self.task, self._loss_varies())

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
            self.prepared = checked(found, self._parts, self._named)
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
        model = self._network(values, chosen(parts, values, self._named))
        model.compile(
            optimizer_of(values),
            loss=loss_of(self.task, self.one_hot, values),
            metrics=metrics_of(
                self.task, self.one_hot, self._loss_varies(), self.metrics
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
        arguments = fit_arguments(
            args, kwargs, encode, values.get("batch_size"), cycle_of(values)
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
            **part_domains(space, self._named_parts),
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

    def _loss_varies(self) -> bool:
        """True if the loss has terms that vary from trial to trial."""
        for entry in self._entries:
            if entry.name in ("l1", "l2", "label_smoothing") and entry.values != 0.0:
                return True
        return False
