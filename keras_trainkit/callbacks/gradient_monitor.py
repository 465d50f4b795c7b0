import dataclasses
import math
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_count, check_number
from keras_trainkit._gradients import steps_of
from keras_trainkit._optimizer_access import steps_taken, unwrapped
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._tensorflow.replicas import replicas_of
from keras_trainkit._train_state.variables import refuse
from keras_trainkit.callbacks._step_clock import StepClock
from keras_trainkit.callbacks.gradient_finding import FindingRules, GradientFinding

_RESULTS = ("gradient_norms", "update_ratios", "dead_shares", "saturated_shares")
_PLACE = ("step", "due", "offset", "first_epoch")  # of the clock, in a state


class GradientMonitor(keras.callbacks.Callback):
    """Watches gradients, updates, dead units and gates of each layer while fitting.

    | attribute          | of a layer, at each measured step                         |
    | ------------------ | --------------------------------------------------------- |
    | `gradient_norms`   | Euclidean norm of the gradient of all its trained weights |
    | `update_ratios`    | norm of what the step changed / norm of the weights; 1e-3 |
    |                    | is a usual value                                          |
    | `dead_shares`      | ReLU, ReLU6: share of units that are 0 for all rows and   |
    |                    | positions of the batch                                    |
    | `saturated_shares` | LSTM, `layers.VariationalLSTM`: share of values of the    |
    |                    | gates below 0.1 or above 0.9, of up to 32 rows            |

    Every `every` steps the batch that the next step trains on goes through a second
    pass, compiled apart, with the seeds of that step: the gradients are those that the
    optimizer gets. Training is not touched: with and without the monitor it ends with
    the same weights, seeds and batch-norm statistics, bit for bit.

    `finding` names the first layer that goes wrong, in the order in which gradients
    flow, from the output to the input:

    | kind        | when                                                             |
    | ----------- | ---------------------------------------------------------------- |
    | `vanishing` | the norm is below `vanishing_ratio` of the largest of the layers |
    |             | behind, at 3 measured steps in a row                             |
    | `exploding` | the norm is above `exploding_ratio` times that of the weights    |
    |             | (at least 1)                                                     |
    | `nan`       | NaN or infinity. Where the output of a layer is none already,    |
    |             | the first such layer, from the input on, is named                |

    The first finding stays, but `nan` takes the place of another. Wrappers count as one
    layer, such as `Bidirectional`; nested models by their layers. A unit of a model
    with members is dead where it is so in all of them. Gates are computed without
    dropout, from states of zeros. With `gradient_accumulation_steps` the next step that
    updates the weights is measured; a batch with fewer rows than the first measured one
    is left to the next step, and so is a step that a `LossScaleOptimizer` skips since
    its scale was too large. A layer that gets exact zeros, while one before it gets
    gradients, is a head without a loss or a branch that is shut, and has not vanished.
    `TrainState` keeps all that was measured. After an error or an interrupt in `fit`
    the monitor measures on until the model is compiled again.

    Args:
        every: Int >= 1. Steps from one measurement to the next, from step 0 on.
        vanishing_ratio: Float in (0, 1).
        exploding_ratio: Float > 1.

    Attributes, of the latest `fit`:
        steps: List of ints, the steps measured, counted from 0 in this `fit`.
        gradient_norms: Dict, path of a layer to a list with a float for each of
            `steps`; layers in the order of the model. The next three likewise.
        update_ratios: NaN where all weights are 0.
        dead_shares: Layers with ReLU alone.
        saturated_shares: Layers with gates alone.
        finding: `GradientFinding`, or None: `kind`, `layer`, `step`, `value`, `remedy`.

    Raises:
        ValueError: From the constructor for an argument out of range. From `fit`: a
            model with a `train_step` of its own, or with replicas of `tf.distribute`
            (on JAX it may be trained on several devices).

    Example:

    ```python
    monitor = GradientMonitor(every=50)
    model.fit(x, y, epochs=20, callbacks=[monitor])
    print(monitor.finding)
    analysis.plot_gradients(monitor, "gradients.png")
    ```

    Source: the ratio of updates and weights, Karpathy, CS231n, 2015; gates, Karpathy,
    Johnson and Li, 2015, arXiv:1506.02078. The thresholds are measured: see "Watch the
    gradients" in the documentation.
    """

    steps: list[int]
    gradient_norms: dict[str, list[float]]
    update_ratios: dict[str, list[float]]
    dead_shares: dict[str, list[float]]
    saturated_shares: dict[str, list[float]]
    finding: GradientFinding | None
    _taken: Any  # `Steps` of the backend
    _layers: list[str]  # path of the layer of each trainable variable
    _rules: FindingRules
    _clock: StepClock
    _skips_overflows: bool

    def __init__(
        self,
        every: int = 50,
        *,
        vanishing_ratio: float = 1e-4,
        exploding_ratio: float = 100.0,
    ):
        super().__init__()
        check_count("every", every, "is the number of steps between measurements")
        purpose = "is how small a gradient is beside those behind it"
        check_number("vanishing_ratio", vanishing_ratio, purpose, above=0, below=1)
        purpose = "is how large a gradient is beside its weights"
        check_number("exploding_ratio", exploding_ratio, purpose, above=1)
        self.every = every
        self.vanishing_ratio = vanishing_ratio
        self.exploding_ratio = exploding_ratio
        self._forget()

    def to_dict(self) -> dict[str, Any]:
        """All results as plain numbers, ready for JSON but for NaN and infinity."""
        finding = self.finding and dataclasses.asdict(self.finding)
        return {
            "steps": list(self.steps),
            "gradient_norms": _copied(self.gradient_norms),
            "update_ratios": _copied(self.update_ratios),
            "dead_shares": _copied(self.dead_shares),
            "saturated_shares": _copied(self.saturated_shares),
            "finding": finding,
        }

    def on_train_begin(self, logs: dict | None = None) -> None:
        _check_model(self.model)
        # Monitors of a `fit` that an error has ended, which nobody took away.
        while isinstance(self.model.train_function, _Measured):
            self.model.train_function = self.model.train_function.function
        self._forget()
        release_graphs()
        if not self.model.optimizer.built:  # until then its scale is no variable
            self.model.optimizer.build(self.model.trainable_variables)
        self._taken = steps_of(self.model)
        forward = self._taken.forward
        self._layers = _layer_of_each_weight(self.model, forward.layers)
        for path in dict.fromkeys(self._layers):
            self.gradient_norms[path] = []
            self.update_ratios[path] = []
        self.dead_shares = {path: [] for path in forward.relu_paths}
        self.saturated_shares = {path: [] for path in forward.gate_paths}
        self._rules = self._make_rules()
        # Kept, since `self.model` may not be read in a step: on JAX that writes the
        # state before the step into the model.
        optimizer = unwrapped(self.model.optimizer)
        accumulated = getattr(optimizer, "gradient_accumulation_steps", None)
        execution = self.model.steps_per_execution
        self._clock = StepClock(self.every, execution, accumulated or 1)
        self._skips_overflows = optimizer is not self.model.optimizer

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._clock.first_epoch is None:
            self._clock.begin(epoch, steps_taken(self.model.optimizer))
        else:
            self._clock.begin_epoch(epoch, self.params.get("steps"))
        self._take_part()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Leaves the train function as it was."""
        self.model.train_function = _without(self, self.model.train_function)
        self._taken = None

    def get_state(self) -> dict[str, Any]:
        """All that was measured and the place among the steps, for `TrainState`."""
        return {
            **self.to_dict(),
            "small": dict(self._rules.small),
            "rows": self._clock.rows,
            **{name: getattr(self._clock, name) for name in _PLACE},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `get_state` has returned."""
        for name in _PLACE:
            check_count(name, state[name], "is in the state", at_least=0)
            setattr(self._clock, name, state[name])
        self._clock.rows = state["rows"]
        self.steps = list(state["steps"])
        for name in _RESULTS:
            setattr(self, name, self._lists_of(state, name))
        for path in self._rules.small:
            self._rules.small[path] = int(state["small"][path])
        finding = state["finding"]
        self.finding = finding and GradientFinding(**finding)

    def _lists_of(self, state: dict[str, Any], name: str) -> dict[str, list[float]]:
        """Results of the layers that the model has, in its order."""
        layers, found = list(getattr(self, name)), state[name]
        if sorted(layers) != sorted(found):
            refuse(f"the list of layers with `{name}`", sorted(found), sorted(layers))
        lists = {path: list(map(float, found[path])) for path in layers}
        if any(len(values) != len(self.steps) for values in lists.values()):
            raise ValueError(
                f"`{name}` is in the state of a GradientMonitor and must have a number "
                f"of each layer for each of {len(self.steps)} steps. Received: "
                f"{ {path: len(values) for path, values in lists.items()} }."
            )
        return lists

    def _forget(self) -> None:
        self.steps = []
        self.gradient_norms, self.update_ratios = {}, {}
        self.dead_shares, self.saturated_shares = {}, {}
        self.finding = None
        self._taken = None
        self._layers = []
        self._rules = self._make_rules()
        self._clock = StepClock(self.every)
        self._skips_overflows = False

    def _make_rules(self) -> FindingRules:
        layers = list(self.gradient_norms)
        return FindingRules(self.vanishing_ratio, self.exploding_ratio, layers)

    def _take_part(self) -> None:
        """Stands before the train function, which another callback may have remade."""
        function = self.model.train_function
        self.model.train_function = _Measured(
            _without(self, function), self, self._train
        )

    def _train(self, function: Any, arguments: tuple) -> Any:
        """One call of the train function: `steps_per_execution` steps."""
        clock = self._clock
        if self._taken is None:  # left behind by a `fit` that an error has ended
            return function(*arguments)
        due, count = clock.next_due(), clock.execution
        if due >= clock.step + count:
            clock.step += count
            return function(*arguments)
        batches = self._taken.take(arguments, count)
        before = due - clock.step
        clock.step += len(batches)
        if before >= len(batches) or clock.is_short(batches[before]):
            return self._taken.train(function, arguments, batches)[0]
        if before:
            _, arguments = self._taken.train(function, arguments, batches[:before])
        numbers, weights = self._taken.measure(arguments, batches[before])
        batch, rest = batches[before : before + 1], batches[before + 1 :]
        result, arguments = self._taken.train(function, arguments, batch)
        self._record(due, numbers, self._taken.changes(arguments, weights))
        if rest:
            result, _ = self._taken.train(function, arguments, rest)
        return result

    def _record(self, step: int, numbers: dict[str, Any], changes: Any) -> None:
        found = {
            name: np.array(keras.ops.convert_to_numpy(value), "float64")
            for name, value in {**numbers, "changes": changes}.items()
        }
        if self._is_skipped(found):
            self._clock.missed(step)
            return
        self.steps.append(step)
        self._clock.measured(step)
        gradients = self._by_layer(found["gradients"] / found["scale"])
        weights = self._by_layer(found["weights"])
        updates = self._by_layer(found["changes"])
        for path, value in gradients.items():
            self.gradient_norms[path].append(value)
            ratio = updates[path] / weights[path] if weights[path] else math.nan
            self.update_ratios[path].append(ratio)
        for name, lists in (
            ("dead", self.dead_shares),
            ("saturated", self.saturated_shares),
        ):
            for values, value in zip(lists.values(), found[name].tolist(), strict=True):
                values.append(value)
        pairs = zip(self._taken.forward.layers, found["finite"], strict=True)
        broken = [path for path, is_finite in pairs if not is_finite]
        self._keep_first(self._rules.find(step, gradients, weights, broken))

    def _keep_first(self, finding: GradientFinding | None) -> None:
        if finding is None:
            return
        known = self.finding
        if known is None or (finding.kind == "nan" and known.kind != "nan"):
            self.finding = finding

    def _is_skipped(self, found: dict[str, np.ndarray]) -> bool:
        """True for gradients that only their scale has made infinite."""
        if not self._skips_overflows or found["scale"] <= 1:
            return False
        is_sound = found["finite"].all() and np.isfinite(found["unscaled"])
        return bool(is_sound and not np.isfinite(found["gradients"]).all())

    def _by_layer(self, of_weights: np.ndarray) -> dict[str, float]:
        squares = dict.fromkeys(self.gradient_norms, 0.0)
        for path, value in zip(self._layers, of_weights.tolist(), strict=True):
            squares[path] += value * value
        return {path: math.sqrt(value) for path, value in squares.items()}


