"""Every update rule against the formula of its source, in NumPy float64.

Where Keras 3.15 writes a rule in another way, the test says how and shows it. The
kit's own optimizers have schedules and decay tested in tests/optimizers as well.
"""

import keras
import numpy as np
import pytest

from keras_trainkit.optimizers import SGDW, AdamW

STEPS = 50
RATE = 0.02
rng = np.random.default_rng(11)
START = rng.uniform(-0.5, 0.5, size=(2, 3))
GRADIENTS = rng.uniform(-1, 1, size=(STEPS, 2, 3))
TINY = 1e-6 * GRADIENTS  # of the size of epsilon, so that its place shows


def trained(optimizer, gradients=GRADIENTS):
    """Where Keras arrives, step by step: `(steps, 2, 3)`."""
    variable = keras.Variable(START, dtype="float32", name="kernel")
    path = []
    for gradient in gradients:
        tensor = keras.ops.convert_to_tensor(gradient, "float32")
        optimizer.apply([tensor], [variable])
        path.append(variable.numpy())
    return np.array(path)


def sums(updates):
    return START + np.cumsum(updates, axis=0)


def assert_equal(path, expected):
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-6)


def test_sgd():
    """theta -= lr g."""
    assert_equal(trained(keras.optimizers.SGD(RATE)), sums(-RATE * GRADIENTS))


def test_mini_batch_gradient_is_the_mean_over_the_rows_of_the_batch():
    """theta -= lr mean(g_i); also for the last batch, which may be smaller.

    For `(y - w x)^2` the gradient of row i is `-2 x_i (y_i - w x_i)`.
    """
    x, y = rng.normal(size=(5, 1)), rng.normal(size=(5, 1))
    half = keras.initializers.Constant(0.5)
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer=half)
    model = keras.Sequential([keras.Input((1,)), dense])
    model.compile(keras.optimizers.SGD(RATE), "mse")
    model.fit(x, y, batch_size=3, shuffle=False, verbose=0)
    w = 0.5
    for batch in (slice(0, 3), slice(3, 5)):
        w -= RATE * np.mean(-2 * x[batch] * (y[batch] - w * x[batch]))
    assert model.get_weights()[0][0, 0] == pytest.approx(w, abs=1e-6)


def test_momentum():
    """v = beta v + (1 - beta) g;  theta -= lr v.

    Keras: `v = beta v - lr g; theta += v`, without the factor: its learning rate is
    that of the formula times `1 - beta`.
    """
    v, updates = 0.0, []
    for g in GRADIENTS:
        v = 0.8 * v + (1 - 0.8) * g
        updates.append(-RATE * v)
    path = trained(keras.optimizers.SGD(RATE * (1 - 0.8), momentum=0.8))
    assert_equal(path, sums(updates))


def test_nesterov():
    """v = beta v - lr g(theta + beta v);  theta += v.

    Keras: the weights it holds are the look-ahead points `theta + beta v` themselves,
    so that it needs one gradient: `theta += beta v - lr g`. The rule depends on where
    gradients are taken; here they are those of `(theta - 1)^2 (theta + 2)`.
    """

    def gradient(at):
        return 2 * (at - 1) * (at + 2) + (at - 1) ** 2

    variable = keras.Variable(START, dtype="float32")
    optimizer = keras.optimizers.SGD(RATE, momentum=0.8, nesterov=True)
    theta, v = START, 0.0
    for _ in range(STEPS):
        ahead = keras.ops.convert_to_tensor(gradient(variable.numpy()))
        optimizer.apply([ahead], [variable])
        v = 0.8 * v - RATE * gradient(theta + 0.8 * v)
        theta = theta + v
        np.testing.assert_allclose(variable.numpy(), theta + 0.8 * v, atol=1e-6)


def rmsprop_updates(gradients, root):
    s = 0.0
    for g in gradients:
        s = 0.8 * s + (1 - 0.8) * g**2
        yield -RATE * g / root(s)


