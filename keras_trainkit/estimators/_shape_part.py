"""The linear model of the shapes in a series, fitted in closed form.

Where its numbers come from is in docs/figures/sequences.md.
"""

import numpy as np

from keras_trainkit._types import Model
from keras_trainkit.estimators._estimator import Data
from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._training import Goal, Trained, predicted, targets
from keras_trainkit.models import loss_for, metrics_for
from keras_trainkit.optimizers import AdamW

# For each feature; features have unit variance.
PENALTIES = 10.0 ** np.arange(-6, 3.5, 0.5)
SHARPNESS = 5.0  # what makes probabilities of targets of -1 and 1, on average


def check_groups_to_leave_out(groups: np.ndarray | None) -> None:
    """Refuses rows of which nothing is left where a group is left out."""
    if groups is not None and len(np.unique(groups)) == 1:
        raise ValueError(
            "`groups` keeps rows together and must name two groups, so that one can be "
            f"left out. Received: one group of {len(groups)} rows."
        )


def fitted_shapes(
    model: Model, shapes: np.ndarray, part: Part, data: Data, goal: Goal
) -> tuple[Trained, float]:
    """Fits the head by ridge regression; the penalty is best for rows left out.

    Args:
        model: A `models.mini_rocket`, adapted.
        shapes: Its scaled features of the training rows, `(rows, features)`.
        part: The rows to train on; where all rows are, each of them, or each group, is
            validated by what is fitted to the others.

    Returns:
        The compiled model; and the penalty.
    """
    rows, groups = part.training, data.groups
    are_left_out = len(rows.y) == len(data.rows)
    if groups is not None and not are_left_out:
        groups = groups[~np.isin(data.rows, data.validated)]
    wanted = 2 * targets(rows.y, goal).astype("float64") - 1
    kernel, bias, left_out, penalty = ridge(
        shapes.astype("float64"), wanted, rows.weights, groups
    )
    sharpness = SHARPNESS * (2 if goal.task == "binary" else 1)
    model.layers[-1].set_weights([sharpness * kernel, sharpness * bias])
    one_hot = goal.task == "classification"
    model.compile(
        AdamW(),
        loss=loss_for(model, one_hot=one_hot),
        metrics=metrics_for(model, one_hot=one_hot),
    )
    if are_left_out:
        outputs = sharpness * left_out
    else:
        outputs = predicted(model, part.validation.x)
    return Trained(model, [], outputs.astype("float32")), penalty


def ridge(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge regression with an intercept, and its predictions for rows left out.

    Rows are left out one by one, or group by group, without a fit for each: where H
    maps the targets to the fitted values, what is left of the targets of a group is the
    solution of `(I - H)[group, group] @ left = (y - H y)[group]`.

    Args:
        x: `(rows, features)`; more features than rows cost no more.
        y: `(rows, outputs)`.
        weights: `(rows,)`, above 0, or None.
        groups: `(rows,)`, or None for every row by itself.

    Returns:
        Kernel, bias, predictions for the rows left out, and the penalty with which
        their squared error is least.
    """
    weights = np.ones(len(x)) if weights is None else weights.astype("float64")
    means = weights / weights.sum()
    x_mean, y_mean = means @ x, means @ y
    root = np.sqrt(weights)[:, None]
    centered, left = root * (x - x_mean), root * (y - y_mean)
    values, vectors = np.linalg.eigh(centered @ centered.T)
    rotated = vectors.T @ left
    constant = root / np.linalg.norm(root)
    parts = _parts(len(x), groups)
    best = None
    for penalty in PENALTIES * x.shape[1]:
        inverse = 1 / (np.maximum(values, 0) + penalty)
        dual = vectors @ (inverse[:, None] * rotated)
        residuals = _left_out(vectors, inverse, dual, constant, penalty, parts) / root
        error = np.sum(weights[:, None] * residuals**2)
        if best is None or error < best[0]:
            best = error, dual, residuals, float(penalty)
    _, dual, residuals, penalty = best
    kernel = centered.T @ dual
    return kernel, y_mean - x_mean @ kernel, y - residuals, penalty


def _parts(rows: int, groups: np.ndarray | None) -> list[np.ndarray] | None:
    """Row numbers of each group, or None where every row is by itself."""
    if groups is None or len(np.unique(groups)) == rows:
        return None
    return [np.flatnonzero(groups == group) for group in np.unique(groups)]


def _left_out(
    vectors: np.ndarray,
    inverse: np.ndarray,
    dual: np.ndarray,
    constant: np.ndarray,
    penalty: float,
    parts: list[np.ndarray] | None,
) -> np.ndarray:
    """Weighted residuals of rows left out; `I - H` is `penalty` times what is solved.

    Args:
        constant: Unit vector of the intercept, which no penalty holds.
    """
    if parts is None:
        diagonal = vectors**2 @ inverse[:, None] - constant**2 / penalty
        return dual / diagonal
    residuals = np.empty_like(dual)
    for rows in parts:
        some = vectors[rows]
        block = (some * inverse) @ some.T - constant[rows] @ constant[rows].T / penalty
        residuals[rows] = np.linalg.solve(block, dual[rows])
    return residuals
