import numpy as np


class Covariance:
    """Count, mean and covariance of rows, in one pass.

    Precise even if the values are large and their spread is small, as `Moments`. A row
    with a NaN is left out whole. Memory is that of features^2 floats.

    Attributes:
        count: Int. Rows seen, without those left out.
        mean: `(features,)`.
        products: `(features, features)`. Sums of products of deviations from the mean.

    Source: Chan, Golub and LeVeque, 1983, doi:10.1080/00031305.1983.10483115
    (the pairwise update, here of products).
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.array(0.0)
        self.products = np.array(0.0)

    def update(self, rows: np.ndarray) -> None:
        """Takes in `(rows, features)`, float64."""
        rows = rows[~np.isnan(rows).any(axis=1)]
        if not len(rows):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            mean = rows.mean(axis=0)
            deviations = rows - mean
            slip = deviations.mean(axis=0)  # rounding of `mean`
            products = deviations.T @ deviations - len(rows) * np.outer(slip, slip)
            self._take(len(rows), mean + slip, products)

    def _take(self, count: int, mean: np.ndarray, products: np.ndarray) -> None:
        total = self.count + count
        step = mean - self.mean
        self.mean = self.mean + step * (count / total)
        weight = self.count * count / total
        self.products = self.products + products + weight * np.outer(step, step)
        self.count = total
