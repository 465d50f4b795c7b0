from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_count, check_flag, check_number, check_seed
from keras_trainkit.analysis._loss_and_gradient import LossAndGradient
from keras_trainkit.analysis._restoration import restored
from keras_trainkit.analysis._sweep import batches_in_order
from keras_trainkit.analysis.loss_rise import LossRise

_RADII = (0.01, 0.02, 0.05, 0.1, 0.2)
_Direction = list[np.ndarray]


def sharpness(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    batch_size: int = 256,
    radii: Sequence[float] = _RADII,
    directions: int = 5,
    ascent_steps: int = 5,
    adaptive: bool = True,
    seed: int = 0,
) -> LossRise:
    """Measures how far the loss rises when the weights are changed a little.

    Two networks of equal loss may lie in a flat and in a narrow valley. Radii are
    relative, so that weights which the layer behind makes up for are no smaller step:
    a radius of 0.05 changes each filter (the weights that lead into one unit) by 5 %
    of its norm.

    | direction | change of a filter with the weights `w`                          |
    | --------- | ---------------------------------------------------------------- |
    | random    | `radius * norm(w)` along normal random numbers                   |
    | worst     | up the gradient; the root mean square of all filters' changes,   |
    |           | each relative to `norm(w)`, is `radius`                          |

    Kernels and all other trainable weights with two axes or more are changed, biases
    and the scales of normalization are not. The loss is that of `evaluate`, with its
    penalties; of members that of their mean prediction. The model is left as it was,
    bit for bit: weights, optimizer, batch-norm statistics, metrics, and the random
    numbers of Keras, NumPy, Python and torch.

    Args:
        model: Compiled and built model.
        x: Arrays, or a dict or list of them, or a collection of batches that can be
            gone through again, as in `evaluate`. Rows of the training part show the
            valley that training has found.
        y: Targets of arrays in `x`.
        sample_weight: Weights of the rows of arrays in `x`.
        batch_size: Int >= 1. Rows that are worked on at once; for arrays.
        radii: Floats above 0, rising.
        directions: Int >= 1. Random directions, each tried at all radii.
        ascent_steps: Int >= 1. Gradients used to find the worst direction at a radius.
            1 is the step of SAM; where the gradient is near 0, as at the end of
            training, it points nowhere in particular and more steps are needed.
        adaptive: False: the worst direction is that of SAM without its adaptive
            variant; the norm of all changes together is `radius` times that of all
            the weights that are changed.
        seed: Int >= 0. Of the random directions.

    Returns:
        `LossRise`: losses, rises, a verdict and a picture.

    Raises:
        ValueError: An argument is out of range, the model is not compiled, not built or
            has no weights to change.

    Example:

    ```python
    found = analysis.sharpness(model, x, y, radii=(0.02, 0.1), directions=3)
    print(found.verdict)
    found.plot("sharpness.png")
    ```

    Source: random directions: Li et al., 2018, arXiv:1712.09913; worst: Foret et al.,
    2021, arXiv:2010.01412; adaptive: Kwon et al., 2021, arXiv:2102.11600. There SAM
    takes one gradient; here the next is taken where the last has led, and the highest
    loss counts. The adaptive variant has filters in all layers, there in convolutions.
    """
    _check(radii, directions, ascent_steps, adaptive, batch_size, seed)
    variables = _changed(model)
    batches = batches_in_order(x, y, sample_weight, batch_size=batch_size)
    rng = np.random.default_rng(seed)
    with restored(model):
        weights = [np.array(ops.convert_to_numpy(v), "float64") for v in variables]
        norms = [_filter_norms(weight) for weight in weights]
        scales = norms if adaptive else [np.ones_like(norm) for norm in norms]
        size = _rooted_count(norms) if adaptive else _norm(weights)
        passes = LossAndGradient(model, variables, batches, batch_size)

        def loss(change: _Direction) -> float:
            return passes.loss(_sum(weights, change))

        def gradient(change: _Direction) -> _Direction:
            return passes.gradient(_sum(weights, change))

        unchanged = [np.zeros_like(weight) for weight in weights]
        found = loss(unchanged)
        drawn = [_random(norms, weights, rng) for _ in range(directions)]
        random_losses = [[loss(_scaled(d, r)) for r in radii] for d in drawn]
        first = _ascent(gradient(unchanged), scales)
        # At a point without a gradient, the ascent begins from a random direction.
        first = first or _ascent(gradient(_scaled(drawn[0], radii[0])), scales)
        first = first or _scaled(drawn[0], 1 / _rooted_count(norms))
        worst = [
            max(map(loss, _climb(first, gradient, scales, radius * size, ascent_steps)))
            for radius in radii
        ]
    return LossRise(
        float(found), np.array(radii, float), np.array(random_losses), np.array(worst)
    )


