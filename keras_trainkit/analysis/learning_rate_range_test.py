import itertools
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_count, check_number, check_seed
from keras_trainkit.analysis._restoration import random_numbers_kept, restored
from keras_trainkit.analysis._suggestions import num_early, smooth, suggest
from keras_trainkit.analysis._sweep import endless_batches, sweep
from keras_trainkit.analysis.learning_rate_range import LearningRateRange

_RECOMMENDED = "minimum"


def learning_rate_range_test(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    class_weight: dict | None = None,
    batch_size: int = 32,
    min_learning_rate: float = 1e-7,
    max_learning_rate: float = 10.0,
    num_steps: int = 100,
    smoothing: float = 0.9,
    divergence_factor: float = 4.0,
    seed: int | None = 0,
) -> LearningRateRange:
    """Trains a few steps at rising learning rates, then undoes them.

    The rate rises by the same factor with each batch. Where the loss begins to fall,
    training has begun; where it explodes, the rate is too high.

    | suggestion | rate                                                           |
    | ---------- | -------------------------------------------------------------- |
    | `steepest` | where the smoothed loss falls fastest over log(rate)           |
    | `valley`   | in the middle of the longest run of ever lower smoothed losses |
    | `minimum`  | a tenth of the rate at the lowest smoothed loss                |

    `suggestion` is `minimum`, meant as the highest rate of a one-cycle run. Measured on
    four small problems (digits with AdamW and with SGD, breast cancer, California
    housing), four range tests each, against a grid of one-cycle runs with 2 or 3 seeds
    (losses between its rates interpolated): the validation loss was 5 % above the best
    of the grid on average and 14 % at worst; with `steepest` 9 % and 33 %; `valley` was
    far too low for such short runs (2.5 times the loss). All three are None when the
    curve shows no fall that stands out of its noise, as with a trained model.

    Afterwards everything is as before, bit for bit, however the test ended: weights,
    batch-norm statistics, optimizer variables, the learning rate or its schedule, the
    train function, metrics, and the random numbers of Keras, NumPy, Python and torch.
    What was not built, metrics too, is built first and stays so, with the weights `fit`
    would have begun with. (Having less to build, the first `fit` on JAX and torch
    shuffles in another order.) A dataset that shuffles itself has moved on.

    Args:
        model: Compiled model, new or trained, with any optimizer and learning rate.
            With `gradient_accumulation_steps` a step is still one batch.
        x: Arrays, tables or SciPy's sparse rows (or a list or dict of them), drawn in
            random order, or a collection of batches that can be gone through again:
            `tf.data.Dataset`, `keras.utils.PyDataset`, torch `DataLoader`. It is gone
            through as often as `num_steps` needs. A custom `train_step` is handed
            what `fit` would hand it.
        y: Targets of arrays in `x`.
        sample_weight: Weights of the rows of arrays in `x`.
        class_weight: Dict from class to weight, as in `fit`.
        batch_size: Int >= 1. Rows of a batch drawn from arrays; use that of the run,
            since the best rate depends on it.
        min_learning_rate: Float > 0. Rate of the first step.
        max_learning_rate: Float > `min_learning_rate`. Rate of the last step.
        num_steps: Int >= 20. The first tenth is left out of the suggestions.
        smoothing: Float in [0, 1). A loss weighs `smoothing^distance` in the smoothed
            loss of a step that many steps before or after.
        divergence_factor: Float > 1. The test stops when the exponentially weighted
            average of the losses exceeds this times its lowest value and all that the
            first tenth of the steps has shown.
        seed: Int >= 0, for the order in which arrays are drawn; None for another order
            each time.

    Returns:
        `LearningRateRange`, with `suggestion`, `suggestions`, `reason` and the curve.

    Raises:
        ValueError: For a model that is not compiled, and data that yield no batch or
            cannot be gone through again.

    Example:

    >>> found = learning_rate_range_test(model, x, y, batch_size=64)
    >>> found.plot("rates.png")
    >>> schedule = keras_trainkit.callbacks.OneCycle(found.suggestion)

    Source: Smith, 2017, arXiv:1506.01186 (the test), and 2018, arXiv:1803.09820; the
    three rules are those of fastai's `lr_find` (steep, valley, minimum). There the rate
    rises in the same way, but the smoothed loss averages the past alone, with 0.98,
    and so lags: on small networks its steepest point came 3 to 16 times too late.
    """
    check_count("batch_size", batch_size, "is the number of rows in a batch")
    _check_curve(min_learning_rate, max_learning_rate, num_steps, smoothing)
    check_number(
        "divergence_factor",
        divergence_factor,
        "is how far above its best the loss may rise",
        above=1,
    )
    check_seed("seed", seed)
    if class_weight is not None and sample_weight is not None:
        raise ValueError(
            "`class_weight` makes weights of the rows from their classes and must be "
            "None where `sample_weight` gives them. Received: both."
        )
    if not model.compiled:
        raise ValueError(
            "`model` is what to train and must be compiled, so that it has a loss and "
            f"an optimizer. Received: model={model.name!r}, not compiled."
        )
    batches = endless_batches(x, y, sample_weight, batch_size=batch_size, seed=seed)
    with random_numbers_kept():
        first = next(batches)
    _build(model, first[0])
    rates = np.geomspace(min_learning_rate, max_learning_rate, num_steps).tolist()
    with restored(model):
        used, losses, diverged_at = sweep(
            model,
            itertools.chain([first], batches),
            rates,
            class_weight=class_weight,
            smoothing=smoothing,
            divergence_factor=divergence_factor,
        )
    return _report(used, losses, diverged_at, smoothing, num_early(num_steps))


