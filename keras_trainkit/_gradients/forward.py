"""The loss of a batch, and what layers show on the way to it, in `keras.ops`."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from keras_trainkit._recurrent import recurrence
from keras_trainkit._types import Layer, Tensor

CLOSED, OPEN = 0.1, 0.9
"""A gate beyond these is saturated: Karpathy, Johnson and Li, 2015, 1506.02078."""

GATE_ROWS = 32
"""Rows of a batch whose gates are computed again: many enough for a share."""


class Forward:
    """Forward passes of a model, watched layer by layer.

    Attributes:
        layers: Dict, the path of a layer to the layer, in the order of the model.
            Layers that wrap others count as one; a nested model counts by its layers.
        relu_paths: Paths of the layers whose units may be dead.
        gate_paths: Paths of the layers whose gates may be saturated.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.layers = dict(_leaves(model))
        self.relu_paths = [p for p, layer in self.layers.items() if _is_relu(layer)]
        self.gate_paths = [p for p, layer in self.layers.items() if _lstms(layer)]

    def loss_of(self, data: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a training step, scaled as the optimizer wants it.

        Returns:
            `(loss, seen)`: `seen` holds the `scale`, the `unscaled` loss and three
            vectors: `finite`, for each of `layers` whether all that it gave were
            numbers; `dead`, for each of `relu_paths`, and `saturated`, for each of
            `gate_paths`, a share.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        model = self.model
        with self._watched() as watch:
            y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
        scale = model.optimizer.scale_loss(ops.ones((), "float32"))
        unscaled = ops.cast(ops.stop_gradient(loss), "float32")
        seen = {"scale": scale, "unscaled": unscaled, **watch.shares()}
        return model.optimizer.scale_loss(loss), seen

    @contextlib.contextmanager
    def _watched(self) -> Iterator[Any]:
        """Lets a `_Watch` see every call of `layers`, and of LSTMs inside wrappers."""
        watch, patched = _Watch(self), []
        for path, layer in self.layers.items():
            listeners = [(layer, watch.on_output(path))]
            for lstm in _lstms(layer):
                listeners.append((lstm, watch.on_gates(path, lstm)))
            for target, listener in listeners:
                patched.append((target, vars(target).get("call")))
                target.call = _heard(target.call, listener)
        try:
            yield watch
        finally:
            for target, replaced in reversed(patched):
                del target.call
                if replaced is not None:
                    target.call = replaced


def _heard(call: Callable, listener: Callable) -> Callable:
    def heard(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        listener(args, kwargs, outputs)
        return outputs

    return heard


class _Watch:
    """Outputs and gates of the layers in one forward pass."""

    def __init__(self, forward: Forward):
        self._forward = forward
        self._finite: dict[str, list[Tensor]] = {p: [] for p in forward.layers}
        self._alive: dict[str, list[Tensor]] = {p: [] for p in forward.relu_paths}
        self._gates: dict[str, list[Tensor]] = {p: [] for p in forward.gate_paths}

    def on_output(self, path: str) -> Callable:
        def listener(args: tuple, kwargs: dict, outputs: Any) -> None:
            for output in keras.tree.flatten(outputs):
                if _is_float(output):
                    output = ops.stop_gradient(output)
                    self._finite[path].append(ops.all(ops.isfinite(output)))
            if path in self._alive:
                axes = tuple(range(len(outputs.shape) - 1))
                alive = ops.any(ops.stop_gradient(outputs) > 0, axis=axes)
                self._alive[path].append(alive)

        return listener

    def on_gates(self, path: str, lstm: Layer) -> Callable:
        def listener(args: tuple, kwargs: dict, outputs: Any) -> None:
            sequences = args[0] if args else kwargs.get("sequences")
            for weights, reverse in _gate_weights(lstm):
                share = _saturated_share(
                    lstm, sequences, weights, kwargs.get("mask"), reverse
                )
                self._gates[path].append(share)

        return listener

    def shares(self) -> dict[str, Tensor]:
        return {
            "finite": _vector([_all(found) for found in self._finite.values()]),
            "dead": _vector([_dead_share(found) for found in self._alive.values()]),
            "saturated": _vector([_mean(found) for found in self._gates.values()]),
        }


def _vector(numbers: list[Tensor]) -> Tensor:
    numbers = [ops.cast(number, "float32") for number in numbers]
    return ops.stack(numbers) if numbers else ops.zeros((0,), "float32")


def _all(flags: list[Tensor]) -> Tensor:
    return ops.all(ops.stack(flags)) if flags else ops.ones((), "bool")


def _dead_share(calls: list[Tensor]) -> Tensor:
    """Of the units, those that no call of the layer has found above 0."""
    if not calls:
        return ops.zeros((), "float32")
    alive = ops.any(ops.stack(calls), axis=0)
    return 1 - ops.mean(ops.cast(alive, "float32"))


def _mean(shares: list[Tensor]) -> Tensor:
    return ops.mean(ops.stack(shares)) if shares else ops.zeros((), "float32")


def _leaves(model: Layer, before: str = "") -> Iterator[tuple[str, Layer]]:
    """Paths and layers, those of nested models in the place of the model."""
    seen: dict[int, str] = {}
    for layer in model.layers:
        path = before + layer.name
        if isinstance(layer, keras.layers.InputLayer) or id(layer) in seen:
            continue
        seen[id(layer)] = path
        if isinstance(layer, keras.Model):
            yield from _leaves(layer, path + "/")
        else:
            yield path, layer


def _is_relu(layer: Layer) -> bool:
    """True if a unit gives 0, and gets no gradient, for all that is below 0."""
    if isinstance(layer, keras.layers.ReLU):
        return layer.negative_slope == 0 and layer.threshold == 0
    relus = (keras.activations.relu, keras.activations.relu6)
    wraps = isinstance(layer, keras.layers.RNN | keras.layers.Wrapper)
    return not wraps and getattr(layer, "activation", None) in relus


def _lstms(layer: Layer) -> list[Layer]:
    """The layer, or those of a Bidirectional, if gates can be read off them."""
    if isinstance(layer, keras.layers.Bidirectional):
        return [*_lstms(layer.forward_layer), *_lstms(layer.backward_layer)]
    if isinstance(layer, keras.layers.LSTM):
        usual = (keras.activations.tanh, keras.activations.sigmoid)
        is_usual = (layer.activation, layer.recurrent_activation) == usual
        return [layer] if is_usual else []
    return [layer] if hasattr(layer, "forward_weights") else []


def _gate_weights(lstm: Layer) -> list[tuple[list[Tensor], bool]]:
    """For each direction its kernel, recurrent kernel and bias; True if backward."""
    if isinstance(lstm, keras.layers.LSTM):
        cell = lstm.cell
        bias = [cell.bias] if cell.use_bias else []
        return [([cell.kernel, cell.recurrent_kernel, *bias], lstm.go_backwards)]
    found = [(lstm.forward_weights, False)]
    if lstm.bidirectional:
        found.append((lstm.backward_weights, True))
    return found


def _saturated_share(
    lstm: Layer, sequences: Tensor, weights: list, mask: Any, reverse: bool
) -> Tensor:
    """Share of gate values beyond `CLOSED` and `OPEN`, from zero states, no dropout.

    The three gates of all units count, at all steps that the mask leaves.
    """
    kernel, recurrent_kernel, *bias = (
        ops.cast(ops.stop_gradient(ops.convert_to_tensor(weight)), "float32")
        for weight in weights
    )
    x = ops.cast(ops.stop_gradient(sequences[:GATE_ROWS]), "float32")
    valid = ops.ones_like(x[:, :, :1])
    if mask is not None:
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        valid = ops.cast(mask[:GATE_ROWS], "float32")[:, :, None]
    x = ops.where(valid > 0, x, ops.zeros_like(x))
    z = ops.matmul(x, kernel) + (bias[0] if bias else 0)
    z, valid = ops.transpose(z, (1, 0, 2)), ops.transpose(valid, (1, 0, 2))
    start = ops.zeros_like(z[0, :, : lstm.units])
    run = recurrence("auto", training=False)
    h, _, _ = run(z, start, start, recurrent_kernel, mask=valid, reverse=reverse)
    before = [h[1:], start[None]] if reverse else [start[None], h[:-1]]
    z = z + ops.matmul(ops.concatenate(before), recurrent_kernel)
    gates = ops.concatenate([z[:, :, : 2 * lstm.units], z[:, :, 3 * lstm.units :]], -1)
    gates = ops.sigmoid(gates)
    far = ops.cast((gates < CLOSED) | (gates > OPEN), "float32")
    steps = ops.maximum(ops.sum(valid), 1)
    return ops.sum(ops.mean(far, axis=-1, keepdims=True) * valid) / steps


def _is_float(tensor: Any) -> bool:
    return ops.is_tensor(tensor) and keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(tensor.dtype)
    )


def norm(values: Tensor) -> Tensor:
    """The Euclidean norm, which overflows only where it is itself too large."""
    values = ops.cast(values, "float32")
    largest = ops.max(ops.absolute(values))
    unit = ops.where(largest > 0, largest, ops.ones_like(largest))
    return largest * ops.sqrt(ops.sum(ops.square(values / unit)))


def norms(values: list[Tensor]) -> Tensor:
    """A vector with the norm of each."""
    return ops.stack([norm(value) for value in values])
