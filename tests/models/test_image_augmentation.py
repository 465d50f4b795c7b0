"""Keras' layers for pictures in one model."""

import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal

from keras_trainkit.models import image_augmentation

PICTURES = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
ALL = {
    "flip": "horizontal",
    "crop": (6, 5),
    "rotation": 0.1,
    "scale": 0.2,
    "colour": 0.3,
    "brightness": 0.2,
}


def changed(model):
    return keras.ops.convert_to_numpy(model(PICTURES, training=True))


def test_layers_are_those_of_keras_in_this_order_with_seeds_of_their_own():
    layers = image_augmentation(**ALL, seed=3).layers
    kinds = "RandomFlip RandomCrop RandomRotation RandomZoom RandomColorJitter"
    assert [type(layer).__name__ for layer in layers] == [
        *kinds.split(),
        "RandomBrightness",
    ]
    assert len({layer.seed for layer in layers}) == 6


@pytest.mark.parametrize("name", list(ALL))
def test_each_changes_pictures_in_training_alone_and_repeats_by_its_seed(name):
    one, other = (image_augmentation(**{name: ALL[name]}, seed=5) for _ in range(2))
    found = changed(one)
    assert_equal(found, changed(other))
    assert found.shape == ((6, 6, 5, 3) if name == "crop" else PICTURES.shape)
    if name != "crop":
        assert np.abs(found - PICTURES).max() > 1
        assert_close(one.predict(PICTURES, verbose=0), PICTURES)


def test_all_of_them_come_back_from_a_file(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, image_augmentation(**ALL, seed=1)(inputs))
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert_close(
        loaded.predict(PICTURES, verbose=0), model.predict(PICTURES, verbose=0)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "must be told how, by one of"),
        ({"flip": "left"}, "`flip` says which way pictures are mirrored and must"),
        ({"crop": (3,)}, "`crop` is the height and width of the part and must"),
        ({"rotation": 2}, "`rotation` is how far pictures are changed and must"),
        ({"scale": 1}, "`scale` is how far pictures are changed and must"),
        ({"brightness": 0.1, "value_range": (1, 0)}, "`value_range` holds the values"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable and must"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        image_augmentation(**arguments)
