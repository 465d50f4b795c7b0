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
from sklearn.linear_model import RidgeCV

from keras_trainkit._types import Model
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._training import (
    Goal,
    Trained,
    compile_network,
    predicted,
)
from keras_trainkit.models import ensemble

# For each training row; numbers and targets have unit variance.
PENALTIES = 10.0 ** np.arange(-6, 4)
MOST_NUMBERS = 10_000_000  # of all rows: seconds, and 80 MB
MOST = 0.99  # the model still holds the network, and shows its attention
DEVIATIONS = 3  # from what chance gives
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


def _ridge(past: Model, linear: Model, rows: Rows) -> tuple[list[np.ndarray], bool]:
    """Kernel and bias, with the penalty that is best for rows left out one by one.

    Returns:
        Both, and True if it is the strongest of all penalties, or the kernel is 0.
    """
    some = _some(len(rows.y), past.output_shape[-1])
    weights = None if rows.weights is None else rows.weights[some]
    numbers = predicted(past, rows.x[some]).astype("float64")
    alphas = len(numbers) * PENALTIES
    ridge = RidgeCV(alphas).fit(numbers, _scaled(linear, rows.y[some]), weights)
    outputs = rows.y.shape[1]
    kernel = np.reshape(ridge.coef_, (outputs, -1)).T
    bias = np.reshape(ridge.intercept_, (1, outputs))
    says_nothing = ridge.alpha_ == alphas[-1] or not np.any(kernel)
    return [kernel[None], bias], says_nothing


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