def _check_curve(low: Any, high: Any, num_steps: Any, smoothing: Any) -> None:
    check_number("min_learning_rate", low, "is the rate of the first step", above=0)
    check_number("max_learning_rate", high, "is the rate of the last step", above=low)
    check_count(
        "num_steps",
        num_steps,
        "is the number of batches, each at a higher rate,",
        at_least=20,
    )
    check_number(
        "smoothing",
        smoothing,
        "is the weight of a neighbour in the smoothed loss",
        at_least=0,
        below=1,
    )


def _build(model: keras.Model, x: Any) -> None:
    if not model.built:
        model(x)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _report(
    rates: list[float],
    losses: list[float],
    diverged_at: float | None,
    smoothing: float,
    early: int,
) -> LearningRateRange:
    smoothed = smooth(losses, smoothing, early)
    suggestions = suggest(rates, losses, smoothed, beta=smoothing, early=early)
    suggestion = suggestions[_RECOMMENDED]
    return LearningRateRange(
        learning_rates=np.array(rates),
        losses=np.array(losses),
        smoothed_losses=smoothed,
        suggestions=suggestions,
        suggestion=suggestion,
        reason=_reason(rates, early, suggestion, diverged_at),
        diverged_at=diverged_at,
    )


def _reason(
    rates: list[float],
    early: int,
    suggestion: float | None,
    diverged_at: float | None,
) -> str:
    end = "has not diverged yet at the highest rate"
    if diverged_at is not None:
        end = f"diverges at {diverged_at:.2g}"
    if suggestion is not None:
        lowest = 10 * suggestion
        return (
            f"The loss is lowest at {lowest:.2g} and {end}; a tenth of the former "
            f"keeps clear of the latter."
        )
    if len(rates) < early + 3:
        return (
            f"The loss {end}, after {len(rates)} steps and before any rate could be "
            f"judged: look at the data, or begin with a lower min_learning_rate."
        )
    return (
        f"The loss falls nowhere by more than its noise and {end}: the model may be "
        f"trained already, or needs larger batches or more steps to show a fall."
    )
