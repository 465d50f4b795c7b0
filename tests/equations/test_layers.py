"""Initializers, activations, normalization, penalties, dropout against their formulas.

Every formula is written out in NumPy float64; the docstring of a test says where Keras
differs from the source.
"""

import math

import keras
import numpy as np
import pytest
from comparing import rounding
from keras import ops

from keras_trainkit.layers import MaskedConv1D
from keras_trainkit.models import mlp

FAN_IN, FAN_OUT = 300, 500
X = np.linspace(-4.5, 4.5, 37)


def values_of(initializer):
    return ops.convert_to_numpy(initializer((FAN_IN, FAN_OUT))).astype("float64")


def test_glorot_uniform_fills_its_interval():
    """U(-r, r), r = sqrt(6 / (fan_in + fan_out)): variance 2 / (fan_in + fan_out)."""
    values = values_of(keras.initializers.GlorotUniform(seed=1))
    limit = math.sqrt(6 / (FAN_IN + FAN_OUT))
    assert 0.999 * limit < np.abs(values).max() <= limit * (1 + 1e-6)
    assert values.mean() == pytest.approx(0, abs=0.01 * limit)
    assert values.var() == pytest.approx(2 / (FAN_IN + FAN_OUT), rel=0.01)


def test_glorot_normal_has_the_variance_of_the_uniform_one():
    """N(0, 2 / (fan_in + fan_out)). Keras truncates, see He below."""
    values = values_of(keras.initializers.GlorotNormal(seed=1))
    assert values.var() == pytest.approx(2 / (FAN_IN + FAN_OUT), rel=0.01)


def test_he_normal_has_the_variance_of_the_paper_but_is_truncated():
    """N(0, 2 / fan_in).

    Keras draws from a normal truncated at two of its standard deviations, widened by
    1 / 0.87962566 so that the variance is the paper's: no value is further out than
    2 / 0.8796 = 2.27 standard deviations.
    """
    values = values_of(keras.initializers.HeNormal(seed=1))
    deviation = math.sqrt(2 / FAN_IN)
    assert values.var() == pytest.approx(deviation**2, rel=0.01)
    limit = 2 / 0.87962566 * deviation
    assert 0.99 * limit < np.abs(values).max() <= limit * (1 + 1e-6)


def test_he_uniform_has_the_same_variance():
    """U(-r, r), r = sqrt(6 / fan_in)."""
    values = values_of(keras.initializers.HeUniform(seed=1))
    assert values.var() == pytest.approx(2 / FAN_IN, rel=0.01)
    assert np.abs(values).max() <= math.sqrt(6 / FAN_IN) * (1 + 1e-6)


def test_lecun_normal_has_variance_one_over_fan_in():
    """N(0, 1 / fan_in), for selu. Keras truncates, see He above."""
    values = values_of(keras.initializers.LecunNormal(seed=1))
    assert values.var() == pytest.approx(1 / FAN_IN, rel=0.01)


# Some eight roundings of numbers no larger than the inputs.
ERROR = rounding("float32", 8) * np.abs(X).max()


def applied(activation):
    return ops.convert_to_numpy(activation(ops.convert_to_tensor(X, "float32")))


def test_relu():
    """max(0, x)."""
    assert applied(keras.activations.relu) == pytest.approx(np.maximum(0, X))


def test_leaky_relu():
    """x for x > 0, else a x. In Keras a is 0.2 in the function, 0.3 in the layer."""
    for activation, slope in (
        (keras.activations.leaky_relu, 0.2),
        (keras.layers.LeakyReLU(), 0.3),
        (keras.layers.LeakyReLU(negative_slope=0.01), 0.01),
    ):
        expected = np.where(X > 0, X, slope * X)
        assert applied(activation) == pytest.approx(expected, rel=1e-6)


def test_tanh():
    """(e^x - e^-x) / (e^x + e^-x)."""
    expected = (np.exp(X) - np.exp(-X)) / (np.exp(X) + np.exp(-X))
    assert applied(keras.activations.tanh) == pytest.approx(expected, abs=ERROR)


def test_sigmoid():
    """1 / (1 + e^-x)."""
    expected = 1 / (1 + np.exp(-X))
    assert applied(keras.activations.sigmoid) == pytest.approx(expected, abs=ERROR)


