from typing import NamedTuple

import numpy as np


class PrincipalComponents(NamedTuple):
    """Float32, named as the weights that take them."""

    center: np.ndarray
    center_rest: np.ndarray
    components: np.ndarray
    deviation: np.ndarray
    explained_variance_ratio: np.ndarray


def principal_components(gathered, units, name):
    """The first `units` of a `Covariance`, or as many as explain that share."""
    if gathered.count < 2:
        raise ValueError(
            f"{name} learns directions from the rows of `data`, of which at least two "
            f"must be without NaN and not masked. Received: {gathered.count}."
        )
    covariance = gathered.products / (gathered.count - 1)
    _check_range(covariance, gathered.mean, name)
    variance, components = np.linalg.eigh(covariance)
    variance, components = variance[::-1], components.T[::-1]
    rounding = len(variance) * np.finfo("float64").eps * variance[0]
    moves = variance > rounding
    variance = np.where(moves, variance, 0.0)
    ratio = variance / variance.sum()
    if isinstance(units, float):
        units = int(np.argmax(np.cumsum(ratio) >= min(units, ratio.sum()))) + 1
    largest = np.argmax(np.abs(components), axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    components = np.where(moves, signs, 0.0)[:, None] * components
    nearest = gathered.mean.astype("float32")
    return PrincipalComponents(
        nearest,
        (gathered.mean - nearest).astype("float32"),
        components[:units].astype("float32"),
        np.sqrt(variance[:units]).astype("float32"),
        ratio[:units].astype("float32"),
    )


def _check_range(covariance, mean, name):
    float32 = np.finfo("float32")
    widest = np.sqrt(np.abs(np.diag(covariance)).max())
    if widest == 0:
        raise ValueError(
            f"{name} learns in which directions `data` varies, so at least one feature "
            "must. Received: features that are all constant."
        )
    fits = float32.tiny <= widest <= float32.max / 2**10
    if not (fits and (np.abs(mean) <= float32.max).all()):
        raise ValueError(
            f"{name} computes in float32, so values must lie within 3.4e38 and deviate "
            "by more than 1.2e-38 and less than 3e35. Received: other values."
        )
