import keras
import numpy as np
import pytest
from comparing import rounding
from keras import ops

from keras_trainkit.layers import LearnableSwish

X = np.random.default_rng(0).normal(0, 3, size=(6, 4)).astype("float32")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def array(tensor):
    return ops.convert_to_numpy(tensor)


def test_equals_the_formula_in_float64():
    expected = X * sigmoid(0.4 * X.astype("float64"))
    outputs = array(LearnableSwish(initial_beta=0.4)(X))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_equals_silu_for_beta_one():
    expected = array(keras.activations.silu(X))
    np.testing.assert_allclose(array(LearnableSwish()(X)), expected, rtol=1e-6)


def test_each_channel_has_its_own_beta():
    layer = LearnableSwish(initial_beta=0.4, per_channel=True)
    layer.build((None, 4))
    np.testing.assert_allclose(array(layer.beta), [0.4] * 4, rtol=1e-6)
    betas = np.array([0.0, 1.0, -2.0, 5.0])
    layer.beta.assign(betas)
    np.testing.assert_allclose(array(layer(X)), X * sigmoid(betas * X), rtol=1e-4)


@pytest.mark.parametrize("per_channel", [False, True])
def test_gradient_of_beta_is_the_formula(per_channel):
    """One step of SGD with rate 1 on sum(y) moves beta by its gradient."""
    layer = LearnableSwish(initial_beta=0.4, per_channel=per_channel)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, outputs: ops.sum(outputs))
    model.train_on_batch(X, X)
    s = sigmoid(0.4 * X.astype("float64"))
    slopes = X**2 * s * (1 - s)  # d/dbeta of x sigmoid(beta x)
    gradient = slopes.sum(axis=0) if per_channel else slopes.sum()
    np.testing.assert_allclose(array(layer.beta), 0.4 - gradient, rtol=1e-4)


def test_weight_is_named_beta_and_trained():
    layer = LearnableSwish()
    layer.build((None, 4))
    assert [weight.name for weight in layer.trainable_weights] == ["beta"]
    assert layer.beta.shape == ()


def test_padding_stays_masked_for_the_next_layer():
    model = keras.Sequential(
        [
            keras.layers.Embedding(5, 4, mask_zero=True),
            LearnableSwish(initial_beta=0.4),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    padded, alone = model(np.array([[3, 0, 0]])), model(np.array([[3]]))
    np.testing.assert_allclose(array(padded), array(alone), rtol=1e-6)


def test_comes_back_from_a_file_with_its_beta(tmp_path):
    layer = LearnableSwish(per_channel=True)
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.beta.assign([0.2, 0.4, 0.7, 2.0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded(X)), array(model(X)))


def test_half_precision_policy_gives_half_precision():
    outputs = LearnableSwish(dtype="mixed_float16")(X)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    error = rounding("float16", 4)  # of x, of its sigmoid twice, of the product
    np.testing.assert_allclose(array(outputs), X * sigmoid(X), rtol=error, atol=error)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"initial_beta": np.nan}, "beta before training and must be a number"),
        ({"per_channel": 1}, "its own beta and must be True or False"),
    ],
)
def test_rejects_arguments_that_mean_nothing(kwargs, words):
    with pytest.raises(ValueError, match=words):
        LearnableSwish(**kwargs)


def test_own_betas_need_a_known_number_of_channels():
    with pytest.raises(ValueError, match="one beta per channel"):
        LearnableSwish(per_channel=True)(keras.Input((None,)))