class _Measured:
    """A train function that a monitor stands before, or several, one behind another."""

    def __init__(self, function: Any, monitor: GradientMonitor, train: Any):
        self.function = function
        self.monitor = monitor
        self.train = train

    def __call__(self, *arguments: Any) -> Any:
        return self.train(self.function, arguments)


def _without(monitor: GradientMonitor, function: Any) -> Any:
    """The train function without this monitor; others stay before it."""
    if not isinstance(function, _Measured):
        return function
    behind = _without(monitor, function.function)
    if function.monitor is monitor:
        return behind
    return _Measured(behind, function.monitor, function.train)


def _copied(lists: dict[str, list[float]]) -> dict[str, list[float]]:
    return {path: list(values) for path, values in lists.items()}


def _check_model(model: keras.Model) -> None:
    if type(model).train_step is not keras.Model.train_step:
        raise ValueError(
            "GradientMonitor computes the gradients of a step again and must know how: "
            "the model has Keras' own `train_step` (`compute_loss` may be another). "
            f"Received: {type(model).__name__} with a `train_step` of its own."
        )
    if not model.built:
        raise ValueError(
            "GradientMonitor watches the layers of a model, which must be built before "
            "`fit`: by a `keras.Input`, or a call on one batch. Received: a "
            f"{type(model).__name__} that is not built."
        )
    if not model.trainable_variables:
        raise ValueError(
            "GradientMonitor watches the gradients of weights that are trained, and "
            f"the model must have some. Received: {model.name}, all of it frozen."
        )
    replicas = replicas_of(model)
    if replicas > 1:
        raise ValueError(
            "GradientMonitor computes the gradients of a whole batch and must watch a "
            "model that has all of it: on one device, or on JAX. "
            f"Received: a model with {replicas} replicas, of `tf.distribute`."
        )


def _layer_of_each_weight(model: keras.Model, layers: dict[str, Any]) -> list[str]:
    """The path of the layer of each trainable variable; the model's name for its own.

    In the order of the layers, not of the variables, where these come first.
    """
    owner: dict[int, str] = {}
    for path, layer in layers.items():
        for variable in layer.trainable_variables:
            owner.setdefault(id(variable), path)
    return [owner.get(id(v), model.name) for v in model.trainable_variables]
