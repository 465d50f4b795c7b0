"""The linear model of the last steps, which a network of numbers corrects.

Where its share comes from is in docs/figures/sequences.md.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.linear_model import Ridge, RidgeCV

from keras_trainkit._types import Model
from keras_trainkit.data import folds
from keras_trainkit.estimators._outputs import predicted
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._training import Goal, Trained, compile_network
from keras_trainkit.models import ensemble

# For each training row; numbers and targets have unit variance.
PENALTIES = 10.0 ** np.arange(-6, 4)
MOST_NUMBERS = 10_000_000  # of all rows: seconds, and 80 MB
MOST = 0.99  # the model still holds the network, and shows its attention
DEVIATIONS = 3  # from what chance gives
FOLDS = 5  # of the groups, by which the penalty is chosen where there are groups
LEAST_ROWS = 11  # of which all would have to err less, in a sign test


def fitted_lines(
    build: Callable[[], Model], parts: Sequence[Part]
) -> tuple[list[Model], bool]:
    """A linear model for each part, fitted to its training rows.

    Args:
        build: A new `models.autoregression` with a target scaling.

    Returns:
        The models; and True unless the strongest penalty was best in all parts.
    """
    lines, tells_something = [], False
    for part in parts:
        line = build()
        past = keras.Model(line.input, line.get_layer("past").output)
        weights, is_strongest = _ridge(past, line, part.training)
        line.get_layer("members").set_weights(weights)
        tells_something |= not is_strongest
        lines.append(line)
    return lines, tells_something


def mean_of(lines: Sequence[Model], build: Callable[[], Model]) -> Model:
    """A new linear model, the mean of the others."""
    mean = build()
    kernels, biases = zip(
        *(line.get_layer("members").get_weights() for line in lines), strict=True
    )
    weights = [np.mean(kernels, axis=0), np.mean(biases, axis=0)]
    mean.get_layer("members").set_weights(weights)
    return mean


def nearer_to_lines(
    corrected: Trained,
    lines: Sequence[Model],
    line: Model,
    parts: Sequence[Part],
    goal: Goal,
    values: Mapping[str, Any],
    given: float | None,
) -> tuple[Trained, dict[str, Any]]:
    """The mean of the lines and of what networks made of them, and the lines' share.

    Args:
        corrected: Networks that correct `lines`, as `train` gave them.
        line: The mean of the lines.
        parts: Those that both were trained on.
        values: Numbers of the recipe.
        given: The share that the user wants, or None.
    """
    pairs = zip(lines, parts, strict=True)
    outputs = np.concatenate([predicted(one, p.validation.x) for one, p in pairs])
    share = choice(given, "given")
    if given is None:
        truth = np.concatenate([part.validation.y for part in parts])
        scaled = [_scaled(line, n) for n in (truth, corrected.outputs, outputs)]
        share = _share(scaled[0], scaled[1], scaled[2], _weights_of(parts))
    weight = share["value"]
    if weight == 0:
        return corrected, share
    mean = (1 - weight) * corrected.outputs + weight * outputs
    model = line
    if weight < 1:
        model = ensemble([corrected.model, line], weights=[1 - weight, weight])
    compile_network(model, values, parts[0].training, goal)
    return dataclasses.replace(corrected, model=model, outputs=mean), share


def lines_alone(
    lines: Sequence[Model],
    line: Model,
    parts: Sequence[Part],
    goal: Goal,
    values: Mapping[str, Any],
) -> Trained:
    """The mean of the lines, and their losses as the one epoch of each."""
    histories, outputs = [], []
    for one, part in zip(lines, parts, strict=True):
        found = [predicted(one, rows.x) for rows in part]
        losses = [_loss(one, *pair) for pair in zip(part, found, strict=True)]
        histories.append({"loss": losses[:1], "val_loss": losses[1:]})
        outputs.append(found[1])
    compile_network(line, values, parts[0].training, goal)
    return Trained(line, histories, np.concatenate(outputs))


def _loss(line: Model, rows: Rows, outputs: np.ndarray) -> float:
    off = _scaled(line, outputs) - _scaled(line, rows.y)
    return float(np.average(np.mean(off**2, axis=1), weights=rows.weights))


def _ridge(past: Model, linear: Model, rows: Rows) -> tuple[list[np.ndarray], bool]:
    """Kernel and bias, with the penalty that is best for rows that are left out.

    Rows are left out one by one, or with all those of their groups.

    Returns:
        Both, and True if it is the strongest of all penalties, or the kernel is 0.
    """
    some = _some(len(rows.y), past.output_shape[-1])
    weights, groups = (
        None if part is None else part[some] for part in (rows.weights, rows.groups)
    )
    numbers = predicted(past, rows.x[some]).astype("float64")
    targets = _scaled(linear, rows.y[some])
    if groups is None or len(np.unique(groups)) == 1:
        alphas = len(numbers) * PENALTIES
        ridge = RidgeCV(alphas).fit(numbers, targets, weights)
        is_strongest = ridge.alpha_ == alphas[-1]
    else:
        penalty = _penalty(numbers, targets, weights, groups)
        ridge = Ridge(len(numbers) * penalty).fit(numbers, targets, weights)
        is_strongest = penalty == PENALTIES[-1]
    outputs = rows.y.shape[1]
    kernel = np.reshape(ridge.coef_, (outputs, -1)).T
    bias = np.reshape(ridge.intercept_, (1, outputs))
    return [kernel[None], bias], is_strongest or not np.any(kernel)


def _penalty(
    numbers: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None,
    groups: np.ndarray,
) -> float:
    """The penalty with the least squared error on groups that are left out.

    The strongest of those that differ by rounding alone.
    """
    weights = np.ones(len(numbers)) if weights is None else weights.astype("float64")
    errors = np.zeros(len(PENALTIES))
    count = min(FOLDS, len(np.unique(groups)))
    for train, held_out in folds(len(numbers), count, groups=groups):
        shares = weights[train] / weights[train].sum()
        mean, target = shares @ numbers[train], shares @ targets[train]
        root = np.sqrt(weights[train])[:, None]
        centered = root * (numbers[train] - mean)
        values, vectors = np.linalg.eigh(centered.T @ centered)
        along = vectors.T @ (centered.T @ (root * (targets[train] - target)))
        seen = (numbers[held_out] - mean) @ vectors
        for number, penalty in enumerate(PENALTIES):
            shrunk = along / (values.clip(0) + len(train) * penalty)[:, None]
            off = seen @ shrunk + target - targets[held_out]
            errors[number] += weights[held_out] @ np.mean(off**2, axis=1)
    return float(PENALTIES[errors <= errors.min() * (1 + 1e-9)].max())


def _some(rows: int, numbers: int) -> slice | np.ndarray:
    """All rows, or as many as are fitted in seconds.

    They are drawn at random: every second row may be the same one of two sensors.
    """
    most = max(1, MOST_NUMBERS // numbers)
    if rows <= most:
        return slice(None)
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])


def _scaled(linear: Model, numbers: np.ndarray) -> np.ndarray:
    """Numbers in the units of the loss, float64."""
    scaling = linear.get_layer("outputs").target_scaling
    scaled = scaling(ops.convert_to_tensor(numbers.astype("float32")))
    return ops.convert_to_numpy(scaled).astype("float64")


def _weights_of(parts: Sequence[Part]) -> np.ndarray | None:
    found = [part.validation.weights for part in parts]
    weights = [one for one in found if one is not None]
    return np.concatenate(weights) if weights else None


def _share(
    truth: np.ndarray,
    network: np.ndarray,
    linear: np.ndarray,
    weights: np.ndarray | None,
) -> dict[str, Any]:
    """Half, unless the validation rows clearly want another share.

    Args:
        network: What the networks made of the lines.
    """
    weights = np.ones(len(truth)) if weights is None else weights / weights.mean()
    apart, rows = linear - network, weights[:, None]
    scale = np.sum(rows * apart**2)
    best = np.sum(rows * apart * (truth - network)) / scale if scale else 0.5
    best = round(float(np.clip(best, 0, MOST)), 2)

    def errors(share: float) -> np.ndarray:
        off = network + share * apart - truth
        return weights * np.mean(off**2, axis=1)

    if best == 0.5:
        return choice(0.5, "half, the best share for the validation rows too")
    half, whole = errors(0.5), errors(best)
    found = f"squared error of validation {np.mean(whole):.3g} with {best:.2f}"
    if _is_less(whole, half):
        return choice(best, f"{found}, clearly less than {np.mean(half):.3g} with half")
    return choice(0.5, f"{found}, not clearly less than {np.mean(half):.3g} with half")


def _is_less(errors: np.ndarray, others: np.ndarray) -> bool:
    """True if errors of the same rows are so much less seldom by chance.

    By their mean (as in a paired t-test), or in so many of the rows (a sign test): a
    few rows may have most of the error. Windows that overlap err alike, so that chance
    does both more often than is said.
    """
    gain = (others - errors)[errors != others]
    rows, less = len(gain), int(np.sum(gain > 0))
    if rows < LEAST_ROWS:
        return False
    spread = DEVIATIONS * math.sqrt(rows)
    return bool(np.sum(gain) > spread * np.std(gain) or 2 * less - rows - 1 > spread)
