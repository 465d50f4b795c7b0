"""The recurrence on torch: loops over preallocated memory, gradient by hand."""

import torch


def choose(training):
    """Which loop to run: the same for training and inference."""
    return fused


def fused(
    gates, h, c, recurrent_kernel, *, mask=None, recurrent_mask=None, reverse=False
):
    """As `reference.recurrence`, with a gradient written by hand."""
    return _Run.apply(gates, h, c, recurrent_kernel, mask, recurrent_mask, reverse)


class _Run(torch.autograd.Function):
    """Both loops; what one stores for the other takes six times the outputs."""

    @staticmethod
    def forward(ctx, gates, h, c, recurrent_kernel, mask, recurrent_mask, reverse):
        steps, (batch, units) = len(gates), h.shape
        kept = h.new_empty(steps, batch, units)
        outputs, cells = torch.empty_like(kept), torch.empty_like(kept)
        activated = torch.empty_like(gates)
        for t in _places(steps, reverse):
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
    def backward(ctx, d_outputs, d_h, d_c):
        kept, cells, activated, recurrent_kernel, mask, recurrent_mask = (
            ctx.saved_tensors
        )
        steps, batch, units = kept.shape
        d_gates = torch.empty_like(activated)
        transposed = recurrent_kernel.t()
        for t in _places(steps, not ctx.reverse):
            i, f, g, o = activated[t].split(units, dim=1)
            tanh_c = torch.addcmul(f * cells[t], i, g).tanh_()
            d_h = d_h + d_outputs[t]
            d_new_h = d_h if mask is None else d_h * mask[t]
            d_new_c = d_c if mask is None else d_c * mask[t]
            d_new_c = d_new_c + d_new_h * o * (1 - tanh_c * tanh_c)
            d_i, d_f, d_g, d_o = d_gates[t].split(units, dim=1)
            torch.mul(d_new_c * g, i * (1 - i), out=d_i)
            torch.mul(d_new_c * cells[t], f * (1 - f), out=d_f)
            torch.mul(d_new_c * i, 1 - g * g, out=d_g)
            torch.mul(d_new_h * tanh_c, o * (1 - o), out=d_o)
            d_before = d_gates[t] @ transposed
            if recurrent_mask is not None:
                d_before = d_before * recurrent_mask
            d_cell_before = d_new_c * f
            if mask is not None:
                d_before = d_before + (1 - mask[t]) * d_h
                d_cell_before = d_cell_before + (1 - mask[t]) * d_c
            d_h, d_c = d_before, d_cell_before
        d_kernel = kept.reshape(-1, units).t() @ d_gates.reshape(-1, 4 * units)
        return d_gates, d_h, d_c, d_kernel, None, None, None


def _places(steps, reverse):
    return reversed(range(steps)) if reverse else range(steps)
