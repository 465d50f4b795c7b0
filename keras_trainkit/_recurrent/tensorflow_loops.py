"""The loops over the steps on TensorFlow: plain, and one each for values and gradient.

`forward` and `backward` read with `tf.gather`: the start of a slice counts as a
constant for XLA, which then compiles anew for each direction and number of steps.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_trainkit._types import Tensor


def plain(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    *,
    mask: Tensor | None = None,
    recurrent_mask: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `reference.recurrence`, as an ordinary loop that any graph may hold.

    XLA compiles it and its gradient, which it does not with Keras' own scan.
    """
    known = gates.shape[0]
    steps, start = tf.shape(gates)[0], (h, c)
    if not known:
        # An empty array cannot be stacked: of no steps one is made and thrown away.
        gates, mask = _at_least_one(gates), _at_least_one(mask)
    run = tf.shape(gates)[0]
    gates_at = _array(gates).unstack(gates)
    mask_at = None if mask is None else _array(mask).unstack(mask)

    def step(k: Tensor, h: Tensor, c: Tensor, outputs: Any) -> tuple:
        t = _time_index(k, run, reverse)
        kept = h if recurrent_mask is None else h * recurrent_mask
        i, f, g, o = _activate(gates_at.read(t) + tf.matmul(kept, recurrent_kernel))
        active = None if mask_at is None else mask_at.read(t)
        h, c = _cell(i, f, g, o, h, c, active)
        return k + 1, h, c, outputs.write(t, h)

    *ends, outputs = _loop(step, run, h, c, _array(gates, h.shape))
    if known:
        return outputs.stack(), *ends
    pairs = zip(ends, start, strict=True)
    return outputs.stack()[:steps], *(tf.where(steps > 0, *pair) for pair in pairs)


def forward(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    *,
    mask: Tensor | None,
    recurrent_mask: Tensor | None,
    steps: Tensor,
    reverse: Tensor,
) -> tuple[Tensor, ...]:
    """Outputs and final states, and per step what the backward loop needs.

    That is `h` as it went into the product, the factors that turn the gradients of
    `c, c, c, h` into those of the four gates, and the derivatives of `c` by the `c`
    before and of `c` by `h`'s gradient. They are stored because they are cheap to
    compute here; recomputing them made the backward loop twice as slow.

    The gates before their activation are made one step ahead: read from `gates` in
    the step that uses them, XLA fuses the reading into each activation, and the
    loop, no longer vectorised, takes a quarter longer.
    """

    def keep(h: Tensor) -> Tensor:
        return h if recurrent_mask is None else h * recurrent_mask

    def next_gates(k: Tensor, h: Tensor) -> Tensor:
        t = _time_index(tf.minimum(k, steps - 1), steps, reverse)
        return tf.gather(gates, t) + tf.matmul(keep(h), recurrent_kernel)

    def step(
        k: Tensor,
        z: Tensor,
        h: Tensor,
        c: Tensor,
        outputs: Any,
        kept_states: Any,
        factors: Any,
        passes: Any,
    ) -> tuple:
        t = _time_index(k, steps, reverse)
        active = None if mask is None else tf.gather(mask, t)
        kept_states = kept_states.write(t, keep(h))
        i, f, g, o = _activate(z)
        tanh_c = tf.tanh(f * c + i * g)
        factor = tf.concat(
            [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o)],
            axis=-1,
        )
        to_c, from_h = f, o * (1 - tanh_c * tanh_c)
        h, c = _cell(i, f, g, o, h, c, active)
        if active is not None:
            factor, from_h = factor * active, from_h * active
            to_c = tf.where(active > 0, to_c, tf.ones_like(to_c))
        return (
            k + 1,
            next_gates(k + 1, h),
            h,
            c,
            outputs.write(t, h),
            kept_states,
            factors.write(t, factor),
            passes.write(t, tf.concat([to_c, from_h], axis=-1)),
        )

    units = h.shape[-1]
    widths = (units, units, 4 * units, 2 * units)
    arrays = [_array(gates, (h.shape[0], width)) for width in widths]
    _, h, c, *arrays = _loop(step, steps, next_gates(0, h), h, c, *arrays)
    outputs, *stored = (array.stack() for array in arrays)
    return outputs, h, c, *stored


def backward(
    d_outputs: Tensor,
    d_h: Tensor,
    d_c: Tensor,
    factors: Tensor,
    passes: Tensor,
    transposed_kernel: Tensor,
    *,
    mask: Tensor | None,
    recurrent_mask: Tensor | None,
    steps: Tensor,
    reverse: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient of the gates of all steps and of the states before the first."""

    def step(k: Tensor, d_h: Tensor, d_c: Tensor, d_gates: Any) -> tuple:
        t = _time_index(k, steps, reverse)
        to_c, from_h = tf.split(tf.gather(passes, t), 2, axis=-1)
        d_h += tf.gather(d_outputs, t)
        d_c += d_h * from_h
        d_z = tf.gather(factors, t) * tf.concat([d_c, d_c, d_c, d_h], axis=-1)
        d_before = tf.matmul(d_z, transposed_kernel)
        if recurrent_mask is not None:
            d_before *= recurrent_mask
        if mask is not None:
            d_before += (1 - tf.gather(mask, t)) * d_h
        return k + 1, d_before, d_c * to_c, d_gates.write(t, d_z)

    d_h, d_c, d_gates = _loop(step, steps, d_h, d_c, _array(factors))
    return d_gates.stack(), d_h, d_c


def _at_least_one(sequence: Tensor | None) -> Tensor | None:
    if sequence is None:
        return None
    spare = 1 - tf.minimum(tf.shape(sequence)[0], 1)
    return tf.pad(sequence, [[0, spare], [0, 0], [0, 0]])


def _activate(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, f, g, o = tf.split(z, 4, axis=-1)
    return tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)


def _cell(
    i: Tensor,
    f: Tensor,
    g: Tensor,
    o: Tensor,
    h: Tensor,
    c: Tensor,
    active: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The new states; the old ones where a step is not active."""
    new_c = f * c + i * g
    new_h = o * tf.tanh(new_c)
    if active is None:
        return new_h, new_c
    return tf.where(active > 0, new_h, h), tf.where(active > 0, new_c, c)


def _time_index(k: Tensor, steps: Tensor, reverse: bool | Tensor) -> Tensor:
    """The time step that the loop is at in its round `k`."""
    return tf.where(reverse, steps - 1 - k, k)


def _array(sequence: Tensor, element_shape: Any = None) -> Any:
    """A `tf.TensorArray` with one element per step of `sequence`."""
    return tf.TensorArray(
        sequence.dtype,
        size=tf.shape(sequence)[0],
        element_shape=sequence.shape[1:] if element_shape is None else element_shape,
    )


def _loop(step: Callable, steps: Tensor, *state: Any) -> tuple:
    def unfinished(k: Tensor, *_: Any) -> Tensor:
        return k < steps

    state = (tf.constant(0), *state)
    return tf.while_loop(unfinished, step, state, maximum_iterations=steps)[1:]
