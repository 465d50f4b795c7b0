from typing import Any

import keras

from keras_trainkit._checks import check_choice, check_counts, check_number, check_seed

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


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
    | `flip`       | `RandomFlip`        | mirrors half of the pictures               |
    | `crop`       | `RandomCrop`        | takes a part of this size                  |
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
        value_range: Lowest and highest value of the pictures.
        seed: Int >= 0, from which each layer has one of its own; None: random ones.

    Returns:
        `keras.Sequential`, which takes `(batch, height, width, channels)`.

    Raises:
        ValueError: An argument outside its range, or none that changes anything.

    Example:

    >>> augment = image_augmentation(flip="horizontal", rotation=0.1, seed=0)
    >>> tuple(augment(keras.ops.ones((2, 8, 8, 3)), training=True).shape)
    (2, 8, 8, 3)
    """
    check_seed("seed", seed)
    if flip is not None:
        check_choice("flip", flip, "says which way pictures are mirrored", _FLIPS)
    if crop is not None:
        check_counts("crop", crop, "is the height and width of the part", 2)
    purpose = "is how far pictures are changed"
    check_number("rotation", rotation, purpose, at_least=0, at_most=1)
    check_number("scale", scale, purpose, at_least=0, below=1)
    check_number("colour", colour, purpose, at_least=0, at_most=1)
    check_number("brightness", brightness, purpose, at_least=0, at_most=1)
    _check_range(value_range)
    seeds = iter([None] * 6 if seed is None else range(seed, seed + 6))
    kinds: list[tuple[Any, Any, dict[str, Any]]] = [
        (keras.layers.RandomFlip, flip, {"mode": flip}),
        (keras.layers.RandomCrop, crop, _sizes(crop)),
        (keras.layers.RandomRotation, rotation, {"factor": rotation}),
        (keras.layers.RandomZoom, scale, {"height_factor": scale}),
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
    layers = [
        kind(**arguments, seed=own)
        for (kind, given, arguments), own in zip(kinds, seeds, strict=True)
        if given
    ]
    if not layers:
        raise ValueError(
            "`image_augmentation` changes pictures and must be told how, by one of "
            "flip, crop, rotation, scale, colour and brightness. Received: none."
        )
    return keras.Sequential(layers, name="image_augmentation")


def _sizes(crop: tuple[int, int] | None) -> dict[str, int]:
    if crop is None:
        return {}
    height, width = crop
    return {"height": height, "width": width}


def _check_range(value_range: Any) -> None:
    purpose = "`value_range` holds the values of the pictures and must be two numbers"
    fits = isinstance(value_range, list | tuple) and len(value_range) == 2
    if not fits or not value_range[0] < value_range[1]:
        raise ValueError(
            f"{purpose}, the lower first. Received: value_range={value_range!r}."
        )
