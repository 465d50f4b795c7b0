"""The recurrence on torch: loops over preallocated memory, gradient by hand."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from keras_trainkit._types import Tensor


def choose(training: bool) -> Callable:
    """The loop to run: the same for training and inference."""
    return fused


def calls_cudnn(inputs: Tensor, mask: Tensor | None) -> bool:
    """True if Keras' LSTM calls cuDNN for these inputs.

    That is without a mask and not while a graph is traced.
    """
    traced = torch.jit.is_tracing() or torch.compiler.is_compiling()
    fits = inputs.numel() > 0 and inputs.dtype in (torch.float16, torch.float32)
    return mask is None and not traced and fits and sees_gpu(inputs)


def sees_gpu(inputs: Tensor) -> bool:
    """True if the inputs are on a GPU that has cuDNN."""
    return inputs.is_cuda and torch.backends.cudnn.is_available()


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
    return _Run.apply(gates, h, c, recurrent_kernel, mask, recurrent_mask, reverse)


class _Run(torch.autograd.Function):
    """Both loops; the memory between them is six times that of the outputs."""

    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        h: Tensor,
        c: Tensor,
        recurrent_kernel: Tensor,
        mask: Tensor | None,
        recurrent_mask: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, (batch, units) = len(gates), h.shape
        kept = h.new_empty(steps, batch, units)
        outputs, cells = torch.empty_like(kept), torch.empty_like(kept)
        activated = torch.empty_like(gates)
        for t in _time_indices(steps, reverse):
            cells[t] = c
            if recurrent_mask is None:
                kept[t] = h
            else:
                torch.mul(h, recurrent_mask, out=kept[t])
            a = torch.addmm(gates[t], kept[t], recurrent_kernel, out=activated[t])
            i, f, g, o = a.split(units, dim=1)
            a[:, : 2 * units].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            new_c = torch.addcmul(f * c, i, g)
            new_h = torch.mul(o, new_c.tanh(), out=outputs[t])
            if mask is not None:
                active = mask[t] > 0
                new_c = torch.where(active, new_c, c)
                new_h = torch.where(active, new_h, h)
                outputs[t] = new_h
            h, c = new_h, new_c
        ctx.save_for_backward(
            kept, cells, activated, recurrent_kernel, mask, recurrent_mask
        )
        ctx.reverse = reverse
        return outputs, h.clone(), c.clone()

    @staticmethod
    def backward(ctx: Any, d_outputs: Tensor, d_h: Tensor, d_c: Tensor) -> tuple:
        kept, cells, activated, recurrent_kernel, mask, recurrent_mask = (
            ctx.saved_tensors
        )
        units = kept.shape[-1]
        factors, to_c, from_h = _derivatives(cells, activated, mask)
        d_gates = torch.empty_like(activated)
        transposed = recurrent_kernel.t()
        for t in _time_indices(len(kept), not ctx.reverse):
            d_h = d_h + d_outputs[t]
            d_c = torch.addcmul(d_c, d_h, from_h[t])
            d_z = torch.mul(
                torch.cat([d_c, d_c, d_c, d_h], 1), factors[t], out=d_gates[t]
            )
            d_before = d_z @ transposed
            if recurrent_mask is not None:
                d_before = d_before.mul_(recurrent_mask)
            if mask is not None:
                d_before = torch.addcmul(d_before, d_h, 1 - mask[t])
            d_h, d_c = d_before, d_c * to_c[t]
        d_kernel = kept.view(-1, units).t() @ d_gates.view(-1, 4 * units)
        return d_gates, d_h, d_c, d_kernel, None, None, None


def _derivatives(
    cells: Tensor, activated: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The multipliers of the loop over the gradients, for all steps at once.

    The factors that turn the gradients of `c, c, c, h` into those of the gates, and
    the derivatives of `c` by the `c` before and by the gradient of `h`.
    """
    i, f, g, o = activated.split(cells.shape[-1], dim=-1)
    tanh_c = torch.addcmul(f * cells, i, g).tanh_()
    factors = activated * (1 - activated)
    d_i, d_f, d_g, d_o = factors.split(cells.shape[-1], dim=-1)
    d_i.mul_(g)
    d_f.mul_(cells)
    torch.mul(i, 1 - g * g, out=d_g)
    d_o.mul_(tanh_c)
    from_h = o * (1 - tanh_c.square_())
    if mask is None:
        return factors, f, from_h
    return factors * mask, torch.where(mask > 0, f, 1), from_h * mask


def _time_indices(steps: int, reverse: bool) -> Iterable[int]:
    return reversed(range(steps)) if reverse else range(steps)
