"""One direction of an LSTM, as fast as each backend allows.

`reference.py` says in plain `keras.ops` what is computed. `tensorflow.py`, `jax.py` and
`torch.py` compute the same in `fused`, with a gradient written by hand, and `choose`
tells which of the two to run. `cudnn.py` hands the work to Keras' own LSTM, where
`calls_cudnn` says that it calls cuDNN.
"""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType

import keras
from keras import ops

from keras_trainkit._recurrent import cudnn, reference
from keras_trainkit._types import Tensor


def lstm(
    inputs: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    *,
    mask: Tensor | None = None,
    recurrent_mask: Tensor | None = None,
    reverse: bool = False,
    training: bool = False,
    kernel: str = "auto",
    use_cudnn: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs one direction of an LSTM over a batch of sequences.

    The input's share of all gates of all steps is one matrix product before the
    loop, and the gradient of `weights[0]` one product after it.

    Args:
        inputs: Tensor `(batch, time, features)`.
        states: Pair of tensors `(batch, units)`: `h` and `c` before the first step.
        weights: Kernel `(features, 4 * units)`, recurrent kernel
            `(units, 4 * units)` and bias `(4 * units,)`, gates in Keras' order
            i, f, c, o.
        mask: Bool tensor `(batch, time)` or None. Where it is False nothing is
            read, the states stay, and the output is 0.
        recurrent_mask: Tensor `(batch, units)` or None. Multiplies `h` on its way
            into the gates, at every step.
        reverse: Bool. Reads from the last step to the first; the outputs stay at
            the step they belong to.
        training: Bool. True if a gradient will be asked for.
        kernel: `"auto"`, `"fused"` or `"reference"`; see `layers.VariationalLSTM`.
        use_cudnn: Bool. False keeps `"auto"` from cuDNN, whose operation runs on no
            other device.

    Returns:
        `(outputs, h, c)`: `(batch, time, units)` and the states after all steps.
    """
    if inputs.shape[1] == 0:
        batch, units = ops.shape(states[0])
        return ops.zeros((batch, 0, units), dtype=inputs.dtype), states[0], states[1]
    each = None
    if mask is not None:
        mask = ops.cast(mask, "bool")
        each = mask[:, :, None]
        inputs = ops.where(each, inputs, ops.zeros_like(inputs))
    cudnn_wanted = kernel == "auto" and use_cudnn and recurrent_mask is None
    if cudnn_wanted and _native().calls_cudnn(inputs, mask):
        outputs, h, c = cudnn.run(inputs, states, weights, mask=mask, reverse=reverse)
    else:
        outputs, h, c = recurrence(kernel, training)(
            _project(ops.transpose(inputs, (1, 0, 2)), weights[0], weights[2]),
            *states,
            weights[1],
            mask=_time_major(each, inputs.dtype),
            recurrent_mask=recurrent_mask,
            reverse=reverse,
        )
        outputs = ops.transpose(outputs, (1, 0, 2))
    if each is not None:
        outputs = ops.where(each, outputs, ops.zeros_like(outputs))
    return outputs, h, c


def _project(inputs: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """`inputs @ kernel + bias`, all steps in one product of two matrices."""
    features, gates = kernel.shape
    rows = ops.reshape(inputs, (-1, features)) @ kernel + bias
    return ops.reshape(rows, (*ops.shape(inputs)[:2], gates))


def _time_major(mask: Tensor | None, dtype: str) -> Tensor | None:
    return None if mask is None else ops.cast(ops.transpose(mask, (1, 0, 2)), dtype)


def recurrence(kernel: str, training: bool) -> Callable:
    """The function that runs the loop, as `reference.recurrence` does."""
    if kernel == "reference":
        return getattr(_native(), "plain", reference.recurrence)
    return _native().choose(training)


def xla_compiles(kernel: str) -> bool:
    """False if the layer may hold cuDNN's operation, which XLA refuses (TensorFlow)."""
    on_tensorflow = keras.config.backend() == "tensorflow"
    return not (on_tensorflow and kernel == "auto" and _native().sees_gpu())


def _native() -> ModuleType:
    backend = keras.config.backend()
    return importlib.import_module(f"keras_trainkit._recurrent.{backend}")
