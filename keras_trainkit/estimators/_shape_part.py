"""The linear model of the shapes in a series, fitted in closed form.

Where its numbers come from is in docs/figures/sequences.md.
"""

from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._types import Model
from keras_trainkit.estimators._estimator import Data
from keras_trainkit.estimators._outputs import predicted
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._ridge import ridge
from keras_trainkit.estimators._training import Goal, Trained, targets
from keras_trainkit.estimators._validation_rows import check_groups_to_leave_out
from keras_trainkit.layers import TemperatureScaling
from keras_trainkit.models import loss_for, metrics_for
from keras_trainkit.optimizers import AdamW

# For each feature; features have unit variance.
PENALTIES = 10.0 ** np.arange(-6, 3.5, 0.5)
LEVEL_SHARES = (0, 0.3, 1)  # variance of all levels, over that of all shapes
USUAL_PENALTY = 0.1  # for each feature, where no row can be left out
ENOUGH_ROWS = 1_000  # to choose the share by
PRIOR_STDDEV = 1.0  # of the logarithm of its temperature
SHARPNESS = 5.0  # what makes probabilities of targets of -1 and 1, on average


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
    rows, groups = part.training, part.training.groups
    check_groups_to_leave_out(groups)
    are_left_out = len(rows.y) == len(data.rows)
    wanted = 2 * targets(rows.y, goal).astype("float64") - 1
    x = features.astype("float64")
    weights = np.ones(len(x)) if rows.weights is None else rows.weights
    told = _may_be_told(rows.y, data) if are_left_out else np.ones(len(x), bool)
    shapes = model.get_layer("features").input
    shapes = shapes[0].shape[1] if isinstance(shapes, list) else x.shape[1]
    share = _level_share(x, shapes, wanted, weights, groups, told)
    scale = _scales(share, shapes, x.shape[1])
    x *= scale
    penalties = _penalties(x.shape[1], told)
    fit = ridge(x, wanted, weights, groups, told, penalties=penalties)
    sharpness = SHARPNESS * (2 if goal.task == "binary" else 1)
    kernel = sharpness * scale[:, None] * fit.kernel
    model.layers[-1].set_weights([kernel, sharpness * fit.bias])
    _compile(model, goal)
    if are_left_out:
        outputs = sharpness * fit.left_out[np.searchsorted(data.rows, data.validated)]
    else:
        outputs = predicted(model, part.validation.x)
    best = "best for rows left out"
    return Trained(model, [], outputs.astype("float32")), {
        "level_share": choice(share, f"variance of levels over that of shapes; {best}"),
        "penalty": choice(
            fit.penalty / x.shape[1], f"of squared weights, for each feature; {best}"
        ),
    }


def all_rows(part: Part, data: Data) -> Part:
    """The same validation rows, of all rows to be fitted to in the order of `data`."""
    is_validated = np.isin(data.rows, data.validated)
    rows = np.concatenate([data.rows[~is_validated], data.validated])
    order = np.argsort(rows)
    found: dict[str, Any] = {}
    for name in ("x", "y", "weights", "groups"):
        pair = [getattr(half, name) for half in part]
        found[name] = None if pair[0] is None else np.concatenate(pair)[order]
    return Part(Rows(**found), part.validation)


def as_sure_as_right(trained: Trained, y: np.ndarray) -> np.ndarray:
    """Corrects the sureness of a model for the validation rows, and its outputs.

    Args:
        trained: A linear model, which is changed.
        y: Codes of the classes of the validation rows.
    """
    scaling = TemperatureScaling()
    scaling.adapt(trained.outputs, y, prior_stddev=PRIOR_STDDEV)
    temperature = float(ops.convert_to_numpy(scaling.temperature))
    head = trained.model.layers[-1]
    head.set_weights([weights / temperature for weights in head.get_weights()])
    return trained.outputs / temperature


def _compile(model: Model, goal: Goal) -> None:
    one_hot = goal.task == "classification"
    loss, metrics = (of(model, one_hot=one_hot) for of in (loss_for, metrics_for))
    model.compile(AdamW(), loss=loss, metrics=metrics)


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
        rows = x[some] * scale, y[some], weights[some], groups, told[some]
        return ridge(*rows, penalties=_penalties(x.shape[1], told[some])).error

    return min(LEVEL_SHARES, key=error)


def _penalties(features: int, told: np.ndarray) -> np.ndarray:
    return features * (PENALTIES if told.any() else np.array([USUAL_PENALTY]))


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
