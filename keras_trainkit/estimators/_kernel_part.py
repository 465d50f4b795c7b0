"""The kernel machines beside the networks of a table of few rows.

Where its numbers come from is in docs/figures/tables.md.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._types import Model
from keras_trainkit.estimators._kernel_ridge import (
    MOST_CENTERS,
    KernelRidge,
    kernel_ridge,
)
from keras_trainkit.estimators._outputs import predicted
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._scoring import predictions_of
from keras_trainkit.estimators._time_limit import now
from keras_trainkit.estimators._training import Goal, Trained, compile_network, targets
from keras_trainkit.layers import MemberMean, TemperatureScaling
from keras_trainkit.models import ensemble

MOST_ROWS = 20_000  # that are fitted to
SHARES = np.arange(0, 1, 0.05).round(2)  # of the kernel machine, which are compared
SHARPNESS = 5.0  # of logits, before it is chosen
PRIOR_STDDEV = 1.0  # of the logarithm of that
LEAST_PROBABILITY = 1e-6
ROUNDING = 1e-6  # of a loss
KINDS = {"classification": "logits", "binary": "binary_logits"}  # else "values"


@dataclasses.dataclass(frozen=True)
class KernelMachines:
    """Kernel machines, one for each part.

    Args:
        models: Each fitted to the training rows of its part; not compiled.
        outputs: `(validation rows, outputs)`. What each tells of its validation rows,
            in the order of the parts.
        seconds: Those of the fit, and of these outputs.
    """

    models: Sequence[Model]
    outputs: np.ndarray
    seconds: tuple[float, float] = (0.0, 0.0)


def fitted_machines(
    build: Callable[[int], Model], parts: Sequence[Part], goal: Goal, seed: int
) -> KernelMachines:
    """Fits a kernel machine to the training rows of each part.

    Args:
        build: Function of a number of centers: a new `models.kernel_machine`, whose
            target scaling is adapted.
        parts: As in `train`.
        seed: Int >= 0. Draws the centers, and rows where there are too many.
    """
    began, models, found = now(), [], []
    seconds = 0.0
    for part in parts:
        rows = _some(part.training, seed)
        model = build(min(len(rows.y), MOST_CENTERS))
        x = _predicted_by("columns", model, rows)
        y = _of_unit_size(rows.y, goal, model)
        features = _additive_features(model, rows)
        fit = kernel_ridge(x, y, rows.weights, rows.groups, seed, features)
        _assign(model, fit)
        models.append(model)
        predicting = now()
        found.append(predicted(model, part.validation.x))
        seconds += now() - predicting
    outputs = np.concatenate(found)
    if goal.task != "regression":
        factor = _sharpness(outputs, parts)
        outputs *= factor
        for model in models:
            head = model.layers[-1]
            head.set_weights([factor * weights for weights in head.get_weights()])
    return KernelMachines(models, outputs, (now() - began - seconds, seconds))


def chosen_share(
    trained: Trained, machines: KernelMachines, parts: Sequence[Part], goal: Goal
) -> dict[str, Any]:
    """The machines' least share with which the mean is as good as with any other.

    As good is a loss of the validation rows that is above the least one by no more
    than its standard error.

    Args:
        trained: Networks that were trained on these parts.

    Source: the rule of one standard error, Breiman, Friedman, Olshen and Stone, 1984,
    "Classification and Regression Trees", section 3.4.
    """
    truth = np.concatenate([part.validation.y for part in parts])
    found = [part.validation.weights for part in parts]
    given = [each for each in found if each is not None]
    weights = np.concatenate(given) if given else np.ones(len(truth))
    losses = [
        _losses(mean_outputs(trained, machines, share), truth, machines, goal)
        for share in SHARES
    ]
    means = [float(np.average(each, weights=weights)) for each in losses]
    best = int(np.argmin(means))
    for number in range(best + 1):
        gain = means[number] - means[best]
        off = weights * (losses[number] - losses[best] - gain)
        error = np.sqrt(np.sum(off**2)) / weights.sum()
        if gain <= error + ROUNDING * means[best]:
            break
    why = (
        f"loss of the validation rows {means[number]:.3g}, {means[0]:.3g} without it, "
        f"and {means[best]:.3g} with the best share, {SHARES[best]:.2f}"
    )
    return choice(float(SHARES[number]), why)


def with_machines(
    trained: Trained,
    machines: KernelMachines | None,
    share: dict[str, Any],
    parts: Sequence[Part],
    goal: Goal,
    values: Mapping[str, Any],
) -> tuple[Trained, dict[str, Any]]:
    """The mean of networks and machines as one model, and the machines' share.

    Args:
        trained: Networks that were trained on these parts.
        machines: None where their share is 0.
        share: The machines', as a `choice`; of None it is chosen here.
        values: Numbers of the recipe.
    """
    if machines is None:
        return trained, share
    if share["value"] is None:
        share = chosen_share(trained, machines, parts, goal)
    weight = share["value"]
    if goal.verbose:
        print(f"Kernel machines: {weight:.2f} of the mean with the networks")
    if weight == 0:
        return trained, share
    count, alike = len(machines.models), [1 / len(trained.networks)]
    shares = trained.shares or alike * len(trained.networks)
    weights = [(1 - weight) * each for each in shares] + [weight / count] * count
    model = ensemble([*trained.networks, *machines.models], weights=weights)
    compile_network(model, values, parts[0].training, goal)
    outputs = mean_outputs(trained, machines, weight)
    return dataclasses.replace(trained, model=model, outputs=outputs), share


def mean_outputs(
    trained: Trained, machines: KernelMachines, share: float
) -> np.ndarray:
    """Outputs of the mean for the validation rows."""
    if share == 0:
        return trained.outputs
    kind = KINDS.get(machines.models[0].task, "values")
    mean = MemberMean(kind, shares=[1 - share, float(share)], dtype="float32")
    both = np.stack([trained.outputs, machines.outputs], axis=1)
    return ops.convert_to_numpy(mean(both))


def _some(rows: Rows, seed: int) -> Rows:
    """All rows, or as many as are fitted to in seconds, drawn at random."""
    if len(rows.y) <= MOST_ROWS:
        return rows
    order = np.random.default_rng(seed).permutation(len(rows.y))
    kept = np.sort(order[:MOST_ROWS])
    found = keras.tree.map_structure(
        lambda array: None if array is None else array[kept],
        {"x": rows.x, "y": rows.y, "weights": rows.weights, "groups": rows.groups},
    )
    return Rows(**found)


def _of_unit_size(y: np.ndarray, goal: Goal, model: Model) -> np.ndarray:
    """`(rows, outputs)`: -1 and 1 for classes, or scaled numbers."""
    numbers = targets(y, goal)
    if goal.task != "regression":
        return 2 * numbers.astype("float64") - 1
    scaled = _scaling_of(model)(ops.convert_to_tensor(numbers))
    return ops.convert_to_numpy(scaled).astype("float64")


def _predicted_by(name: str, model: Model, rows: Rows) -> np.ndarray:
    """Outputs of a layer of the model for the rows, float64."""
    until = keras.Model(model.input, model.get_layer(name).output)
    return predicted(until, rows.x).astype("float64")


def _additive_features(model: Model, rows: Rows) -> np.ndarray | None:
    """Features of the rows whose linear function is the additive part, if any.

    They are the shares of the bins of all numbers, which are learned here from the
    rows, and the one-hot categories.
    """
    names = {layer.name for layer in model.layers}
    if "beside" not in names:
        return None
    found = [np.zeros((len(rows.y), 0))]
    if "additive" in names:
        layer, numbers = model.get_layer("additive"), rows.x["numeric"]
        layer.adapt(numbers)
        shares = ops.convert_to_numpy(layer.shares(numbers))
        found.append(shares.reshape(len(numbers), -1).astype("float64"))
    if "categories" in names:
        found.append(_predicted_by("categories", model, rows))
    return np.concatenate(found, axis=1)


def _assign(model: Model, fit: KernelRidge) -> None:
    model.get_layer("basis").set_weights([fit.centers, fit.scales])
    kernel = np.concatenate([fit.kernel, _assign_additive(model, fit.beside)])
    has_members = hasattr(model.layers[-1], "target_scaling")
    head = model.get_layer("members") if has_members else model.layers[-1]
    pairs = zip((kernel, fit.bias), head.weights, strict=True)
    head.set_weights([values.reshape(place.shape) for values, place in pairs])


def _assign_additive(model: Model, kernel: np.ndarray) -> np.ndarray:
    """Gives the functions of numbers their weights; what is left is for the head.

    It adds up, for each output, the functions of all numbers.
    """
    if "additive" not in {layer.name for layer in model.layers}:
        return kernel
    layer = model.get_layer("additive")
    features, bins, outputs = layer.kernel.shape
    layer.kernel.assign(kernel[: features * bins].reshape(layer.kernel.shape))
    for straight in (layer.slope, layer.bias):
        straight.assign(np.zeros(straight.shape))
    sums = np.tile(np.eye(outputs), (features, 1))
    return np.concatenate([sums, kernel[features * bins :]])


def _scaling_of(model: Model) -> Any:
    return model.layers[-1].target_scaling


def _sharpness(outputs: np.ndarray, parts: Sequence[Part]) -> float:
    """Factor that makes logits of outputs from -1 to 1, as sure as they are right."""
    sharpness = SHARPNESS * (2 if outputs.shape[1] == 1 else 1)
    y = np.concatenate([part.validation.y for part in parts])
    scaling = TemperatureScaling()
    scaling.adapt(sharpness * outputs, y, prior_stddev=PRIOR_STDDEV)
    return sharpness / float(ops.convert_to_numpy(scaling.temperature))


def _losses(
    outputs: np.ndarray, truth: np.ndarray, machines: KernelMachines, goal: Goal
) -> np.ndarray:
    """Of each row: log loss, or squared error in units of the targets' variance."""
    if goal.task == "regression":
        model = machines.models[0]
        off = [_of_unit_size(numbers, goal, model) for numbers in (outputs, truth)]
        return np.mean((off[0] - off[1]) ** 2, axis=1)
    of_truth = predictions_of(outputs, goal.task)[np.arange(len(truth)), truth]
    return -np.log(np.maximum(of_truth, LEAST_PROBABILITY))
