import json
import random

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit import analysis, layers, models
from keras_trainkit.analysis import LossRise

X = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 1.0]], "float32")
WEIGHTS = np.array([[2.0], [-1.0]])
CURVATURE = 2 * X.T.astype(float) @ X / len(X)  # of the mean squared error
RADII = (0.1, 0.3)


def linear_model(weights=WEIGHTS, **compiled):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([weights])
    model.compile("sgd", "mse", **compiled)
    return model


def network(**arguments):
    keras.utils.set_random_seed(3)
    model = models.mlp((4,), 1, (6,), dropout=0.4, **arguments)
    model.compile(keras.optimizers.Adam(0.01), "mse", weighted_metrics=["mae"])
    return model


def rows(count=20):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 4)).astype("float32")
    return x, (x[:, :1] * x[:, 1:2]).astype("float32")


def quadratic_rise(gradient, change):
    return float((gradient.T @ change + change.T @ CURVATURE @ change / 2).item())


@pytest.mark.first_quick
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_a_quadratic_rises_as_its_closed_form_says(offset, adaptive):
    """One filter: both balls are circles of the radius times the norm of the weights.

    At the minimum the worst rise is half the highest curvature; away from it, SAM's
    first step is along the gradient.
    """
    y = X @ (WEIGHTS + offset).astype("float32")
    steps = 1 if offset else 30
    model = linear_model()
    # Batches of 3 and 1 rows, which do not count alike.
    given = {"batch_size": 3, "radii": RADII, "adaptive": adaptive}
    found = analysis.sharpness(model, X, y, ascent_steps=steps, **given)
    gradient = CURVATURE @ np.full((2, 1), -offset)
    sizes = np.array(RADII) * np.linalg.norm(WEIGHTS)
    if offset:
        up = gradient / np.linalg.norm(gradient)
        expected = [quadratic_rise(gradient, size * up) for size in sizes]
    else:
        expected = np.linalg.eigvalsh(CURVATURE)[-1] * sizes**2 / 2
    np.testing.assert_allclose(found.worst_rises, expected, rtol=1e-4)


def test_random_directions_of_a_quadratic_lie_on_its_circle():
    """Their rises are between those of the least and of the highest curvature, and
    grow with the square of the radius."""
    model = linear_model()
    found = analysis.sharpness(model, X, X @ WEIGHTS, radii=RADII, directions=20)
    rises = found.random_losses - found.loss
    least, highest = np.linalg.eigvalsh(CURVATURE) * (WEIGHTS**2).sum() / 2
    shares = rises / np.array(RADII) ** 2
    assert shares.min() > 0.999 * least and shares.max() < 1.001 * highest
    assert shares.max() > 0.9 * highest and shares.min() < 1.1 * least
    np.testing.assert_allclose(shares[:, 0], shares[:, 1], rtol=1e-3)


