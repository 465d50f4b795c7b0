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


WAYS = {
    "horizontal": [(1, 1), (1, -1)],
    "vertical": [(1, 1), (-1, 1)],
    "horizontal_and_vertical": [(1, 1), (1, -1), (-1, 1), (-1, -1)],
}


@pytest.mark.parametrize("flip", WAYS)
def test_as_many_pictures_are_mirrored_in_each_way(flip):
    (picture,) = PICTURES[:1]
    model = image_augmentation(flip=flip, seed=5)
    found = model(np.stack([picture] * 128), training=True)
    found = keras.ops.convert_to_numpy(found)
    counts = [
        sum(np.array_equal(each, picture[::down, ::across]) for each in found)
        for down, across in WAYS[flip]
    ]
    expected = 128 / len(counts)  # 4 standard deviations: 20 to 23
    assert sum(counts) == 128 and np.allclose(counts, expected, atol=24)


def test_all_pictures_of_a_batch_get_the_same_crop():
    model = image_augmentation(crop=(3, 2), seed=4)
    pictures = np.stack([PICTURES[0]] * 6)
    found = [keras.ops.convert_to_numpy(model(pictures, training=True)) for _ in "abc"]
    assert all((batch == batch[0]).all() for batch in found)
    assert len({batch.tobytes() for batch in found}) > 1


@pytest.mark.parametrize("seed", [np.int64(3), 2**31 - 1])
def test_a_seed_may_be_the_highest_and_one_of_numpy(seed):
    model = image_augmentation(**{**ALL, "flip": "horizontal_and_vertical"}, seed=seed)
    seeds = [layer.seed for layer in model.layers]
    assert len(set(seeds)) == 7 and set(map(type, seeds)) == {int}
    assert changed(model).shape == (6, 6, 5, 3)


def test_numbers_of_numpy_do():
    given = {"crop": np.array([6, 5]), "rotation": 0.25, "scale": 0.5, "colour": 0.5}
    given["crop"] = tuple(given["crop"])
    numbers = {**given, "brightness": 0.25, "value_range": (0, 255)}
    arrays = {name: np.float32(given[name]) for name in ("rotation", "scale", "colour")}
    others = {
        "brightness": np.float64(0.25),
        "value_range": np.array([0, 255]).tolist(),
    }
    one, other = (
        image_augmentation(**{**numbers, **changes}, seed=5)
        for changes in ({}, {**arrays, **others})
    )
    assert_equal(changed(one), changed(other))


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
        (
            {"crop": (3, 3, 3)},
            "`crop` is the height and width of the part and must be a",
        ),
        ({"crop": (3, 2.5)}, r"`crop\[1\]` is the height and width .*crop\[1\]=2.5"),
        ({"crop": 3}, "must be a pair of integers of at least 1. Received: crop=3"),
        ({"value_range": (1, 0)}, r"must be a number above 1. Received: .*\[1\]=0"),
        (
            {"value_range": (None, 1)},
            r"`value_range\[0\]` holds the lowest and .*=None",
        ),
        (
            {"value_range": ("a", "b")},
            r"lowest and highest value .*must be a number.*'a'",
        ),
        (
            {"value_range": (0, np.inf)},
            r"`value_range\[1\]` .* a number above 0. .*=inf",
        ),
        ({"value_range": (0, 1, 2)}, "must be two numbers, the lower first. Received"),
        ({"value_range": 255}, "must be two numbers, the lower first. Received"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable and must"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        image_augmentation(**arguments)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_colours_of_other_than_three_channels_are_refused_while_a_model_is_made(
    channels,
):
    augment = image_augmentation(colour=0.3, rotation=0.1)
    words = rf"have value 3, .*shape .* 8, {channels}\)"
    with pytest.raises(ValueError, match=words):
        augment(keras.Input((8, 8, channels)))
    rotated = image_augmentation(rotation=0.1)(keras.Input((8, 8, channels)))
    assert rotated.shape == (None, 8, 8, channels)
