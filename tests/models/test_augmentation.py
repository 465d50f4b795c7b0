"""The argument `augmentation` of both builders."""

import keras
import numpy as np
import pytest
from comparing import assert_equal

from keras_trainkit import layers, models

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(50, 3))


class Doubled(keras.layers.Layer):
    """Shows where it stands: inputs are doubled while training."""

    def call(self, inputs, training=False):
        return inputs * 2 if training else inputs


def table(**arguments):
    scaling = layers.StandardScaling()
    scaling.adapt(ROWS)
    keras.utils.set_random_seed(0)
    return models.mlp((3,), 1, (4,), dropout=0.0, scaling=scaling, **arguments)


def test_numbers_are_changed_behind_the_scaling_while_training_alone():
    x = RNG.normal(size=(8, 3)).astype("float32")
    plain, changed = table(), table(augmentation=Doubled())
    assert_equal(plain(x), changed(x))
    scaled = plain.layers[1](x)
    hidden = keras.Model(plain.layers[2].input, plain.output)
    assert_equal(
        changed(x, training=True), hidden(2 * keras.ops.convert_to_numpy(scaled))
    )


def test_categories_are_left_alone():
    model = models.mlp(
        (1,), 1, (4,), dropout=0.0, category_sizes=[3], augmentation=Doubled()
    )
    codes = np.array([[0], [1], [2]])
    without = {"numeric": np.zeros((3, 1)), "categorical": codes}
    assert_equal(model(without), model(without, training=True))
    numbers = {"numeric": np.ones((3, 1)), "categorical": codes}
    twice = {"numeric": 2 * np.ones((3, 1)), "categorical": codes}
    assert_equal(model(numbers, training=True), model(twice))


def test_several_stand_one_behind_the_other():
    twice = [Doubled(), Doubled()]
    x = RNG.normal(size=(8, 3)).astype("float32")
    once = table(augmentation=Doubled())
    hidden = keras.Model(once.layers[2].input, once.output)
    scaled = keras.ops.convert_to_numpy(once.layers[1](x))
    assert_equal(table(augmentation=twice)(x, training=True), hidden(4 * scaled))


def test_tokens_are_dropped_before_the_embedding():
    tokens = RNG.integers(1, 20, (6, 12))
    dropout = layers.TokenDropout(0.5, replacement=0, seed=1)
    keras.utils.set_random_seed(0)
    rates = {"dropout": 0.0, "recurrent_dropout": 0.0}
    model = models.bilstm_attention(
        (None,), 1, (3,), vocabulary_size=20, augmentation=dropout, **rates
    )
    trained = keras.ops.convert_to_numpy(model(tokens, training=True))
    again = layers.TokenDropout(0.5, replacement=0, seed=1)
    dropped = keras.ops.convert_to_numpy(again(tokens, training=True))
    assert (dropped == 0).any()
    np.testing.assert_allclose(
        trained, keras.ops.convert_to_numpy(model(dropped)), rtol=1e-5, atol=1e-6
    )


def test_steps_keep_their_mask_and_gaps_stay_gaps(tmp_path):
    x = RNG.normal(size=(6, 12, 2)).astype("float32")
    x[0, 4:] = -9.0
    x[1, 3, 0] = np.nan
    augmentation = [
        layers.TimeShift(0.3, seed=1),
        layers.GaussianFeatureNoise(0.5, seed=2),
    ]
    model = models.bilstm_attention(
        (None, 2),
        1,
        (3,),
        mask_value=-9.0,
        missing="indicator",
        augmentation=augmentation,
        recurrent_dropout=0.0,
        dropout=0.0,
    )
    answers = keras.ops.convert_to_numpy(model(x, training=True))
    assert np.isfinite(answers).all()
    plain = keras.ops.convert_to_numpy(model(x))
    assert (answers != plain).any()
    longer = np.concatenate([x, np.full((6, 3, 2), -9.0, "float32")], axis=1)
    answers = keras.ops.convert_to_numpy(model(longer))
    np.testing.assert_allclose(answers, plain, rtol=1e-5, atol=1e-6)
    model.compile("adam", "mse")
    model.fit(x, np.zeros((6, 1)), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(loaded(x), model(x))
    assert any(isinstance(layer, layers.TimeShift) for layer in loaded.layers)


@pytest.mark.parametrize("wrong", ["noise", 0.1, [Doubled(), None], keras.ops.relu])
@pytest.mark.parametrize(
    "build", [table, lambda **given: models.bilstm_attention((None, 2), 1, **given)]
)
def test_refuses_what_is_no_layer(build, wrong):
    with pytest.raises(ValueError, match="`augmentation` changes.*must be a layer"):
        build(augmentation=wrong)
