import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit.initializers import for_activation

DEPTH, WIDTH = 20, 256


def second_moments(activation, initializer, scale=1.0, draws=60):
    """Second moment of each sample's activations: (draws, layers, samples).

    A draw is 20 layers, each one of 24 kernels with its rows shuffled and their signs
    drawn anew, which has the law of a new kernel and takes a twentieth of the time.
    """
    function = keras.activations.get(activation)
    rng = np.random.default_rng(3)
    kernels = [initializer.clone()((WIDTH, WIDTH)) for _ in range(24)]
    kernels = [ops.convert_to_numpy(kernel) for kernel in kernels]
    h = scale * rng.normal(size=(draws, 8, WIDTH)).astype("float32")
    moments = []
    for _ in range(DEPTH):
        picked = rng.integers(len(kernels), size=draws)
        signs = rng.choice([-1.0, 1.0], size=(draws, 1, WIDTH)).astype("float32")
        z = [
            a @ kernels[k][rng.permutation(WIDTH)]
            for a, k in zip(signs * h, picked, strict=True)
        ]
        h = ops.convert_to_numpy(function(ops.convert_to_tensor(np.stack(z))))
        moments.append((h**2).mean(-1))
    return np.stack(moments, axis=1)


def expected_moments(*args, **kwargs):
    return second_moments(*args, **kwargs).mean(axis=(0, 2))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (None, keras.initializers.GlorotNormal),
        ("linear", keras.initializers.GlorotNormal),
        ("tanh", keras.initializers.GlorotNormal),
        ("sigmoid", keras.initializers.GlorotNormal),
        ("softsign", keras.initializers.GlorotNormal),
        ("softmax", keras.initializers.GlorotNormal),
        (keras.activations.tanh, keras.initializers.GlorotNormal),
        ("relu", keras.initializers.HeNormal),
        ("relu6", keras.initializers.HeNormal),
        (keras.layers.ReLU(), keras.initializers.HeNormal),
        (keras.layers.PReLU(), keras.initializers.HeNormal),
        ("selu", keras.initializers.LecunNormal),
        ("gelu", keras.initializers.VarianceScaling),
    ],
)
def test_initializer_follows_from_the_activation(activation, expected):
    assert type(for_activation(activation)) is expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("tanh", keras.initializers.GlorotUniform),
        ("relu", keras.initializers.HeUniform),
        ("selu", keras.initializers.LecunUniform),
    ],
)
def test_uniform_takes_the_uniform_sibling(activation, expected):
    assert type(for_activation(activation, "uniform")) is expected
    assert for_activation("silu", "uniform").distribution == "uniform"


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        ("leaky_relu", 0.2),  # the function's default ...
        (keras.layers.LeakyReLU(), 0.3),  # ... is not the layer's
        (keras.layers.LeakyReLU(negative_slope=0.45), 0.45),
        (lambda x: keras.activations.leaky_relu(x, 0.6), 0.6),
    ],
)
def test_slope_enters_the_gain(activation, slope):
    initializer = for_activation(activation)
    assert initializer.mode == "fan_in"
    assert initializer.scale == pytest.approx(2 / (1 + slope**2), rel=1e-6)


def gelu(x):
    return x * np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gelu", gelu),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    ],
)
def test_computed_gain_maps_second_moment_one_to_one(name, function):
    gain = for_activation(name).scale
    z = np.linspace(-10, 10, 20001)  # the trapezoid rule, not the code's Gauss-Legendre
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    moment = (function(np.sqrt(gain) * z) ** 2 * density).sum() * (z[1] - z[0])
    assert moment == pytest.approx(1, abs=1e-6)


def test_layer_is_evaluated_with_the_slope_it_has_and_stays_unbuilt():
    layer = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.5))
    assert for_activation(layer).scale == pytest.approx(2 / 1.25, rel=1e-6)
    assert not layer.built


def test_layer_of_a_half_precision_policy_is_evaluated_in_float32():
    layer = keras.layers.LeakyReLU(negative_slope=0.3, dtype="mixed_float16")
    assert for_activation(layer).scale == pytest.approx(2 / 1.09, rel=1e-6)


def test_custom_function_gets_a_computed_gain():
    # E[(sqrt(g) z)^4] = 3 g^2
    assert for_activation(lambda x: x * x).scale == pytest.approx(3**-0.5, rel=1e-5)


def test_values_have_the_variance_of_the_paper():
    values = ops.convert_to_numpy(for_activation("gelu", seed=4)((400, 300)))
    assert np.var(values) == pytest.approx(2.15506 / 400, rel=0.02)
    uniform = for_activation("relu", "uniform", seed=4)((400, 300))
    uniform = ops.convert_to_numpy(uniform)
    assert np.abs(uniform).max() <= math.sqrt(6 / 400)
    assert np.var(uniform) == pytest.approx(2 / 400, rel=0.02)