def test_weights_that_the_next_layer_makes_up_for_are_as_sharp():
    """ReLU: a layer times 4 and the next divided by 4 are the same function."""
    x, y = rows()
    found = []
    for factor in (1.0, 4.0):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(5, "relu", use_bias=False),
                keras.layers.Dense(1, use_bias=False),
            ]
        )
        rng = np.random.default_rng(0)
        first, last = rng.normal(size=(4, 5)), rng.normal(size=(5, 1))
        model.set_weights([first * factor, last / factor])
        model.compile("sgd", "mse")
        given = {"radii": (0.1,), "directions": 1, "ascent_steps": 2}
        found.append(analysis.sharpness(model, x, y, **given))
    for name in ("random_losses", "worst_losses"):
        one, other = (getattr(result, name) for result in found)
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.first_quick
@pytest.mark.parametrize("arguments", [{"normalization": "batch"}, {"members": 2}])
def test_the_model_stays_as_it_was(arguments):
    """Weights, batch-norm statistics, seeds of dropout, optimizer, metrics, numbers."""
    x, y = rows()
    model = network(**arguments)
    model.fit(x, y, epochs=1, verbose=0, batch_size=10)

    def state():
        variables = [*model.variables, *model.optimizer.variables]
        found = [np.array(ops.convert_to_numpy(v)) for v in variables]
        metrics = [np.array(ops.convert_to_numpy(v)) for v in model.metrics_variables]
        return found + metrics

    before, steps = state(), (model.train_function, model.test_function)
    numbers = random.getstate(), np.random.get_state()[1].tolist()
    given = {"radii": (0.1,), "directions": 1, "ascent_steps": 1}
    analysis.sharpness(model, x, y, **given)
    for one, other in zip(before, state(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (model.train_function, model.test_function) == steps
    assert (random.getstate(), np.random.get_state()[1].tolist()) == numbers


@pytest.mark.slow
def test_the_loss_is_that_of_evaluate_with_members_weights_and_penalties():
    x, y = rows(23)
    scaling = layers.StandardScaling()
    scaling.adapt(y)
    model = network(members=2, target_scaling=scaling, l2=0.01)
    weights = np.linspace(0, 2, 23).astype("float32")
    given = {"sample_weight": weights, "batch_size": 10}
    expected = model.evaluate(x, y, verbose=0, return_dict=True, **given)["loss"]
    given |= {"directions": 1, "ascent_steps": 1}
    found = analysis.sharpness(model, x, y, radii=(0.2,), **given)
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert found.worst_rises[0] > found.random_rises[0]
    assert found.worst_rises[0] > 0


def test_texts_in_a_dict_and_two_outputs_are_taken():
    """An embedding has gradients of some rows alone."""
    tokens, size = (
        keras.Input((3,), dtype="int32", name="t"),
        keras.Input((2,), name="s"),
    )
    pooled = keras.layers.Flatten()(keras.layers.Embedding(9, 2)(tokens))
    both = keras.layers.Concatenate()([pooled, size])
    outputs = {name: keras.layers.Dense(1, name=name)(both) for name in "ab"}
    model = keras.Model({"t": tokens, "s": size}, outputs)
    model.compile("adam", {"a": "mse", "b": "mae"})
    x = {"t": np.arange(12).reshape(4, 3) % 9, "s": X}
    y = {"a": X[:, :1], "b": X[:, 1:]}
    found = analysis.sharpness(model, x, y, radii=(0.1,), directions=1, ascent_steps=2)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert found.worst_rises[0] > 0


def test_batches_are_taken_as_they_come():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, number):
            part = slice(0, 3) if number == 0 else slice(3, 4)
            return X[part], (X @ (WEIGHTS + 1))[part]

    given = {"radii": (0.1,), "directions": 1, "ascent_steps": 1}
    found = analysis.sharpness(linear_model(), Batches(), **given)
    whole = analysis.sharpness(linear_model(), X, X @ (WEIGHTS + 1), **given)
    np.testing.assert_allclose(found.worst_losses, whole.worst_losses, rtol=1e-5)


def test_the_verdict_has_the_rise_and_where_the_loss_doubles():
    found = LossRise(
        0.5,
        np.array([0.01, 0.05, 0.2]),
        np.array([[0.51, 0.6, 0.8], [0.53, 0.7, 0.9]]),
        np.array([0.6, 1.0, 4.0]),
    )
    assert found.verdict == (
        "A change of the weights by 5 % raises the loss of 0.5 by 0.15 in random "
        "directions and by 0.5 in the worst one found. The worst change of 5 % "
        "doubles it."
    )
    assert json.loads(json.dumps(found.to_dict()))["worst_losses"] == [0.6, 1.0, 4.0]


def test_the_verdict_tells_of_training_that_has_not_ended():
    radii, worst = np.array([0.01]), np.array([0.6])
    found = LossRise(0.5, radii, np.array([[0.4], [0.45]]), worst)
    assert "No change found of up to 1 % doubles it." in found.verdict
    assert found.verdict.endswith("lowers it: train longer before you compare.")
    found = LossRise(float("nan"), radii, np.array([[0.4]]), worst)
    assert found.verdict == "The loss is nan, before any change of the weights."


def test_the_picture_is_written(tmp_path):
    random_losses = np.array([[0.6, 0.8], [0.7, 0.9]])
    found = LossRise(0.5, np.array(RADII), random_losses, np.array([1.0, np.inf]))
    found.plot(tmp_path / "rise.png")
    assert (tmp_path / "rise.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"radii": 0.1}, "relative sizes of a change.* Received: radii=0.1"),
        ({"radii": ()}, "tuple or list of numbers above 0"),
        (
            {"radii": (0.2, 0.1)},
            "above 0.2. Received: radii.1.=0.1",
        ),
        ({"directions": 0}, "number of random directions"),
        ({"ascent_steps": 0}, "number of gradients at a radius"),
        ({"batch_size": 0}, "rows worked on at once"),
        ({"adaptive": 1}, "relative to its filter"),
        ({"seed": -1}, "random numbers repeatable"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        analysis.sharpness(linear_model(), X, X @ WEIGHTS, **arguments)


def test_a_model_without_loss_or_weights_is_refused():
    bare = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="must be built and compiled.*not compiled"):
        analysis.sharpness(bare, X)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="not built"):
        analysis.sharpness(unbuilt, X)
    frozen = linear_model()
    frozen.trainable = False
    with pytest.raises(ValueError, match="must have trainable weights with two axes"):
        analysis.sharpness(frozen, X, X @ WEIGHTS)
