"""The recurrence in plain `keras.ops`: the reference of the tests of the fast ones."""

from keras import ops

from keras_trainkit._types import Tensor


def recurrence(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    *,
    mask: Tensor | None = None,
    recurrent_mask: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the LSTM cell over all steps; autodiff gives the gradient.

    See `keras_trainkit._recurrent.lstm` for what surrounds it.

    Args:
        gates: Tensor `(time, batch, 4 * units)`, the input's share of the gates
            before their activation, bias included, in the order i, f, c, o.
        h: Tensor `(batch, units)`, the output before the first step.
        c: Tensor `(batch, units)`, the cell before the first step.
        recurrent_kernel: Tensor `(units, 4 * units)`.
        mask: Tensor `(time, batch, 1)` of 1 and 0, or None. A step with 0 leaves
            `h` and `c` as they are.
        recurrent_mask: Tensor `(batch, units)` or None. Multiplies `h` on its way
            into the gates, at every step.
        reverse: Bool. Runs from the last step to the first.

    Returns:
        `(outputs, h, c)`: `(time, batch, units)` with `h` after each step, in the
        order of the inputs, and the two states after all steps.
    """

    def step(state: tuple, step_inputs: tuple) -> tuple[tuple, tuple]:
        h, c = state
        kept = h if recurrent_mask is None else h * recurrent_mask
        z = step_inputs[0] + kept @ recurrent_kernel
        i, f, g, o = ops.split(z, 4, axis=-1)
        new_c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        new_h = ops.sigmoid(o) * ops.tanh(new_c)
        if mask is not None:
            active = ops.cast(step_inputs[1], "bool")
            new_h = ops.where(active, new_h, h)
            new_c = ops.where(active, new_c, c)
        return (new_h, new_c), (new_h, new_c)

    sequence = (gates,) if mask is None else (gates, mask)
    (h, c), (outputs, _) = ops.scan(step, (h, c), sequence, reverse=reverse)
    return outputs, h, c