def test_gelu_is_x_times_the_normal_distribution_function():
    """x P(Z <= x). Keras' default is this; `approximate=True` is the tanh form."""
    exact = X * np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in X])
    assert applied(keras.activations.gelu) == pytest.approx(exact, abs=ERROR)
    by_tanh = X / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)))
    approximate = applied(lambda x: keras.activations.gelu(x, approximate=True))
    assert approximate == pytest.approx(by_tanh, abs=ERROR)
    assert 1e-4 < np.abs(exact - by_tanh).max() < 1e-3


def test_mish():
    """x tanh(ln(1 + e^x))."""
    expected = X * np.tanh(np.log(1 + np.exp(X)))
    assert applied(keras.activations.mish) == pytest.approx(expected, abs=ERROR)


def test_swish_with_beta_one():
    """x sigmoid(x). Keras' silu and swish are one function; its beta is fixed at 1."""
    expected = X / (1 + np.exp(-X))
    assert applied(keras.activations.silu) == pytest.approx(expected, abs=ERROR)
    assert keras.activations.swish is keras.activations.silu


@pytest.fixture
def batch():
    return np.random.default_rng(4).normal(3, 2, size=(6, 4)).astype("float32")


def normalized(x, mean, variance, epsilon):
    return (x - mean) / np.sqrt(variance + epsilon)