def test_seed_is_handed_on():
    for seed in (5, np.int64(5)):
        found = for_activation("relu", seed=seed).get_config()["seed"]
        assert found == 5 and type(found) is int
    generator = keras.random.SeedGenerator(6)
    initializer = for_activation("silu", seed=generator)
    first, second = (ops.convert_to_numpy(initializer((3, 4))) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
def test_saved_initializer_is_plain_keras(activation):
    config = keras.initializers.serialize(for_activation(activation))
    assert config["module"] == "keras.initializers"
    assert config["registered_name"] is None
    assert keras.initializers.deserialize(json.loads(json.dumps(config)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "activation", ["relu", "leaky_relu", "selu", "elu", "gelu", "mish", "sigmoid"]
)
def test_twenty_layers_keep_the_second_moment_within_a_factor_two(activation):
    draws = 400 if activation == "gelu" else 100
    moments = expected_moments(activation, for_activation(activation), draws=draws)
    assert (moments > moments[0] / 2).all()
    assert (moments < moments[0] * 2).all()


def test_silu_keeps_the_second_moment_within_a_factor_two_for_twelve_layers():
    moments = expected_moments("silu", for_activation("silu"), draws=300)[:12]
    assert (moments > moments[0] / 2).all()
    assert (moments < moments[0] * 2).all()


@pytest.mark.parametrize(("activation", "factor"), [("relu", 1.7), ("gelu", 5.0)])
def test_single_draws_wander_as_far_as_documented(activation, factor):
    moments = second_moments(activation, for_activation(activation), draws=150)
    per_draw = np.median(moments, axis=2)
    wandering = np.log(per_draw[:, -1] / per_draw[:, 0]).std()
    assert wandering == pytest.approx(np.log(factor), rel=0.2)


def test_tanh_holds_the_factor_two_in_its_linear_regime():
    moments = expected_moments("tanh", for_activation("tanh"), scale=0.1)
    assert moments[-1] > moments[0] / 2


def test_tanh_shrinks_slowly_from_standardized_inputs():
    moments = expected_moments("tanh", for_activation("tanh"))
    assert moments[-1] == pytest.approx(1 / (1 + 2 * DEPTH), rel=0.3)
    five_thirds = keras.initializers.VarianceScaling(25 / 9, "fan_avg")
    moments = expected_moments("tanh", five_thirds)
    assert moments[0] / 2 < moments[-1] < moments[0] * 2


def test_sigmoid_loses_the_difference_between_samples():
    rng = np.random.default_rng(0)
    h = ops.convert_to_tensor(rng.normal(size=(24, WIDTH)), "float32")
    spread = []
    for _ in range(3):
        h = ops.sigmoid(ops.matmul(h, for_activation("sigmoid")((WIDTH, WIDTH))))
        spread.append(np.var(ops.convert_to_numpy(h), axis=0).mean())
    assert spread[1] / spread[2] == pytest.approx(16, rel=0.25)


@pytest.mark.parametrize(
    ("activation", "wrong", "change"),
    [
        ("relu", "glorot_normal", 2.0**-19),  # half of it per layer
        ("silu", "glorot_normal", 2.0**-19),
        ("gelu", "lecun_normal", 2.0**-19),
        ("selu", "he_normal", 16.0),
    ],
)
def test_mismatched_pair_vanishes_or_explodes(activation, wrong, change):
    moments = expected_moments(activation, keras.initializers.get(wrong))
    if change < 1:
        assert moments[-1] / moments[0] < change * 2
    else:
        assert moments[-1] / moments[0] > change


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("rleu", "no activation that Keras knows. Received: activation='rleu'"),
        (7, "no activation that Keras knows. Received: activation=7"),
        (keras.layers.ReLU, "no activation that Keras knows"),
        ("glu", r"maps the shape \(401, 2\) to \(401, 1\)"),
        ("exponential", "keeps the second moment at no gain from 0.001 to 1000"),
        (lambda x: x * float("nan"), "is NaN at -100"),
    ],
)
def test_activation_that_cannot_be_paired_is_an_error(activation, message):
    with pytest.raises(ValueError, match=message):
        for_activation(activation)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="must be one of 'normal', 'uniform'"):
        for_activation("relu", "gaussian")
    with pytest.raises(ValueError, match="must be an integer at least 0.*seed=-2"):
        for_activation("relu", seed=-2)
