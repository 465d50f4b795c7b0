"""Steps along the time axis and their masks: `(batch, time)`, True where valid.

Sums and gathers only: these hold for no rows, for no steps, and for sizes that a
graph does not know yet, where a maximum over an empty axis fails on some backends.
"""

from keras import ops

from keras_trainkit._types import Shape, Tensor


def valid_steps(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """The mask as booleans; without one every step of `inputs` is valid."""
    if mask is None:
        return ops.ones_like(inputs[:, :, 0], dtype="bool")
    mask = ops.cast(mask, "bool")
    if len(mask.shape) != 2 or not _may_equal(mask.shape, inputs.shape[:2]):
        raise ValueError(
            "`mask` tells the steps that are valid and must have the shape "
            f"(batch, time) of what it masks. Received: mask.shape={tuple(mask.shape)} "
            f"for inputs of shape {tuple(inputs.shape)}."
        )
    return mask


def _may_equal(shape: Shape, other: Shape) -> bool:
    """True if two shapes agree where both are known."""
    pairs = zip(shape, other, strict=True)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def step_numbers(valid: Tensor) -> Tensor:
    """0, 1, 2... along each row, `(batch, time)`."""
    return ops.cumsum(ops.ones_like(valid, dtype="int32"), axis=1) - 1


def steps_before_first(valid: Tensor) -> Tensor:
    """Number of steps before the first valid one, `(batch, 1)`; all if none is."""
    unseen = ops.equal(ops.cumsum(ops.cast(valid, "int32"), axis=1), 0)
    return _count(unseen)


def steps_to_last(valid: Tensor) -> Tensor:
    """Number of steps up to the last valid one, `(batch, 1)`; 0 if none is."""
    steps = ops.cast(valid, "int32")
    seen_before = ops.cumsum(steps, axis=1) - steps
    return _count(seen_before < ops.sum(steps, axis=1, keepdims=True))


def take_steps(x: Tensor, positions: Tensor) -> Tensor:
    """Row r of the result holds the steps `positions[r]` of row r of `x`."""
    batch, time, *features = ops.shape(x)
    every_step = ops.reshape(x, (batch * time, *features))
    row_starts = ops.expand_dims(ops.arange(batch, dtype="int32") * time, 1)
    taken = ops.take(every_step, row_starts + positions, axis=0)
    # JAX 0.10: a take from an axis without entries loses the shape of `positions`.
    return ops.reshape(taken, (*ops.shape(positions), *features))


def over_features(mask: Tensor, x: Tensor) -> Tensor:
    """A mask of steps with an axis of size 1 for each further axis of `x`."""
    further_axes = len(x.shape) - len(mask.shape)
    return ops.reshape(mask, (*ops.shape(mask), *[1] * further_axes))


def _count(flags: Tensor) -> Tensor:
    return ops.sum(ops.cast(flags, "int32"), axis=1, keepdims=True)
