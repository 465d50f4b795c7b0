"""The recurrence on TensorFlow: a forward and a backward loop compiled by XLA.

Each direction calls its own two programs from an ordinary graph, so that directions
run side by side; one program for all would keep a CPU's other cores idle. XLA
compiles per shape: layers and directions of equal units share their programs, and
where the number of steps is unknown when the graph is made, buffers grow in powers
of 2 and the number of steps is an argument.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_trainkit._recurrent.tensorflow_loops import backward, forward, plain
from keras_trainkit._types import Tensor

BUFFERS = [2**exponent for exponent in range(4, 31)]
COMPILED = tuple(
    tf.function(loop, jit_compile=True, autograph=False) for loop in (forward, backward)
)


def choose(training: bool) -> Callable:
    """The loop to run: compiled while training, the plain graph loop otherwise."""
    return fused if training else plain


def calls_cudnn(inputs: Tensor, mask: Tensor | None) -> bool:
    """True if Keras' LSTM calls cuDNN for these inputs; it reads from the left."""
    fits = 0 not in inputs.shape and inputs.dtype in (tf.float16, tf.float32)
    return fits and sees_gpu()


def sees_gpu() -> bool:
    """Asks as Keras' LSTM asks."""
    return bool(tf.config.list_logical_devices("GPU"))


def fused(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    *,
    mask: Tensor | None = None,
    recurrent_mask: Tensor | None = None,
    reverse: bool = False,
    compiled: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `reference.recurrence`, with a gradient written by hand.

    Not `compiled` the same loops run step by step, for tests over many shapes.
    """
    run_forward, run_backward = COMPILED if compiled else (forward, backward)
    steps = tf.constant(gates.shape[0]) if gates.shape[0] else tf.shape(gates)[0]
    spare = None if gates.shape[0] else _spare_steps(steps)
    constants = {
        "mask": _pad(mask, spare),
        "recurrent_mask": recurrent_mask,
        "steps": steps,
    }

    def cut(sequence: Tensor) -> Tensor:
        return sequence if spare is None else sequence[:steps]

    @tf.custom_gradient
    def run(gates: Tensor, h: Tensor, c: Tensor, recurrent_kernel: Tensor) -> tuple:
        # An outer tape would ask the compiled loop for a gradient it cannot give.
        gates, h, c, recurrent_kernel = (
            tf.stop_gradient(value) for value in (gates, h, c, recurrent_kernel)
        )
        outputs, h, c, kept, *stored = run_forward(
            _pad(gates, spare),
            h,
            c,
            recurrent_kernel,
            reverse=tf.constant(reverse),
            **constants,
        )

        def gradient(d_outputs: Tensor, d_h: Tensor, d_c: Tensor) -> tuple:
            d_gates, d_h, d_c = run_backward(
                _pad(d_outputs, spare),
                d_h,
                d_c,
                *stored,
                tf.transpose(recurrent_kernel),
                reverse=tf.constant(not reverse),
                **constants,
            )
            d_gates = cut(d_gates)
            d_kernel = tf.matmul(_rows(cut(kept)), _rows(d_gates), transpose_a=True)
            return d_gates, d_h, d_c, d_kernel

        return (cut(outputs), h, c), gradient

    return run(gates, h, c, tf.convert_to_tensor(recurrent_kernel))


def _spare_steps(steps: Tensor) -> Tensor:
    """Steps that the buffers have beyond a number of steps unknown to the graph."""
    return tf.reduce_min(tf.boolean_mask(BUFFERS, steps <= BUFFERS)) - steps


def _pad(sequence: Tensor | None, spare: Tensor | None) -> Tensor | None:
    if sequence is None or spare is None:
        return sequence
    return tf.pad(sequence, [[0, spare], [0, 0], [0, 0]])


def _rows(sequence: Tensor) -> Tensor:
    return tf.reshape(sequence, (-1, sequence.shape[-1]))
