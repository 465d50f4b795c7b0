"""The recurrence on TensorFlow: two XLA programs, forward and backward."""

import functools

import tensorflow as tf


def choose(kernel, training):
    """Which loop to run: compiled while training, the plain graph loop otherwise."""
    return fused if training else plain


def plain(
    gates, h, c, recurrent_kernel, *, mask=None, recurrent_mask=None, reverse=False
):
    """As `reference.recurrence`, as an ordinary loop that any graph may hold."""
    steps = tf.shape(gates)[0]
    gates_at = _array(gates).unstack(gates)
    mask_at = None if mask is None else _array(mask).unstack(mask)

    def step(k, h, c, outputs):
        t = steps - 1 - k if reverse else k
        kept = h if recurrent_mask is None else h * recurrent_mask
        i, f, g, o = _activate(gates_at.read(t) + tf.matmul(kept, recurrent_kernel))
        new_c = f * c + i * g
        new_h = o * tf.tanh(new_c)
        if mask_at is not None:
            active = mask_at.read(t) > 0
            new_h, new_c = tf.where(active, new_h, h), tf.where(active, new_c, c)
        return k + 1, new_h, new_c, outputs.write(t, new_h)

    _, h, c, outputs = _loop(step, steps, h, c, _array(gates, h.shape))
    return outputs.stack(), h, c


def fused(
    gates, h, c, recurrent_kernel, *, mask=None, recurrent_mask=None, reverse=False
):
    """As `reference.recurrence`, compiled, with a gradient written by hand."""

    @tf.custom_gradient
    def run(gates, h, c, recurrent_kernel):
        # An outer tape would ask the compiled function for a gradient it cannot give.
        gates, h, c, recurrent_kernel = map(
            tf.stop_gradient, (gates, h, c, recurrent_kernel)
        )
        first, stride = _order(gates, reverse)
        outputs, last_h, last_c, cells, activated = _forward(
            gates, h, c, recurrent_kernel, mask, recurrent_mask, first, stride
        )

        def gradient(d_outputs, d_h, d_c):
            last, back = first + (tf.shape(gates)[0] - 1) * stride, -stride
            before = functools.partial(_shift, reverse=reverse)
            d_gates, d_h, d_c = _backward(
                activated,
                cells,
                before(cells, c),
                d_outputs,
                d_h,
                d_c,
                tf.transpose(recurrent_kernel),
                mask,
                recurrent_mask,
                last,
                back,
            )
            kept = before(outputs, h)
            if recurrent_mask is not None:
                kept *= recurrent_mask
            d_kernel = tf.matmul(_rows(kept), _rows(d_gates), transpose_a=True)
            return d_gates, d_h, d_c, d_kernel

        return (outputs, last_h, last_c), gradient

    return run(gates, h, c, tf.convert_to_tensor(recurrent_kernel))


def _order(gates, reverse):
    """The first place and the stride, as numbers the compiled loop is given."""
    if reverse:
        return tf.shape(gates)[0] - 1, tf.constant(-1)
    return tf.constant(0), tf.constant(1)


def _shift(sequence, start, *, reverse):
    """What was there before each step."""
    if reverse:
        return tf.concat([sequence[1:], start[None]], axis=0)
    return tf.concat([start[None], sequence[:-1]], axis=0)


def _rows(sequence):
    return tf.reshape(sequence, (-1, sequence.shape[-1]))


@tf.function(jit_compile=True, autograph=False)
def _forward(gates, h, c, recurrent_kernel, mask, recurrent_mask, first, stride):
    steps = tf.shape(gates)[0]

    def step(k, h, c, outputs, cells, activated):
        t = first + k * stride
        kept = h if recurrent_mask is None else h * recurrent_mask
        i, f, g, o = _activate(gates[t] + tf.matmul(kept, recurrent_kernel))
        new_c = f * c + i * g
        new_h = o * tf.tanh(new_c)
        if mask is not None:
            active = mask[t] > 0
            new_h, new_c = tf.where(active, new_h, h), tf.where(active, new_c, c)
        activated = activated.write(t, tf.concat([i, f, g, o], axis=-1))
        return k + 1, new_h, new_c, outputs.write(t, new_h), cells.write(t, new_c), (
            activated
        )

    arrays = _array(gates, h.shape), _array(gates, h.shape), _array(gates)
    _, h, c, *arrays = _loop(step, steps, h, c, *arrays)
    outputs, cells, activated = (array.stack() for array in arrays)
    return outputs, h, c, cells, activated


@tf.function(jit_compile=True, autograph=False)
def _backward(
    activated,
    cells,
    cells_before,
    d_outputs,
    d_h,
    d_c,
    transposed_kernel,
    mask,
    recurrent_mask,
    first,
    stride,
):
    steps = tf.shape(activated)[0]

    def step(k, d_h, d_c, d_gates):
        t = first + k * stride
        i, f, g, o = tf.split(activated[t], 4, axis=-1)
        tanh_c = tf.tanh(cells[t])
        d_h = d_h + d_outputs[t]
        active = 1 if mask is None else mask[t]
        d_new_h = active * d_h
        d_new_c = active * d_c + d_new_h * o * (1 - tanh_c * tanh_c)
        d_z = tf.concat(
            [
                d_new_c * g * i * (1 - i),
                d_new_c * cells_before[t] * f * (1 - f),
                d_new_c * i * (1 - g * g),
                d_new_h * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )
        d_kept = tf.matmul(d_z, transposed_kernel)
        if recurrent_mask is not None:
            d_kept *= recurrent_mask
        d_before = d_new_c * f
        if mask is not None:
            d_kept += (1 - active) * d_h
            d_before += (1 - active) * d_c
        return k + 1, d_kept, d_before, d_gates.write(t, d_z)

    _, d_h, d_c, d_gates = _loop(step, steps, d_h, d_c, _array(activated))
    return d_gates.stack(), d_h, d_c


def _activate(z):
    i, f, g, o = tf.split(z, 4, axis=-1)
    return tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)


def _array(sequence, element_shape=None):
    """An array with one place per step of `sequence`."""
    return tf.TensorArray(
        sequence.dtype,
        size=tf.shape(sequence)[0],
        element_shape=sequence.shape[1:] if element_shape is None else element_shape,
    )


def _loop(step, steps, *state):
    def unfinished(k, *_):
        return k < steps

    state = (tf.constant(0), *state)
    return tf.while_loop(unfinished, step, state, maximum_iterations=steps)