def test_batch_normalization_in_training_takes_the_biased_batch_variance(batch):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, var = sum (x - mean)^2 / m.

    eps is 1e-3 in Keras, 1e-5 in most sources.
    """
    layer = keras.layers.BatchNormalization()
    y = ops.convert_to_numpy(layer(batch, training=True))
    biased = ((batch - batch.mean(0)) ** 2).sum(0) / 6
    assert y == pytest.approx(normalized(batch, batch.mean(0), biased, 1e-3), abs=1e-5)
    assert np.array_equal(ops.convert_to_numpy(layer.gamma), np.ones(4))
    assert np.array_equal(ops.convert_to_numpy(layer.beta), np.zeros(4))


def test_running_statistics_keep_the_share_momentum_of_what_they_were(batch):
    """running = rho running + (1 - rho) batch, from 0 and 1, with the biased variance.

    Keras' momentum is this rho (default 0.99); in PyTorch it is 1 - rho, and the
    running variance there is the unbiased one.
    """
    for rho, arguments in ((0.99, {}), (0.9, {"momentum": 0.9})):
        layer = keras.layers.BatchNormalization(**arguments)
        mean, variance = np.zeros(4), np.ones(4)
        for scale in (1.0, 2.5):
            layer(scale * batch, training=True)
            mean = rho * mean + (1 - rho) * (scale * batch).mean(0)
            variance = rho * variance + (1 - rho) * (scale * batch).var(0)
        got = ops.convert_to_numpy(layer.moving_mean)
        assert got == pytest.approx(mean, rel=1e-5)
        got = ops.convert_to_numpy(layer.moving_variance)
        assert got == pytest.approx(variance, rel=1e-5)


def test_batch_normalization_in_inference_takes_the_running_statistics(batch):
    """y = gamma (x - running mean) / sqrt(running var + eps) + beta."""
    layer = keras.layers.BatchNormalization(epsilon=1e-5)
    layer.build(batch.shape)
    gamma, beta = np.array([0.5, 2, 3, 4]), np.array([1, -1, 0.5, 0])
    mean, variance = np.array([1, 2, 3, 4]), np.array([0.5, 1, 2, 4])
    layer.set_weights([gamma, beta, mean, variance])
    y = ops.convert_to_numpy(layer(batch, training=False))
    expected = gamma * normalized(batch, mean, variance, 1e-5) + beta
    assert y == pytest.approx(expected, abs=1e-5)


def half_square(target, y):
    return ops.sum((y - target) ** 2, axis=-1) / 2 * 6


def test_batch_normalization_gradients(batch):
    """dL/dgamma = sum dL/dy x_hat, dL/dbeta = sum dL/dy, dL/dx as in the paper.

    Read off one SGD step at rate 1. A `Dense` in front, holding the identity, gives
    dL/dx: its bias gets sum dL/dx = 0, its kernel x^T dL/dx.
    """
    upstream = np.random.default_rng(5).normal(size=(6, 4))
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, kernel_initializer="identity"),
            keras.layers.BatchNormalization(),
        ]
    )
    gamma = np.array([0.5, 2, 3, 4])
    model.layers[1].gamma.assign(gamma)
    deviation = np.sqrt(batch.var(0) + 1e-3)
    x_hat = (batch - batch.mean(0)) / deviation
    # L = sum((y - target)^2) / 2, so that dL/dy is `upstream` and depends on y: of a
    # loss linear in y TensorFlow 2.21 may update gamma before the gradient reads it.
    target = gamma * x_hat - upstream
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.compile(keras.optimizers.SGD(1.0), half_square)
    model.train_on_batch(batch, target)  # the mean over 6 rows, times 6: a sum
    after = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    kernel, bias, dgamma, dbeta = (b - a for b, a in zip(before, after, strict=True))

    assert dgamma == pytest.approx((upstream * x_hat).sum(0), abs=1e-4)
    assert dbeta == pytest.approx(upstream.sum(0), abs=1e-4)
    dx_hat = upstream * gamma
    dx = dx_hat - dx_hat.mean(0) - x_hat * (dx_hat * x_hat).mean(0)
    dx = dx / deviation
    assert bias == pytest.approx(np.zeros(4), abs=1e-4)
    assert kernel == pytest.approx(batch.T @ dx, abs=2e-4)


def test_layer_normalization_works_along_the_features(batch):
    """The same formula per row, so that the batch size plays no part; eps 1e-3."""
    y = ops.convert_to_numpy(keras.layers.LayerNormalization()(batch))
    mean, variance = batch.mean(1, keepdims=True), batch.var(1, keepdims=True)
    assert y == pytest.approx(normalized(batch, mean, variance, 1e-3), abs=1e-5)


@pytest.mark.parametrize("size", [4, 5])
def test_convolution_along_time_reads_masked_steps_in_keras_alone(size):
    """y[t] = b + sum over i of x[t + i - (k - 1) // 2] K[i]."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 6, 2)).astype("float32")
    kernel, bias = rng.normal(size=(size, 2, 3)), rng.normal(size=3)
    layers = MaskedConv1D(3, size), keras.layers.Conv1D(3, size, padding="same")
    for layer in layers:
        layer.build((None, None, 2))
        layer.set_weights([kernel, bias])
    ours, own = (ops.convert_to_numpy(layer(x)[0]) for layer in layers)
    assert ours == pytest.approx(convolved(x[0], kernel, bias), abs=1e-5)
    assert own == pytest.approx(ours, abs=1e-5)

    mask = np.arange(6)[None] < 4
    alone = convolved(x[0, :4], kernel, bias)
    ours = ops.convert_to_numpy(layers[0](x, mask=mask)[0])
    assert ours[:4] == pytest.approx(alone, abs=1e-5)
    assert np.abs(own[:4] - alone).max() > 0.1


def convolved(x, kernel, bias):
    """The formula on `(time, channels)`, with zeros outside."""
    size = len(kernel)
    x = np.pad(x, (((size - 1) // 2, size // 2), (0, 0)))
    taps = [x[i : len(x) - size + 1 + i] @ kernel[i] for i in range(size)]
    return bias + sum(taps)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_elastic_net(l1, l2):
    """loss + l1 sum |w| + l2 sum w^2, without a factor of one half, in the loss of fit.

    Keras adds the penalty once per batch to the mean loss, whatever the batch size.
    """
    model = mlp((3,), 1, (4,), dropout=0.0, l1=l1, l2=l2)
    model.compile("sgd", "mse")
    x, y = np.ones((5, 3), "float32"), np.zeros((5, 1))
    error = (ops.convert_to_numpy(model(x)) ** 2).mean()
    kernels = [ops.convert_to_numpy(w) for w in model.weights if w.name == "kernel"]
    penalty = sum(l1 * np.abs(w).sum() + l2 * (w**2).sum() for w in kernels)
    loss = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(error + penalty, rel=1e-5)


def test_inverted_dropout_keeps_the_expectation_and_does_nothing_in_inference():
    """Kept units are divided by 1 - p in training: E[y] = x.

    Sources that leave training alone and multiply by 1 - p in inference have the same
    ratio between the two, so the same model.
    """
    layer = keras.layers.Dropout(0.3, seed=2)
    x = np.full((400, 500), 1.4, "float32")
    y = ops.convert_to_numpy(layer(x, training=True))
    kept = y != 0
    assert kept.mean() == pytest.approx(0.7, abs=0.005)
    assert y[kept] == pytest.approx(1.4 / 0.7, rel=1e-5)
    assert y.mean() == pytest.approx(1.4, abs=0.01)
    assert np.array_equal(ops.convert_to_numpy(layer(x, training=False)), x)
