from typing import Any, TypeAlias

import keras

from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_number,
    check_seed,
)

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
# Class of a layer, what decides whether it is there, its arguments.
_Kinds: TypeAlias = list[tuple[Any, Any, dict[str, Any]]]
_HORIZONTAL, _VERTICAL = _FLIPS[::2], _FLIPS[1:]


def image_augmentation(
    *,
    flip: str | None = None,
    crop: tuple[int, int] | None = None,
    rotation: float = 0.0,
    scale: float = 0.0,
    colour: float = 0.0,
    brightness: float = 0.0,
    value_range: tuple[float, float] = (0.0, 255.0),
    seed: int | None = None,
) -> keras.Sequential:
    """Layers of Keras that change training pictures at random, in one model.

    They work while training and pass pictures on otherwise, so the model may stand at
    the beginning of another one, which is saved and served. What is left out does
    nothing; `crop` also takes the middle of a picture when predicting. Called by
    itself, without `fit` or `predict`, the model must be told `training`.

    | argument     | layer of Keras      | what it does                               |
    | ------------ | ------------------- | ------------------------------------------ |
    | `flip`       | `RandomFlip`        | mirrors half of the pictures; if both      |
    |              |                     | ways, half of them each way                |
    | `crop`       | `RandomCrop`        | takes a part of this size, the same of all |
    |              |                     | pictures of a batch                        |
    | `rotation`   | `RandomRotation`    | turns by up to this share of a full turn   |
    | `scale`      | `RandomZoom`        | enlarges or shrinks by up to this share    |
    | `colour`     | `RandomColorJitter` | changes contrast and saturation likewise   |
    | `brightness` | `RandomBrightness`  | adds up to this share of `value_range`     |

    Args:
        flip: "horizontal", "vertical", "horizontal_and_vertical", or None.
        crop: Height and width in pixels, or None.
        rotation: Float in [0, 1].
        scale: Float in [0, 1).
        colour: Float in [0, 1]; for pictures of three channels.
        brightness: Float in [0, 1].
        value_range: Lowest and highest value of the pictures, finite numbers.
        seed: Int >= 0, from which each layer has one of its own; None: random ones.

    Returns:
        `keras.Sequential`, which takes `(batch, height, width, channels)`.

    Raises:
        ValueError: An argument outside its range, or none that changes anything. Where
            it is called, with `colour`, on pictures that have not three channels.

    Example:

    >>> augment = image_augmentation(flip="horizontal", rotation=0.1, seed=0)
    >>> tuple(augment(keras.ops.ones((2, 8, 8, 3)), training=True).shape)
    (2, 8, 8, 3)

    Source: the layers of Keras. Its `RandomFlip("horizontal_and_vertical")` turns half
    of the pictures by half a turn (3.15); here there is a layer for each way.
    """
    seed = check_seed("seed", seed)
    if flip is not None:
        check_choice("flip", flip, "says which way pictures are mirrored", _FLIPS)
    purpose = "is how far pictures are changed"
    check_number("rotation", rotation, purpose, at_least=0, at_most=1)
    check_number("scale", scale, purpose, at_least=0, below=1)
    check_number("colour", colour, purpose, at_least=0, at_most=1)
    check_number("brightness", brightness, purpose, at_least=0, at_most=1)
    value_range = _checked_range(value_range)
    kinds = [
        *_movements(flip, crop, float(rotation), float(scale)),
        *_colours(float(colour), float(brightness), value_range),
    ]
    layers = [
        kind(**arguments, seed=None if seed is None else (seed + number) % 2**31)
        for number, (kind, given, arguments) in enumerate(kinds)
        if given
    ]
    for layer in layers:
        if isinstance(layer, keras.layers.RandomColorJitter):
            axis = -1 if layer.data_format == "channels_last" else -3
            layer.input_spec = keras.layers.InputSpec(axes={axis: 3})
    if not layers:
        raise ValueError(
            "`image_augmentation` changes pictures and must be told how, by one of "
            "flip, crop, rotation, scale, colour and brightness. Received: none."
        )
    return keras.Sequential(layers, name="image_augmentation")


def _movements(flip: str | None, crop: Any, rotation: float, scale: float) -> _Kinds:
    """Layers that move what is in a picture."""
    return [
        (keras.layers.RandomFlip, flip in _HORIZONTAL, {"mode": "horizontal"}),
        (keras.layers.RandomFlip, flip in _VERTICAL, {"mode": "vertical"}),
        (keras.layers.RandomCrop, crop, _sizes(crop)),
        (keras.layers.RandomRotation, rotation, {"factor": rotation}),
        (keras.layers.RandomZoom, scale, {"height_factor": scale}),
    ]


def _colours(
    colour: float, brightness: float, value_range: tuple[float, float]
) -> _Kinds:
    """Layers that change the colours of a picture."""
    return [
        (
            keras.layers.RandomColorJitter,
            colour,
            {
                "value_range": value_range,
                "contrast_factor": colour,
                "saturation_factor": colour,
            },
        ),
        (
            keras.layers.RandomBrightness,
            brightness,
            {"factor": brightness, "value_range": value_range},
        ),
    ]


def _sizes(crop: Any) -> dict[str, int]:
    if crop is None:
        return {}
    purpose = "is the height and width of the part"
    if not isinstance(crop, tuple | list) or len(crop) != 2:
        raise ValueError(
            f"`crop` {purpose} and must be a pair of integers of at least 1. "
            f"Received: crop={crop!r}."
        )
    for number, size in enumerate(crop):
        check_count(f"crop[{number}]", size, purpose)
    return {"height": int(crop[0]), "width": int(crop[1])}


def _checked_range(value_range: Any) -> tuple[float, float]:
    purpose = "holds the lowest and highest value of the pictures"
    if not isinstance(value_range, list | tuple) or len(value_range) != 2:
        raise ValueError(
            f"`value_range` {purpose} and must be two numbers, the lower first. "
            f"Received: value_range={value_range!r}."
        )
    low, high = value_range
    check_number("value_range[0]", low, purpose)
    check_number("value_range[1]", high, purpose, above=low)
    return float(low), float(high)
