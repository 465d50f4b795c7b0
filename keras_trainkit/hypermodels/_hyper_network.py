"""What the hypermodels share; each of them says only what is its own."""

import keras_tuner
from keras_tuner.errors import FatalValueError

from keras_trainkit._checks import check_count
from keras_trainkit.hypermodels._fitting import fit_arguments
from keras_trainkit.hypermodels._objectives import (
    check_metrics,
    check_task,
    label_smoothing_kind,
    loss_of,
    metrics_of,
    objective_of,
)
from keras_trainkit.hypermodels._prepared import check_prepare, checked, chosen
from keras_trainkit.hypermodels._space import (
    check_space,
    entries_of,
    options,
    values_of,
)
from keras_trainkit.hypermodels._training_space import (
    cycle_of,
    optimizer_of,
    training_kinds,
)


class HyperNetwork(keras_tuner.HyperModel):
    """A search space over one builder of `models`, its training included.

    A subclass gives `_parts` (what `prepare` may return), `_named_parts` (those that
    the space may choose by name) and `_network` (values and parts to a model). The
    tuners of this kit try the defaults first, which are the recipe of the examples.
    """

    begins_with_defaults = True

    _parts: tuple[str, ...] = ()
    _named_parts: tuple[str, ...] = ()

    def __init__(
        self,
        kinds,
        outputs,
        task,
        *,
        one_hot,
        space,
        prepare,
        classes,
        metrics,
        steps_per_execution,
        learning_rate,
        global_clipnorm,
        name,
        tunable,
    ):
        super().__init__(name=name, tunable=tunable)  # it swaps `build`
        check_task(task, outputs, one_hot, classes)
        check_metrics(metrics)
        check_prepare(prepare)
        purpose = "is the number of batches per call of the compiled step"
        check_count("steps_per_execution", steps_per_execution, purpose)
        self.outputs = outputs
        self.task = task
        self.one_hot = one_hot
        self.classes = classes
        self.space = space
        self.metrics = metrics
        self.steps_per_execution = steps_per_execution
        self.prepared: dict | None = None if prepare else {}
        self._prepare = prepare
        self._entries = self._resolved(kinds, space, learning_rate, global_clipnorm)
        self._named = {
            entry.name: options(entry)
            for entry in self._entries
            if entry.name in self._named_parts
        }
        self._check_named(prepare)

    @property
    def objective(self) -> keras_tuner.Objective:
        """What to compare trials by: the validation loss without what is searched."""
        return objective_of(self.task, self._loss_varies())

    def prepare(self, x_train, y_train=None):
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
        return self.prepared

    def encode(self, x):
        """`x` as the model takes it: through "encoding" of `prepare`, if it has one."""
        encoding = self._ready().get("encoding")
        return x if encoding is None else encoding(x)

    def declare_hyperparameters(self, hp):
        if self.tunable:
            values_of(hp, self._entries)

    def build(self, hp):
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

    def fit(self, hp, model, *args, **kwargs):
        values = values_of(hp if self.tunable else hp.copy(), self._entries)
        encode = self.encode if "encoding" in self._ready() else None
        arguments = fit_arguments(
            args, kwargs, encode, values.get("batch_size"), cycle_of(values)
        )
        return model.fit(**arguments)

    def _network(self, values, parts):
        raise NotImplementedError

    def _ready(self):
        if self.prepared is None:
            raise FatalValueError(
                "`prepare` adapts layers to training rows, which must come before a "
                "model is built: call `hypermodel.prepare(x_train, y_train)`. The "
                "tuners of this kit do so in `search`, KerasTuner's never do and need "
                "it before they are made. Received: no rows yet."
            )
        return self.prepared

    def _resolved(self, kinds, space, learning_rate, global_clipnorm):
        check_space(space)
        known = {
            **kinds,
            **training_kinds(space, learning_rate, global_clipnorm),
            **label_smoothing_kind(self.task, self.one_hot, space),
        }
        if space is not None and space.get("batch_size", 0) is None:
            del known["batch_size"]
            space = {key: said for key, said in space.items() if key != "batch_size"}
        return entries_of(known, space)

    def _check_named(self, prepare):
        if self._named and prepare is None:
            part = next(iter(self._named))
            raise ValueError(
                f"`space[{part!r}]` chooses a layer of `prepare`, which must be given. "
                "Received: prepare=None."
            )

    def _loss_varies(self):
        """Whether the loss holds terms that differ from trial to trial."""
        for entry in self._entries:
            if entry.name in ("l1", "l2", "label_smoothing") and entry.values != 0.0:
                return True
        return False