def test_rmsprop():
    """s = rho s + (1 - rho) g^2;  theta -= lr g / (sqrt(s) + eps), eps = 1e-8.

    Keras: `sqrt(s + eps)`, eps = 1e-7; a small `epsilon` gives the formula.
    """
    as_keras = list(rmsprop_updates(GRADIENTS, lambda s: np.sqrt(s + 1e-7)))
    assert_equal(trained(keras.optimizers.RMSprop(RATE, rho=0.8)), sums(as_keras))
    formula = list(rmsprop_updates(GRADIENTS, lambda s: np.sqrt(s) + 1e-8))
    path = trained(keras.optimizers.RMSprop(RATE, rho=0.8, epsilon=1e-12))
    np.testing.assert_allclose(path, sums(formula), rtol=0, atol=1e-5)


def test_epsilon_inside_the_root_makes_rmsprop_stand_still_on_tiny_gradients():
    """1e-7 inside is as 3e-4 outside: against 1e-8 outside, steps 100 times shorter."""
    as_keras = list(rmsprop_updates(TINY, lambda s: np.sqrt(s + 1e-7)))
    formula = list(rmsprop_updates(TINY, lambda s: np.sqrt(s) + 1e-8))
    assert_equal(trained(keras.optimizers.RMSprop(RATE, rho=0.8), TINY), sums(as_keras))
    assert np.abs(formula).mean() > 100 * np.abs(as_keras).mean()


def test_adagrad():
    """G += g^2;  theta -= lr g / (sqrt(G) + eps), with G = 0 at first.

    Keras: `sqrt(G + eps)`, and G starts at 0.1, which makes the first steps shorter;
    `initial_accumulator_value=0` gives the formula.
    """
    squares = np.cumsum(GRADIENTS**2, axis=0)
    formula = sums(-RATE * GRADIENTS / (np.sqrt(squares) + 1e-8))
    as_keras = sums(-RATE * GRADIENTS / np.sqrt(0.1 + squares + 1e-7))
    assert_equal(trained(keras.optimizers.Adagrad(RATE)), as_keras)
    from_zero = keras.optimizers.Adagrad(
        RATE, initial_accumulator_value=0.0, epsilon=1e-12
    )
    assert_equal(trained(from_zero), formula)


def adam_steps(gradients, epsilon):
    """The update without the rate; `epsilon` is a function of the step, from 1."""
    m, v = 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        m = 0.8 * m + (1 - 0.8) * g
        v = 0.98 * v + (1 - 0.98) * g**2
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.98**t)
        yield m_hat / (np.sqrt(v_hat) + epsilon(t))


@pytest.mark.parametrize("gradients", [GRADIENTS, TINY], ids=["usual", "tiny"])
def test_adam(gradients):
    """theta -= lr m_hat / (sqrt(v_hat) + eps), eps = 1e-8.

    Keras: eps = 1e-7, added before the root is bias-corrected (the paper's "epsilon
    hat"), as if it were `eps / sqrt(1 - beta_2^t)` after: 7 times larger in the first
    step for beta_2 = 0.98, 32 times for 0.999.
    """
    steps = list(adam_steps(gradients, lambda t: 1e-7 / np.sqrt(1 - 0.98**t)))
    expected = sums(-RATE * np.array(steps))
    path = trained(keras.optimizers.Adam(RATE, 0.8, 0.98), gradients)
    assert_equal(path, expected)


@pytest.mark.parametrize("gradients", [GRADIENTS, TINY], ids=["usual", "tiny"])
def test_adamw(gradients):
    """theta -= lr (m_hat / (sqrt(v_hat) + eps) + lambda theta), as written."""
    theta, expected = START, []
    for step in adam_steps(gradients, lambda t: 1e-8):
        theta = theta - RATE * (step + 0.3 * theta)
        expected.append(theta)
    assert_equal(trained(AdamW(RATE, 0.3, 0.8, 0.98), gradients), expected)