def _check(
    radii: Any,
    directions: Any,
    ascent_steps: Any,
    adaptive: Any,
    batch_size: Any,
    seed: Any,
) -> None:
    check_count("directions", directions, "is the number of random directions")
    check_count("ascent_steps", ascent_steps, "is the number of gradients at a radius")
    check_count("batch_size", batch_size, "is the number of rows worked on at once")
    check_flag("adaptive", adaptive, "measures a change relative to its filter")
    check_seed("seed", seed)
    least = 0.0
    if not isinstance(radii, list | tuple | np.ndarray) or not len(radii):
        raise ValueError(
            "`radii` are relative sizes of a change of the weights and must be a tuple "
            f"or list of numbers above 0, rising. Received: radii={radii!r}."
        )
    for number, radius in enumerate(radii):
        purpose = "is a relative size of a change of the weights, more than the last,"
        check_number(f"radii[{number}]", radius, purpose, above=least)
        least = radius


def _changed(model: keras.Model) -> list[keras.Variable]:
    if not model.compiled or not model.built:
        raise ValueError(
            "`model` is what to look at and must be built and compiled, so that it has "
            f"weights and a loss. Received: model={model.name!r}, "
            f"{'not built' if model.compiled else 'not compiled'}."
        )
    variables = [v for v in model.trainable_variables if len(v.shape) > 1]
    if not variables:
        raise ValueError(
            "`model` is what to look at and must have trainable weights with two axes "
            f"or more, such as kernels. Received: model={model.name!r}, with none."
        )
    return variables


def _filter_norms(weight: np.ndarray) -> np.ndarray:
    """Norm of the weights that lead into each unit, which the last axis counts."""
    axes = tuple(range(weight.ndim - 1))
    return np.sqrt((weight**2).sum(axis=axes, keepdims=True))


def _rooted_count(norms: list[np.ndarray]) -> float:
    """The size of all filters' changes together, each by its own norm."""
    return float(np.sqrt(sum(np.count_nonzero(norm) for norm in norms)))


def _random(
    norms: list[np.ndarray], weights: list[np.ndarray], rng: np.random.Generator
) -> _Direction:
    drawn = [rng.normal(size=weight.shape) for weight in weights]
    return [d / _filter_norms(d) * n for d, n in zip(drawn, norms, strict=True)]


def _ascent(gradient: _Direction, scales: list[np.ndarray]) -> _Direction | None:
    """The change of size 1 along which the loss rises fastest; None without a slope.

    Sizes are those of the changes divided by `scales`.
    """
    slopes = [g * scale for g, scale in zip(gradient, scales, strict=True)]
    length = _norm(slopes)
    if not length or not np.isfinite(length):
        return None
    return [s * scale / length for s, scale in zip(slopes, scales, strict=True)]


def _climb(
    first: _Direction,
    gradient: Callable[[_Direction], _Direction],
    scales: list[np.ndarray],
    size: float,
    steps: int,
) -> Iterator[_Direction]:
    """Changes of this size, each along the gradient at the one before."""
    change = _scaled(first, size)
    yield change
    for _ in range(steps - 1):
        step = _ascent(gradient(change), scales)
        if step is None:
            return
        change = _scaled(step, size)
        yield change


def _norm(parts: list[np.ndarray]) -> float:
    return float(np.sqrt(sum((part**2).sum() for part in parts)))


def _scaled(parts: _Direction, factor: float) -> _Direction:
    return [part * factor for part in parts]


def _sum(weights: list[np.ndarray], change: _Direction) -> list[np.ndarray]:
    return [weight + part for weight, part in zip(weights, change, strict=True)]
