import numpy as np

HASHES = 1024  # kept, 16 KiB


class DistinctShare:
    """Estimate of how many values are different, as a share of all values.

    Counts the values with the smallest hashes alone: a sample of the different values,
    each with all its occurrences. Exact for up to 1024 different values.

    Source: Bar-Yossef et al., 2002, "Counting distinct elements in a data stream".
    """

    def __init__(self) -> None:
        self._hashes = np.empty(0, "uint64")
        self._counts = np.empty(0, "int64")

    def update(self, values: np.ndarray) -> None:
        """Takes in `(rows,)`, float64 without NaN."""
        bits = (values + 0.0).view("uint64")  # -0.0 becomes 0.0
        hashes = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(32)
        if len(self._hashes) == HASHES:
            hashes = hashes[hashes <= self._hashes[-1]]
        found, counts = np.unique(hashes, return_counts=True)
        all_hashes = np.concatenate([self._hashes, found])
        all_counts = np.concatenate([self._counts, counts])
        hashes, indices = np.unique(all_hashes, return_inverse=True)
        counts = np.bincount(indices, all_counts).astype("int64")
        self._hashes, self._counts = hashes[:HASHES], counts[:HASHES]

    @property
    def share(self) -> float:
        """Different values by all; 0 if there were none."""
        return len(self._hashes) / max(1, int(self._counts.sum()))
