"""Where a feature is cut into bins of about equally many rows."""

import numpy as np


def bin_edges(values, counts, bins):
    """At most `bins + 1` of the distinct, rising `values`, each seen `counts` times.

    Plain quantiles fall on one frequent value again and again, and leave few bins to
    the rest. Here no value counts for more than one bin: with shares cut to the `cap`
    that solves `sum(min(counts, cap)) = bins * cap`, the edges are the values that
    stand at 0, cap, 2 cap, ... So every value seen `cap` times or more is an edge.
    """
    if len(values) <= bins + 1:
        return values
    ends = np.cumsum(np.minimum(counts, _cap(counts, bins)))
    steps = np.linspace(0, ends[-1], bins + 1)
    steps *= 1 - 1e-12  # a step that ends with a value stays on it, rounding or not
    return np.unique(values[np.searchsorted(ends, steps)])


def _cap(counts, bins):
    """The root: what the others leave to each bin once the heaviest are cut to it."""
    falling = np.sort(counts)[::-1].astype("float64")
    rest = falling.sum() - np.cumsum(falling[:bins]) + falling[:bins]
    caps = rest / (bins - np.arange(bins))
    return caps[np.argmax(falling[:bins] <= caps)]
