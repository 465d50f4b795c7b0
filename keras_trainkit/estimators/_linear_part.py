"""The linear model of the last steps, with which a network of numbers is averaged.

Where its share comes from is in docs/figures/sequences.md.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.linear_model import RidgeCV

from keras_trainkit._types import Model
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._training import (
    PREDICTED_AT_ONCE,
    Goal,
    Trained,
    compile_network,
)
from keras_trainkit.models import ensemble

# For each training row; numbers and targets have unit variance.
PENALTIES = 10.0 ** np.arange(-6, 4)
MOST_NUMBERS = 10_000_000  # of all rows: seconds, and 80 MB
MOST = 0.99  # so that the model still holds the network, and shows its attention
DEVIATIONS = 3  # of the number of rows that err less, where that is chance


def with_linear(
    network: Trained,
    linear: Model,
    parts: Sequence[Part],
    goal: Goal,
    values: Mapping[str, Any],
    given: float | None,
) -> tuple[Trained, dict[str, Any]]:
    """The mean of the trained network and the linear model, and the share of that.

    Args:
        network: As `train` gave it.
        linear: A new `models.autoregression` with a target scaling, not fitted.
        parts: Those that the network was trained on.
        values: Numbers of the recipe.
        given: The share that the user wants, or None.
    """
    outputs, says_something = _fit(linear, parts)
    if given is not None:
        share = choice(given, "given")
    elif not says_something:
        share = choice(0.0, "of rows left out no linear function tells anything")
    else:
        truth = np.concatenate([part.validation.y for part in parts])
        truth, ours, line = (
            _scaled(linear, numbers) for numbers in (truth, network.outputs, outputs)
        )
        share = _share(truth, ours, line, _weights_of(parts))
    weight = share["value"]
    mean = (1 - weight) * network.outputs + weight * outputs
    if weight == 0:
        return network, share
    model = linear
    if weight < 1:
        model = ensemble([network.model, linear], weights=[1 - weight, weight])
    compile_network(model, values, parts[0].training, goal)
    return dataclasses.replace(network, model=model, outputs=mean), share


def _fit(linear: Model, parts: Sequence[Part]) -> tuple[np.ndarray, bool]:
    """Fits the linear model to each part and takes the mean of the fits.

    Returns:
        `(validation rows, outputs)`, in the order of the parts, by the fit to the part;
        and True unless the strongest penalty was best, or the kernel 0, in all parts.
    """
    past = keras.Model(linear.input, linear.get_layer("past").output)
    head, fits, outputs = linear.get_layer("members"), [], []
    says_something = False
    for part in parts:
        weights, says_nothing = _ridge(past, linear, part.training)
        says_something |= not says_nothing
        fits.append(weights)
        head.set_weights(fits[-1])
        outputs.append(_predicted(linear, part.validation.x))
    head.set_weights([np.mean(weights, axis=0) for weights in zip(*fits, strict=True)])
    return np.concatenate(outputs), says_something


def _ridge(past: Model, linear: Model, rows: Rows) -> tuple[list[np.ndarray], bool]:
    """Kernel and bias, with the penalty that is best for rows left out one by one.

    Returns:
        Both, and True if it is the strongest of all penalties, or the kernel is 0.
    """
    some = _some(len(rows.y), past.output_shape[-1])
    weights = None if rows.weights is None else rows.weights[some]
    numbers = _predicted(past, rows.x[some]).astype("float64")
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


def _predicted(model: Model, x: np.ndarray) -> np.ndarray:
    return model.predict(x, batch_size=PREDICTED_AT_ONCE, verbose=0)


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
    """Half, unless the validation rows clearly want another share."""
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
    """True if errors of the same rows are so seldom less by chance (a sign test).

    Windows that overlap err alike, so that chance does it more often than is said.
    """
    count, less = np.sum(errors != others), np.sum(errors < others)
    return bool(2 * less - count - 1 > DEVIATIONS * math.sqrt(count))
