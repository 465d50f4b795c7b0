import numpy as np


class Moments:
    """Count, mean and variance of each feature, in one pass.

    Precise even if the values are large and their spread is small, such as 1e8 with a
    deviation of 4, where "mean of squares minus square of the mean" has no digit right.

    Attributes:
        count: `(features,)`. Values seen, NaN not counted.
        mean: `(features,)`; 0 for a feature without a value.
        squares: `(features,)`. Sum of the squared deviations from the mean.

    Source: Chan, Golub and LeVeque, 1983, doi:10.1080/00031305.1983.10483115
    (the pairwise update).
    """

    def __init__(self) -> None:
        self.count = np.array(0)
        self.mean = np.array(0.0)
        self.squares = np.array(0.0)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of the values seen (divided by n), `(features,)`."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))

    def update(self, rows: np.ndarray) -> None:
        """Takes in `(rows, features)`, float64; NaN is skipped."""
        present = ~np.isnan(rows)
        count = present.sum(axis=0)
        values = np.where(present, rows, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = values.sum(axis=0) / np.maximum(count, 1)
            deviations = np.where(present, rows - mean, 0.0)
            slip = deviations.sum(axis=0) / np.maximum(count, 1)  # rounding of `mean`
            squares = (deviations**2).sum(axis=0) - count * slip**2
            self._take(count, mean + slip, squares)

    def _take(self, count: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> None:
        total = self.count + count
        share = count / np.maximum(total, 1)
        step = mean - self.mean
        self.mean = self.mean + step * share
        self.squares = self.squares + squares + step**2 * self.count * share
        self.count = total
