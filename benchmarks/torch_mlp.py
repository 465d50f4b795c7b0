"""The network of `models.mlp` for tables and its training, written by hand in torch.

What a careful user writes: the bins' shares from one `addcmul` and one `clamp`, batches
by indexing with `torch.randperm`, fused AdamW on torch's own cycle, biases and scales
not decayed, no copy to the host within an epoch.
"""

import math

import torch
from torch import nn


class Network(nn.Module):
    """Piecewise-linear embedding, members' adapters, shared trunk, members' heads.

    `edges` is `(features, bins + 1)`, rising.
    """

    def __init__(self, edges, units, hidden_units, dropout, members):
        super().__init__()
        features, bins = edges.shape[0], edges.shape[1] - 1
        floor, ceiling = torch.zeros(features, bins), torch.ones(features, bins)
        floor[:, 0], ceiling[:, -1] = -math.inf, math.inf
        scale = 1 / edges.diff(dim=1)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", -edges[:, :-1] * scale)
        self.register_buffer("floor", floor)
        self.register_buffer("ceiling", ceiling)
        self.slope = _uniform(1, features, units)
        self.bias = _uniform(1, features, units)
        self.kernel = nn.Parameter(torch.zeros(features, bins, units))
        width = features * units
        self.adapter_scale = None
        if members > 1:
            drawn = torch.randn(members, features).repeat_interleave(units, 1)
            self.adapter_scale = nn.Parameter(drawn)
        blocks = []
        for size in hidden_units:
            blocks += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        self.trunk = nn.Sequential(*blocks)
        self.heads = _uniform(width**-0.5, members, width)
        self.heads_bias = _uniform(width**-0.5, members)

    def forward(self, x):
        x = x[:, :, None]
        shares = torch.addcmul(self.shift, x, self.scale)
        shares = shares.clamp(self.floor, self.ceiling).transpose(0, 1)
        pieces = torch.bmm(shares, self.kernel).transpose(0, 1)
        x = (torch.addcmul(self.bias, x, self.slope) + pieces).flatten(1)
        if self.adapter_scale is not None:
            x = x[:, None] * self.adapter_scale
        x = self.trunk(x)
        return (x * self.heads).sum(-1).view(len(x), -1) + self.heads_bias


def training(network, x, y, batch, epochs, peak, decay, compiled=False):
    """A function that trains `network` for the next of `epochs` epochs."""
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    y = (y - y.mean()) / y.std()
    members = len(network.heads)
    groups = [
        {"params": [p for n, p in named(network, True)], "weight_decay": decay},
        {"params": [p for n, p in named(network, False)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=peak, fused=True)
    steps = epochs * math.ceil(len(x) / batch)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    forward = torch.compile(network) if compiled else network

    def epoch():
        network.train()
        total = torch.zeros(())
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            targets = y[rows].expand(-1, members)
            loss = nn.functional.mse_loss(forward(x[rows]), targets)
            loss.backward()
            optimizer.step()
            cycle.step()
            total += loss.detach()
        return float(total)

    return epoch


def named(network, decayed):
    """The parameters that decay, or the others: biases and scales."""
    for name, parameter in network.named_parameters():
        if name.endswith(("bias", "scale")) != decayed:
            yield name, parameter


def _uniform(bound, *shape):
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
