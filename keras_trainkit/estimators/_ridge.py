"""Ridge regression that tells each row by the others, in closed form."""

from typing import NamedTuple

import numpy as np

LEAST_WEIGHT = 1e-10  # of the largest: as good as 0, and above it
ROUNDING = 1e-12  # of the largest eigenvalue: as good as 0


class Fit(NamedTuple):
    """A ridge regression.

    Args:
        kernel: `(features, outputs)`.
        bias: `(outputs,)`.
        left_out: `(rows, outputs)`. What is predicted for rows that are left out.
        penalty: The penalty with which their squared error is least.
        error: That error, the mean over rows and outputs.
    """

    kernel: np.ndarray
    bias: np.ndarray
    left_out: np.ndarray
    penalty: float
    error: float


def ridge(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    told: np.ndarray | None = None,
    *,
    penalties: np.ndarray,
) -> Fit:
    """Ridge regression with an intercept, and its predictions for rows left out.

    Rows are left out one by one, or group by group, without a fit for each: where H
    maps the targets to the fitted values, what is left of the targets of a group is the
    solution of `(I - H)[group, group] @ left = (y - H y)[group]`.

    Args:
        x: `(rows, features)`; what there are more of costs no more.
        y: `(rows, outputs)`.
        weights: `(rows,)`, at least 0, or None. What is told of a row
            of weight 0 comes from the others.
        groups: `(rows,)`, two or more, or None for every row by itself.
        told: Bools `(rows,)`. Rows whose error counts. None: all.
        penalties: Floats > 0, ascending, of which the best is taken: the strongest of
            those that differ by rounding alone.
    """
    weights = np.ones(len(x)) if weights is None else weights.astype("float64")
    weights = np.maximum(weights, LEAST_WEIGHT * weights.max())
    means = weights / weights.sum()
    x_mean, y_mean = means @ x, means @ y
    root = np.sqrt(weights)[:, None]
    centered, left = x - x_mean, root * (y - y_mean)
    centered *= root
    values, vectors = _spectrum(centered)
    constant = root / np.linalg.norm(root)
    parts = _parts(len(x), groups)
    counted = weights if told is None else weights * told

    def solved(penalty: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Weights of the rows; what is left of those left out; its mean square."""
        dual, residuals = _solved(vectors, values, left, constant, penalty, parts)
        residuals /= root
        total = np.sum(counted[:, None] * residuals**2)
        return dual, residuals, float(total / max(counted.sum(), 1) / y.shape[1])

    errors = np.array([solved(penalty)[2] for penalty in penalties])
    best = np.flatnonzero(errors <= errors.min() * (1 + 1e-9))[-1]
    penalty = float(penalties[best])
    dual, residuals, error = solved(penalty)
    kernel = centered.T @ dual
    return Fit(kernel, y_mean - x_mean @ kernel, y - residuals, penalty, error)


def _solved(
    vectors: np.ndarray,
    values: np.ndarray,
    y: np.ndarray,
    constant: np.ndarray,
    penalty: float,
    parts: list[np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the rows, and the residuals of rows left out.

    The inverse of the products with the penalty is `rest` times the identity, and
    `inverse` more along `vectors`; `I - H` is as many times the penalty.

    Args:
        vectors: `(rows, directions)`, eigenvectors of the rows' products.
        values: Their eigenvalues.
        y: Centred targets.
        constant: `(rows, 1)`. Unit vector of the intercept, which has no penalty.
        parts: As `_parts` gives them.
    """
    rest = 1 / penalty if len(values) < len(y) else 0.0
    inverse = 1 / (values + penalty) - rest
    dual = vectors @ (inverse[:, None] * (vectors.T @ y)) + rest * y
    if parts is None:
        diagonal = vectors**2 @ inverse[:, None] + rest - constant**2 / penalty
        return dual, dual / diagonal
    residuals = np.empty_like(dual)
    for rows in parts:
        some, ones = vectors[rows], constant[rows]
        block = (some * inverse) @ some.T - ones @ ones.T / penalty
        block[np.diag_indices(len(rows))] += rest
        residuals[rows] = np.linalg.solve(block, dual[rows])
    return dual, residuals


def _spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and -vectors of the rows' products with each other.

    Of more rows than features those that are not 0 alone, from the features' products.
    """
    if len(x) <= x.shape[1]:
        values, vectors = np.linalg.eigh(x @ x.T)
        return np.maximum(values, 0), vectors
    values, directions = np.linalg.eigh(x.T @ x)
    kept = values > ROUNDING * values[-1]
    return values[kept], x @ (directions[:, kept] / np.sqrt(values[kept]))


def _parts(rows: int, groups: np.ndarray | None) -> list[np.ndarray] | None:
    """Row numbers of each group, or None where every row is by itself."""
    if groups is None or len(np.unique(groups)) == rows:
        return None
    return [np.flatnonzero(groups == group) for group in np.unique(groups)]
