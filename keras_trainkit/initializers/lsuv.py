"""Layer-sequential unit variance: kernels scaled on a batch of real data."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from keras_trainkit._types import Layer, Model, Tensor

_MIN_ROWS = 256
_TOLERANCE = 0.1
_MAX_ATTEMPTS = 10

Targets: TypeAlias = dict[str, tuple[Layer, Tensor]]  # name: layer, input kernel


def lsuv(model: keras.Model, batch: Any) -> dict[str, tuple[float, float]]:
    """Gives every dense layer of `model` an output variance of 1 on `batch`.

    Each kernel becomes orthonormal; then, from the first layer run to the last, the
    kernel is divided by the standard deviation of what the layer puts out (before an
    activation it holds itself) until the variance is within 0.1 of 1. Call it on a
    model that has not been trained: what the kernels held before is replaced.

    | part of the model                   | what happens                              |
    | ----------------------------------- | ----------------------------------------- |
    | `Dense`, hidden or head             | kernel scaled, bias kept                  |
    | `LSTM`, `GRU`, `SimpleRNN`, alone,  | input kernel scaled until inputs times    |
    | in `RNN` or in `Bidirectional`;     | kernel have variance 1, each direction    |
    | `layers.VariationalLSTM`            | for itself; recurrent kernel (orthogonal) |
    |                                     | and biases kept                           |
    | a layer used several times          | scaled for all its uses together          |
    | models inside the model             | the same, layer by layer                  |
    | frozen layers, all others           | left as they are                          |

    Dropout is off meanwhile, batch normalization runs on its moving statistics, and
    steps that a mask hides from a recurrent layer do not count. If a layer cannot be
    brought to 1, all kernels get back the values they had.

    Args:
        model: A Keras model of any kind.
        batch: What `model(batch)` takes (array, list or dict of arrays): at least 256
            rows of training inputs, so that the variance is not the batch's own.

    Returns:
        A dict in the order of the run, from layer name (nested ones as "outer/inner")
        to the variance found before and the one left.

    Raises:
        ValueError: if the batch has fewer than 256 rows; if the model has no layer to
            scale; or, with the layer's name, if a variance is 0 or not finite, or stays
            off 1 after 10 attempts (a large bias).

    Example:

    ```python
    model = keras_trainkit.models.mlp((30,), 1)
    variances = keras_trainkit.initializers.lsuv(model, x_train[:1024])
    ```

    Source: Mishkin and Matas, 2016, arXiv:1511.06422, with its 0.1 and 10 attempts.
    There for convolutions and dense layers; recurrent input kernels are ours.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            "`model` is what gets its kernels scaled and must be a keras.Model. "
            f"Received: model={model!r}."
        )
    _check_rows(batch)
    if not model.built:
        model(batch, training=False)
    targets = _targets(model)
    before = _variances(model, batch, targets)
    if not before:
        raise ValueError(
            "`model` is what gets its kernels scaled and must hold a trainable Dense "
            f"or recurrent layer that it uses. Received: model={model.name!r}."
        )
    kernels = [targets[name][1] for name in before]
    saved = [ops.convert_to_numpy(kernel) for kernel in kernels]
    try:
        for kernel in kernels:
            orthonormal = keras.initializers.Orthogonal()
            kernel.assign(orthonormal(kernel.shape, dtype=kernel.dtype))
        for name in before:
            _scale_to_unit_variance(model, batch, name, targets[name])
        after = _variances(model, batch, targets)
    except BaseException:
        for kernel, value in zip(kernels, saved, strict=True):
            kernel.assign(value)
        raise
    return {name: (before[name], after[name]) for name in before}


def _check_rows(batch: Any) -> None:
    leaves = keras.tree.flatten(batch)
    rows = [getattr(leaf, "shape", None) for leaf in leaves]
    if not rows or not all(shape and shape[0] >= _MIN_ROWS for shape in rows):
        raise ValueError(
            "`batch` is the data whose variance is measured and must be arrays of at "
            f"least {_MIN_ROWS} rows. Received: shapes={rows}."
        )


