import keras
import numpy as np
import pytest
from comparing import assert_close

from keras_trainkit import layers, models, optimizers

PADDING = -9.0


def bumps(rows=40):
    """Noise with a bump anywhere, up or down, `(rows, 30, 1)`; and 1 for up."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(5, 0.2, size=(rows, 30, 1)), np.arange(rows) % 2
    for row, place in enumerate(rng.integers(26, size=rows)):
        x[row, place : place + 4] += 2 * y[row] - 1
    return x.astype("float32"), y


def adapted(x, **arguments):
    scaling, rocket = layers.StandardScaling(), layers.MiniRocket(9, x.shape[1])
    scaling.adapt(x)
    rocket.adapt(scaling(x))
    model = models.mini_rocket(
        (None, 1), 1, rocket, scaling=scaling, task="binary", **arguments
    )
    features = keras.Model(model.input, model.get_layer("features").output)
    model.get_layer("feature_scaling").adapt(features(x))
    return model


@pytest.mark.slow
def test_a_linear_head_learns_shapes_wherever_they_are():
    x, y = bumps(80)
    model = adapted(x[:40])
    model.compile(
        optimizers.AdamW(1e-3),
        models.loss_for(model),
        metrics=models.metrics_for(model),
    )
    model.fit(x[:40], y[:40], epochs=20, batch_size=8, verbose=0)
    assert model.evaluate(x[40:], y[40:], verbose=0, return_dict=True)["accuracy"] > 0.9


def test_padding_has_no_influence():
    x, _ = bumps(4)
    model = adapted(x, mask_value=PADDING)
    padded = np.full((4, 37, 1), PADDING, "float32")
    padded[:, 3:33] = x
    assert_close(model(padded), model(x), atol=1e-4)


def test_the_end_of_a_longer_sequence_is_read():
    x, _ = bumps(4)
    model = adapted(x, max_length=30, keep="end")
    longer = np.concatenate([np.ones((4, 9, 1), "float32"), x], axis=1)
    assert_close(model(longer), model(x), atol=1e-4)


def test_the_head_alone_is_trained():
    model = adapted(bumps(4)[0])
    assert {w.path.split("/")[0] for w in model.trainable_variables} == {"outputs"}
    assert model.get_layer("features").output.shape == (None, 9 * 84 + 12)


@pytest.mark.parametrize("segments", [0, 4])
def test_levels_are_features_too(segments):
    model = adapted(bumps(4)[0], segments=segments)
    assert model.get_layer("outputs").kernel.shape == (9 * 84 + segments, 1)


@pytest.mark.parametrize("rocket", [None, 119, keras.layers.Dense(2)])
def test_another_layer_than_a_mini_rocket_is_refused(rocket):
    with pytest.raises(ValueError, match=r"must be a `layers.MiniRocket`"):
        models.mini_rocket((30, 1), 2, rocket)
