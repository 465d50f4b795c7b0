"""A surface over two axes, from scores at a few places."""

import numpy as np

from keras_trainkit.analysis._figures import wants_log

_LEVELS = 12
_MOST_TRIANGLES = 40_000


def interpolated(places, scores, across, up):
    """Triangles between the places, cut small, on the axes; and the score of each."""
    from matplotlib.tri import (
        LinearTriInterpolator,
        Triangulation,
        UniformTriRefiner,
    )

    coarse = Triangulation(*places.T)
    halvings = int(np.log2(_MOST_TRIANGLES / len(coarse.triangles)) / 2)
    fine, heights = UniformTriRefiner(coarse).refine_field(
        scores, LinearTriInterpolator(coarse, scores), subdiv=min(max(halvings, 0), 6)
    )
    corners = (_on_scale(across, fine.x), _on_scale(up, fine.y))
    return Triangulation(*corners, fine.triangles), heights


def _on_scale(axis, shares):
    low, high = axis.ends()
    if axis.log:
        return low * (high / low) ** shares
    return low + shares * (high - low)


def colour_scale(scores, direction):
    """Colours up to the worst usual score, so that one that diverged takes none."""
    from matplotlib.colors import LogNorm, Normalize

    first, third = np.quantile(scores, [0.25, 0.75])
    fence = 1.5 * (third - first)
    far = scores < first - fence if direction == "max" else scores > third + fence
    usual = scores[~far]
    low, high = float(usual.min()), float(usual.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    if wants_log(usual):
        return LogNorm(low, high), np.geomspace(low, high, _LEVELS)
    return Normalize(low, high), np.linspace(low, high, _LEVELS)


def extend(scores, norm) -> str:
    """Which end of the colours has scores beyond it, as matplotlib says it."""
    if (scores < norm.vmin).any():
        return "min"
    return "max" if (scores > norm.vmax).any() else "neither"