def _targets(model: Model) -> Targets:
    """The kernels to scale; a layer that occurs twice keeps its first name."""
    targets: Targets = {}
    for name, layer in _inner_layers(model):
        seen = any(layer is other for other, _ in targets.values())
        if layer.trainable and not seen:
            for suffix, kernel in _input_kernels(layer):
                targets[name + suffix] = (layer, kernel)
    return targets


def _inner_layers(model: Model, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yields names and layers, also those inside models and `Bidirectional`."""
    for layer in model.layers:
        name = prefix + layer.name
        if isinstance(layer, keras.Model):
            yield from _inner_layers(layer, f"{name}/")
        elif isinstance(layer, keras.layers.Bidirectional):
            yield f"{name}/{layer.forward_layer.name}", layer.forward_layer
            yield f"{name}/{layer.backward_layer.name}", layer.backward_layer
        else:
            yield name, layer


def _input_kernels(layer: Layer) -> list[tuple[str, Tensor]]:
    """Pairs of a suffix of the name and a variable that multiplies the inputs."""
    owner = getattr(layer, "cell", layer)
    if hasattr(layer, "forward_weights"):  # both directions in one layer
        found = [("/forward", layer.forward_weights[0])]
        found += [("/backward", weights) for weights in layer.backward_weights[:1]]
    elif isinstance(layer, keras.layers.Dense) or hasattr(owner, "recurrent_kernel"):
        found = [("", getattr(owner, "kernel", None))]
    else:
        found = []
    return [pair for pair in found if isinstance(pair[1], keras.Variable)]


def _scale_to_unit_variance(
    model: Model, batch: Any, name: str, target: tuple[Layer, Tensor]
) -> None:
    kernel = target[1]
    for _ in range(_MAX_ATTEMPTS):
        variance = _variances(model, batch, {name: target})[name]
        if not math.isfinite(variance) or variance <= 0.0:
            break
        if abs(variance - 1.0) < _TOLERANCE:
            return
        kernel.assign(kernel / math.sqrt(variance))
    raise ValueError(
        f"The layer {name!r} gets its kernel scaled to an output variance of 1, and on "
        f"`batch` that variance must be finite, above 0 and free to move. "
        f"Received: variance={variance} after {_MAX_ATTEMPTS} attempts at most."
    )


def _variances(model: Model, batch: Any, targets: Targets) -> dict[str, float]:
    """Variance of inputs times kernel by name, in the order in which layers ran."""
    outputs: dict[str, list[np.ndarray]] = {}
    with contextlib.ExitStack() as stack:
        for name, (layer, kernel) in targets.items():
            stack.enter_context(_watched(name, layer, kernel, outputs))
        model(batch, training=False)
    return {name: _pooled_variance(parts) for name, parts in outputs.items()}


@contextlib.contextmanager
def _watched(
    name: str, layer: Layer, kernel: Tensor, outputs: dict[str, list[np.ndarray]]
) -> Iterator[None]:
    """Appends inputs times kernel at each call of `layer` to `outputs[name]`."""
    own = vars(layer).get("call")  # set while its other direction is watched
    call = layer.call

    def watching(*args: Any, **kwargs: Any) -> Any:
        inputs = args[0] if args else kwargs[next(iter(kwargs))]
        dtype = keras.backend.result_type(inputs.dtype, "float32")  # codes, bools
        values = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        bias = getattr(layer, "bias", None)
        if isinstance(layer, keras.layers.Dense) and bias is not None:
            values = values + ops.cast(bias, values.dtype)
        values = ops.convert_to_numpy(ops.cast(values, "float32")).astype("float64")
        mask = kwargs.get("mask")
        if mask is not None:
            values = values[ops.convert_to_numpy(mask).astype(bool)]
        outputs.setdefault(name, []).append(values.ravel())
        return call(*args, **kwargs)

    layer.call = watching
    try:
        yield
    finally:
        if own is None:
            del layer.call
        else:
            layer.call = own


def _pooled_variance(parts: list[np.ndarray]) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.concatenate(parts)
        return float(np.var(values)) if values.size else 0.0
