import numpy as np


class Extremes:
    """Smallest and largest value of each feature.

    Attributes:
        lowest: `(features,)`; inf for a feature without a value.
        highest: `(features,)`; -inf for a feature without a value.
    """

    def __init__(self) -> None:
        self.lowest = np.array(np.inf)
        self.highest = np.array(-np.inf)

    def update(self, rows: np.ndarray) -> None:
        """Takes in `(rows, features)`; NaN is skipped."""
        lowest = np.fmin.reduce(rows, axis=0, initial=np.inf)
        highest = np.fmax.reduce(rows, axis=0, initial=-np.inf)
        self.lowest = np.minimum(self.lowest, lowest)
        self.highest = np.maximum(self.highest, highest)
