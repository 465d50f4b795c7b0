"""Masks of five sequences of seven steps."""

import numpy as np

# Padding after, padding before, a hole, nothing valid, everything valid.
MIXED = np.array(
    [
        [1, 1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 1, 1],
        [1, 0, 1, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1],
    ],
    bool,
)