def test_sgdw():
    """v = beta v + lr g;  theta -= v + lr lambda theta, as written."""
    theta, v, expected = START, 0.0, []
    for g in GRADIENTS:
        v = 0.8 * v + RATE * g
        theta = theta - v - RATE * 0.3 * theta
        expected.append(theta)
    assert_equal(trained(SGDW(RATE, 0.8, weight_decay=0.3)), expected)


def penalised(optimizer, regularizer):
    """The weights after one step on the penalty alone."""
    dense = keras.layers.Dense(
        3,
        use_bias=False,
        kernel_initializer=lambda shape, dtype: keras.ops.cast(START, dtype),
        kernel_regularizer=regularizer,
    )
    model = keras.Sequential([keras.Input((2,)), dense])
    model.compile(optimizer, loss=lambda _, outputs: 0 * outputs)
    model.fit(np.ones((1, 2)), np.ones((1, 3)), verbose=0)
    return model.get_weights()[0]


def test_elastic_net_adds_the_gradient_of_both_penalties():
    """loss + l1 sum |w| + l2 sum w^2, no half: the gradient is l1 sign(w) + 2 l2 w."""
    both = keras.regularizers.L1L2(l1=0.04, l2=0.3)
    expected = START - RATE * (0.04 * np.sign(START) + 2 * 0.3 * START)
    assert_equal(penalised(keras.optimizers.SGD(RATE), both), expected)


def test_decay_is_an_l2_penalty_of_half_its_size_for_plain_gradient_descent():
    with_penalty = penalised(keras.optimizers.SGD(RATE), keras.regularizers.L2(0.15))
    decayed = penalised(SGDW(RATE, 0.0, weight_decay=0.3), None)
    assert_equal(with_penalty, decayed)


def test_an_l2_penalty_under_adam_does_not_decay_in_proportion_but_decay_does():
    """Adam divides the penalty by its own root: every weight moves by the rate."""
    adam = keras.optimizers.Adam(RATE, epsilon=1e-12)
    moved = penalised(adam, keras.regularizers.L2(0.15)) - START
    np.testing.assert_allclose(moved, -RATE * np.sign(START), rtol=1e-3)
    decayed = penalised(AdamW(RATE, 0.3), None)
    assert_equal(decayed, START * (1 - RATE * 0.3))


FIRST, SECOND = np.array([[3.0, -4.0]]), np.array([12.0])  # norms 5, 12, together 13


def clipped(gradients, **limit):
    """The gradients that reach the weights of SGD."""
    optimizer = keras.optimizers.SGD(1.0, **limit)
    variables = [keras.Variable(np.zeros(g.shape), dtype="float32") for g in gradients]
    tensors = [keras.ops.convert_to_tensor(g, "float32") for g in gradients]
    optimizer.apply(tensors, variables)
    return [-variable.numpy() for variable in variables]


@pytest.mark.parametrize(
    ("limit", "first", "second"),
    [
        ({"clipvalue": 3.5}, [[3.0, -3.5]], [3.5]),
        ({"clipnorm": 10.0}, FIRST, [10.0]),  # each variable by its own norm
        ({"clipnorm": 2.5}, FIRST / 2, [2.5]),
        ({"global_clipnorm": 6.5}, FIRST / 2, SECOND / 2),  # directions are kept
        ({"global_clipnorm": 20.0}, FIRST, SECOND),
    ],
)
def test_gradient_clipping(limit, first, second):
    """By value: min(max(g, -c), c). By norm: g min(1, c / |g|). Globally: the same
    with the norm of all gradients together. Keras takes one of the three at a time.
    """
    one, other = clipped([FIRST, SECOND], **limit)
    np.testing.assert_allclose(one, first, rtol=1e-6)
    np.testing.assert_allclose(other, second, rtol=1e-6)


def test_two_limits_at_once_are_refused_by_keras():
    with pytest.raises(ValueError, match="Only one of"):
        keras.optimizers.SGD(clipnorm=1.0, clipvalue=1.0)
