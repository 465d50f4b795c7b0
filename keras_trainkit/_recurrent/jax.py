"""The recurrence on JAX: two scans, the second one the gradient written by hand.

Each scan writes its widest result over what it has read, in place: the gates become
the factors, and these the gradient of the gates. New memory took up to half the time.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from keras_trainkit._types import Tensor


def choose(training: bool) -> Callable:
    """The loop to run: the same for training and inference."""
    return fused


def calls_cudnn(inputs: Tensor, mask: Tensor | None) -> bool:
    """True if Keras' LSTM calls cuDNN for these inputs, on one device.

    That is without a mask, in float32, with sizes that are known and not 0. Over
    several devices cuDNN's call would be made whole on each.
    """
    sizes_fit = all(isinstance(size, int) and size for size in inputs.shape)
    alone = keras.distribution.distribution() is None
    single = inputs.dtype == jnp.float32
    return mask is None and sizes_fit and single and alone and sees_gpu()


def sees_gpu() -> bool:
    """Asks as Keras' LSTM asks, and heeds `keras.device("cpu")`."""
    chosen = jax.config.jax_default_device  # a device or its platform
    platform = getattr(chosen, "platform", chosen) or jax.default_backend()
    return platform in ("gpu", "cuda", "rocm")


def fused(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    *,
    mask: Tensor | None = None,
    recurrent_mask: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `reference.recurrence`, with a gradient written by hand."""
    return _run(reverse, gates, h, c, recurrent_kernel, mask, recurrent_mask)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(
    reverse: bool,
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    mask: Tensor | None,
    recurrent_mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    arguments = (gates, h, c, recurrent_kernel, mask, recurrent_mask)
    return _forward(reverse, *arguments)[0]


def _forward(
    reverse: bool,
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent_kernel: Tensor,
    mask: Tensor | None,
    recurrent_mask: Tensor | None,
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple]:
    """Outputs and final states, and per step what the backward scan needs."""

    def step(state: tuple, now: tuple) -> tuple[tuple, Any]:
        h, c, buffer = state
        t, active = now
        z = buffer[t]
        kept = h if recurrent_mask is None else h * recurrent_mask
        i, f, g, o = jnp.split(z + kept @ recurrent_kernel, 4, axis=-1)
        i, f, o = map(jax.nn.sigmoid, (i, f, o))
        g = jnp.tanh(g)
        new_c = f * c + i * g
        tanh_c = jnp.tanh(new_c)
        new_h = o * tanh_c
        factor = jnp.concatenate(
            [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o)],
            axis=-1,
        )
        to_c, from_h = f, o * (1 - tanh_c * tanh_c)
        if active is not None:
            new_h = jnp.where(active > 0, new_h, h)
            new_c = jnp.where(active > 0, new_c, c)
            factor, from_h = factor * active, from_h * active
            to_c = jnp.where(active > 0, to_c, 1)
        buffer = buffer.at[t].set(factor)
        return (new_h, new_c, buffer), (new_h, kept, to_c, from_h)

    sequence = (jnp.arange(len(gates)), mask)
    (h, c, factors), (outputs, *stored) = jax.lax.scan(
        step, (h, c, gates), sequence, reverse=reverse
    )
    return (outputs, h, c), (factors, stored, recurrent_kernel, mask, recurrent_mask)


def _backward(reverse: bool, saved: tuple, gradients: tuple) -> tuple:
    factors, (kept, to_c, from_h), recurrent_kernel, mask, recurrent_mask = saved
    d_outputs, d_h, d_c = gradients

    def step(state: tuple, now: tuple) -> tuple[tuple, Any]:
        d_h, d_c, buffer = state
        t, d_output, to_c, from_h, active = now
        d_h = d_h + d_output
        d_c = d_c + d_h * from_h
        d_z = buffer[t] * jnp.concatenate([d_c, d_c, d_c, d_h], axis=-1)
        d_before = d_z @ recurrent_kernel.T
        if recurrent_mask is not None:
            d_before = d_before * recurrent_mask
        if active is not None:
            d_before = d_before + (1 - active) * d_h
        return (d_before, d_c * to_c, buffer.at[t].set(d_z)), None

    sequence = (jnp.arange(len(factors)), d_outputs, to_c, from_h, mask)
    (d_h, d_c, d_gates), _ = jax.lax.scan(
        step, (d_h, d_c, factors), sequence, reverse=not reverse
    )
    d_kernel = jnp.einsum("tbu,tbg->ug", kept, d_gates)
    return d_gates, d_h, d_c, d_kernel, *map(_nothing, (mask, recurrent_mask))


def _nothing(constant: Tensor | None) -> Tensor | None:
    """The gradient of an argument that is constant to the caller."""
    return None if constant is None else jnp.zeros_like(constant)


_run.defvjp(_forward, _backward)
