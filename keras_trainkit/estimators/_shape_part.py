"""The linear model of the shapes in a series, fitted in closed form.

Where its numbers come from is in docs/figures/sequences.md.
"""

from typing import Any, NamedTuple

import numpy as np

from keras_trainkit._types import Model
from keras_trainkit.estimators._estimator import Data
from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._training import Goal, Trained, predicted, targets
from keras_trainkit.estimators._validation_rows import check_groups_to_leave_out
from keras_trainkit.models import loss_for, metrics_for
from keras_trainkit.optimizers import AdamW

# For each feature; features have unit variance.
PENALTIES = 10.0 ** np.arange(-6, 3.5, 0.5)
LEVEL_SHARES = (0, 0.3, 1)  # variance of all levels, over that of all shapes
USUAL_PENALTY = 0.1  # where no row can be left out
ENOUGH_ROWS = 1_000  # to choose the share by
LEAST_WEIGHT = 1e-10  # of the largest: as good as 0, and above it
ROUNDING = 1e-12  # of the largest eigenvalue: as good as 0
SHARPNESS = 5.0  # what makes probabilities of targets of -1 and 1, on average


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


def fitted_shapes(
    model: Model,
    features: np.ndarray,
    part: Part,
    data: Data,
    goal: Goal,
) -> tuple[Trained, dict[str, dict[str, Any]]]:
    """Fits the head by ridge regression; its numbers are best for rows left out.

    Args:
        model: A `models.mini_rocket`, adapted.
        features: Its scaled features of the training rows, `(rows, features)`.
        part: The rows to train on; where all rows are, each of them, or each group, is
            validated by what is fitted to the others.

    Returns:
        The compiled model; and what was chosen, for the recipe.
    """
    rows, groups = part.training, data.groups
    are_left_out = len(rows.y) == len(data.rows)
    if groups is not None and not are_left_out:
        groups = groups[~np.isin(data.rows, data.validated)]
        check_groups_to_leave_out(groups)
    wanted = 2 * targets(rows.y, goal).astype("float64") - 1
    x = features.astype("float64")
    weights = np.ones(len(x)) if rows.weights is None else rows.weights
    told = _may_be_told(rows.y, data) if are_left_out else np.ones(len(x), bool)
    shapes = model.get_layer("features").input
    shapes = shapes[0].shape[1] if isinstance(shapes, list) else x.shape[1]
    share = _level_share(x, shapes, wanted, weights, groups, told)
    scale = _scales(share, shapes, x.shape[1])
    x *= scale
    fit = ridge(x, wanted, weights, groups, told)
    sharpness = SHARPNESS * (2 if goal.task == "binary" else 1)
    kernel = sharpness * scale[:, None] * fit.kernel
    model.layers[-1].set_weights([kernel, sharpness * fit.bias])
    one_hot = goal.task == "classification"
    model.compile(
        AdamW(),
        loss=loss_for(model, one_hot=one_hot),
        metrics=metrics_for(model, one_hot=one_hot),
    )
    if are_left_out:
        outputs = sharpness * fit.left_out[np.isin(data.rows, data.validated)]
    else:
        outputs = predicted(model, part.validation.x)
    best = "best for rows left out"
    return Trained(model, [], outputs.astype("float32")), {
        "level_share": choice(share, f"variance of levels over that of shapes; {best}"),
        "penalty": choice(fit.penalty, f"of squared weights, for each feature; {best}"),
    }


def _level_share(
    x: np.ndarray,
    shapes: int,
    y: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray | None,
    told: np.ndarray,
) -> float:
    """The share with which rows left out are predicted best, some of many rows.

    Args:
        shapes: Int. The first features, which are no levels.
        told: As in `ridge`.
    """
    if x.shape[1] == shapes or not told.any():
        return 0
    some = np.sort(np.random.default_rng(0).permutation(len(x))[:ENOUGH_ROWS])
    if groups is not None:  # so that one can be left out
        two = np.unique(groups, return_index=True)[1][:2]
        some = np.union1d(some, two)
        groups = groups[some]

    def error(share: float) -> float:
        scale = _scales(share, shapes, x.shape[1])
        return ridge(x[some] * scale, y[some], weights[some], groups, told[some]).error

    return min(LEVEL_SHARES, key=error)


def _may_be_told(codes: np.ndarray, data: Data) -> np.ndarray:
    """False for rows whose class no other row, or no other group, has."""
    is_lone = np.bincount(codes)[codes] == 1
    return np.isin(data.rows, data.validated) & ~is_lone


def _scales(share: float, shapes: int, features: int) -> np.ndarray:
    """Factors of the features with which all levels vary as `share` says."""
    scale = np.ones(features)
    if features > shapes:
        scale[shapes:] = np.sqrt(share * shapes / (features - shapes))
    return scale


def ridge(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    told: np.ndarray | None = None,
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
        told: Bools `(rows,)`. Rows whose error counts; with none the penalty is 0.1 for
            each feature. None: all.
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
    penalties = PENALTIES if counted.any() else np.array([USUAL_PENALTY])

    def solved(penalty: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Weights of the rows; what is left of those left out; its mean square."""
        dual, residuals = _solved(vectors, values, left, constant, penalty, parts)
        residuals /= root
        total = np.sum(counted[:, None] * residuals**2)
        return dual, residuals, float(total / max(counted.sum(), 1) / y.shape[1])

    penalty = min(penalties.tolist(), key=lambda one: solved(one * x.shape[1])[2])
    penalty *= x.shape[1]
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
