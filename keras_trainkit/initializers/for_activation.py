"""The initializer that fits an activation, found by evaluating the activation."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._checks import check_choice, check_seed

_DISTRIBUTION = {"normal": "truncated_normal", "uniform": "uniform"}
_SMALLEST_GAIN, _LARGEST_GAIN = 1e-3, 1e3


def for_activation(
    activation: str | Callable | None,
    distribution: str = "normal",
    seed: int | keras.random.SeedGenerator | None = None,
) -> keras.initializers.Initializer:
    """Returns the kernel initializer that keeps signals alive through an activation.

    | activation                                 | initializer       | variance        |
    | ------------------------------------------ | ----------------- | --------------- |
    | linear or None, tanh, sigmoid, softsign,   | Glorot            | 2 / (fan_in +   |
    | softmax: whatever stays within -1 and 1    |                   | fan_out)        |
    | relu, relu6                                | He                | 2 / fan_in      |
    | leaky_relu, slope a                        | He with its slope | 2 / (1 + a^2)   |
    |                                            |                   | / fan_in        |
    | selu                                       | LeCun             | 1 / fan_in      |
    | gelu, silu (swish), mish, elu, softplus,   | He variant        | gain / fan_in   |
    | and whatever else has no bound             |                   |                 |

    The gain is computed, by quadrature over a normal variable z, from the activation
    itself: the g at which E[f(sqrt(g) z)^2] = 1, so that inputs with a second moment of
    1 (standardized features) leave every layer with a second moment of 1. The slope of
    leaky_relu and the gains of He and LeCun come out of the same equation. To six
    digits: gelu 2.15506, silu 2.42973, mish 2.10683, elu 1.63318.

    What this can and cannot hold over 20 layers of 256 units, from standardized
    inputs, as the second moment of the activations, mean over draws:

    - relu, leaky_relu, selu, elu, gelu, mish stay within a factor 2 of layer 1. A
      single draw need not, for 256 units are no expectation: its last layer is off by
      a factor of 1.7 for relu (one standard deviation), 2.2 for mish, 5 for gelu.
    - silu stays within a factor 2 for 12 layers, and at 20 has left it (4.3). gelu,
      silu and mish balance on a point that repels, a deviation grows by 8, 15 and 5
      percent per layer, and no gain changes that. Where a net is that deep, use a
      normalization layer or `initializers.lsuv`.
    - tanh: the second moment of the pre-activations falls as 1 / (1 + 2 L), to a
      fortieth after 20 layers: slow, and nothing dies. It stays within a factor 2
      where Glorot's assumption of a linear regime holds (inputs of standard deviation
      0.1). A gain of 5/3 (`VarianceScaling(25 / 9, "fan_avg")`) holds it at any input.
    - sigmoid: the activations stay within 10 percent, at 0.27, but nearly all of that
      is their mean: what tells two samples apart shrinks by 16 in variance per layer,
      and no gain near 1 can change that.

    Args:
        activation: Name of a Keras activation, a Keras activation function, a layer
            such as `keras.layers.LeakyReLU(0.1)` (evaluated with the weights it starts
            with; note that its slope defaults to 0.3, that of the function to 0.2),
            any elementwise function of a tensor, or None for linear.
        distribution: "normal" or "uniform". "normal" is Keras' normal: truncated at two
            standard deviations and widened so that its variance is the one above.
        seed: Int, `keras.random.SeedGenerator`, or None for a random one. Keras draws
            the same values whenever one initializer with an int or no seed is called
            again with the same shape: take a new one for each layer.

    Returns:
        A plain Keras initializer (`GlorotNormal`, `HeNormal`, `LecunNormal`, their
        uniform siblings, or `VarianceScaling`), so a saved model needs nothing of ours.

    Raises:
        ValueError: if the activation is unknown, is not elementwise, returns NaN, or
            if no gain between 0.001 and 1000 keeps the second moment.

    Example:

    ```python
    keras.layers.Dense(
        64, activation="gelu", kernel_initializer=for_activation("gelu")
    )
    ```

    Source: Glorot and Bengio, 2010; He et al., 2015, arXiv:1502.01852, whose first
    layer, too, takes the gain of the others; Klambauer et al., 2017, arXiv:1706.02515
    for selu. The sources give the gains of relu, leaky_relu and selu; the equation
    above extends them to the rest.
    """
    check_choice(
        "distribution",
        distribution,
        "is the shape of the random numbers",
        tuple(_DISTRIBUTION),
    )
    if not isinstance(seed, keras.random.SeedGenerator):
        seed = check_seed("seed", seed)
    normal = distribution == "normal"
    initializers = keras.initializers
    gain = _gain(_elementwise(activation), activation)
    if gain is None:
        glorot = initializers.GlorotNormal if normal else initializers.GlorotUniform
        return glorot(seed=seed)
    if abs(gain - 2.0) < 1e-4:
        return (initializers.HeNormal if normal else initializers.HeUniform)(seed=seed)
    if abs(gain - 1.0) < 1e-4:
        lecun = initializers.LecunNormal if normal else initializers.LecunUniform
        return lecun(seed=seed)
    return initializers.VarianceScaling(
        gain, "fan_in", _DISTRIBUTION[distribution], seed=seed
    )


def _elementwise(activation: Any) -> Callable[[np.ndarray], np.ndarray]:
    """`activation` as a function of a NumPy vector; a layer is copied first.

    The activation gets two equal columns: with one, softmax would be constant, and
    Keras would warn.
    """
    if isinstance(activation, keras.layers.Layer):
        function = type(activation).from_config(
            {**activation.get_config(), "dtype": "float32"}
        )
    else:
        try:
            function = keras.activations.get(activation)
            if isinstance(function, type):
                raise ValueError("a class")
        except ValueError as error:
            raise _unusable(activation, "is no activation that Keras knows") from error

    def evaluate(x: np.ndarray) -> np.ndarray:
        columns = np.stack([x, x], axis=1)
        y = function(ops.convert_to_tensor(columns, dtype="float32"))
        if tuple(y.shape) != columns.shape:
            reason = f"maps the shape {columns.shape} to {tuple(y.shape)}"
            raise _unusable(activation, reason)
        y = ops.convert_to_numpy(y).astype("float64")[:, 0]
        if np.isnan(y).any():
            raise _unusable(activation, f"is NaN at {x[np.isnan(y)][0]:.4g}")
        return y

    return evaluate


def _gain(
    evaluate: Callable[[np.ndarray], np.ndarray], activation: Any
) -> float | None:
    """The g with E[f(sqrt(g) z)^2] = 1; None for the activations that take Glorot."""
    points, weights = _normal_quadrature()

    def second_moment(gain: float) -> float:
        with np.errstate(over="ignore"):
            return weights @ evaluate(np.sqrt(gain) * points) ** 2

    wide = np.linspace(-100.0, 100.0, 401)
    values = evaluate(wide)
    if np.abs(values).max() <= 1.0 + 1e-6 or np.allclose(values, wide, rtol=1e-6):
        return None
    low, high = np.log(_SMALLEST_GAIN), np.log(_LARGEST_GAIN)
    if not second_moment(np.exp(low)) < 1.0 < second_moment(np.exp(high)):
        raise _unusable(
            activation,
            f"keeps the second moment at no gain from {_SMALLEST_GAIN} to "
            f"{_LARGEST_GAIN}",
        )
    for _ in range(45):
        middle = (low + high) / 2
        if second_moment(np.exp(middle)) < 1.0:
            low = middle
        else:
            high = middle
    return float(np.exp(middle))


def _normal_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of E over z ~ N(0, 1): Gauss-Legendre on unit panels.

    Panels meet at 0, where rectifiers have their kink; Gauss-Hermite over the whole
    line is off by 1e-4 for selu.
    """
    nodes, weights = np.polynomial.legendre.leggauss(12)
    starts = np.arange(-9.0, 9.0)[:, None]
    points = (starts + (nodes + 1.0) / 2.0).ravel()
    density = np.exp(-(points**2) / 2.0) / np.sqrt(2.0 * np.pi)
    return points, np.tile(weights / 2.0, len(starts)) * density


def _unusable(activation: Any, reason: str) -> ValueError:
    return ValueError(
        "`activation` decides how large the kernel's weights start and must be the "
        "name of a Keras activation, an elementwise function or layer that keeps a "
        f"signal's size at some gain, or None; this one {reason}. "
        f"Received: activation={activation!r}."
    )
