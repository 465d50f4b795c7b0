"""Kernel ridge regression that learns how much each column counts.

Where its numbers come from is in docs/figures/tables.md.
"""

import math
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from keras_trainkit.estimators._ridge import Fit, ridge
from keras_trainkit.layers.radial_basis import (
    inverse_deviations,
    median_distance,
    squared_distances,
)

FIRST_CENTERS = 500  # rows with which the scales are learned
MOST_CENTERS = 1_500
WIDTHS = (0.03, 0.1, 0.3, 1.0, 3.0)  # factors of squared distances, whose median is 1
STEP = 3.0  # from one factor to those beside it, once the columns have weights
ROUNDS = 2  # of weights for the columns
LEAST_WEIGHT = 1e-3  # of a column, over that of the first
PENALTIES = 10.0 ** np.arange(-5, 3.5, 0.5)  # with less float32 has too few digits
STRENGTHS = (0.3, 1.0, 3.0)  # of what stands beside the kernels, weakest first
ROUNDING = 1e-7  # of the largest eigenvalue: below the digits of float32


class KernelRidge(NamedTuple):
    """A function of Matérn kernels around some of the rows, and of features beside.

    Args:
        centers: `(centers, columns)`, those rows.
        scales: `(columns,)`. One over the length scale of each column.
        kernel: `(centers, outputs)`.
        bias: `(outputs,)`.
        beside: `(features, outputs)`, 0 where they tell no more.
    """

    centers: np.ndarray
    scales: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    beside: np.ndarray

    def predict(self, x: np.ndarray, features: np.ndarray | None = None) -> np.ndarray:
        """Outputs `(rows, outputs)`."""
        distances = squared_distances(x * self.scales, self.centers * self.scales)
        found = _matern(distances)[0] @ self.kernel + self.bias
        return found if features is None else found + features @ self.beside


def kernel_ridge(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
    features: np.ndarray | None = None,
) -> KernelRidge:
    """Fits a function of Matérn kernels; what it needs is best for rows left out.

    It begins with columns of the same variance, and the best width of the kernel. Then
    each column counts by how much the function changes along it, and the width is
    chosen anew; twice. Then features stand beside the kernels, the stronger the longer
    that helps.

    Args:
        x: `(rows, columns)`, float64.
        y: `(rows, outputs)`, of unit size.
        weights: As in `ridge`, and so are `groups`.
        groups: Likewise; of a single one rows are left out one by one.
        seed: Int >= 0. Draws the centers of more than 1,500 rows.
        features: `(rows, features)`, whose linear function is added, or None.

    Source: Radhakrishnan, Beaglehole, Pandit and Belkin, 2024, "Mechanism for Feature
    Learning in Neural Networks and Backpropagation-Free Machine Learning Models",
    arXiv:2212.13881 (recursive feature machines). There the whole matrix of products
    of derivatives scales a Laplace kernel; here the roots of its diagonal scale a
    Matérn kernel.
    """
    if groups is not None and len(np.unique(groups)) == 1:
        groups = None  # which none is left out for
    # Threads that wait for each other on a busy machine take a hundred times as long.
    with threadpool_limits(1, "blas"):
        return _kernel_ridge(x, y, weights, groups, seed, features)


def _kernel_ridge(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
    features: np.ndarray | None,
) -> KernelRidge:
    order = np.random.default_rng(seed).permutation(len(x))
    first, centers = x[order[:FIRST_CENTERS]], x[order[:MOST_CENTERS]]
    error, scales = _learned_scales(x, y, first, weights, groups)
    factor = 0.0
    if features is None:
        features = np.zeros((len(x), 0))
    if features.shape[1]:
        kernels, _ = _whitened(x, first, scales)
        factor = _strength(kernels, y, weights, groups, features, error)
    inputs, whiten = _whitened(x, centers, scales)
    width = inputs.shape[1]
    if factor:
        inputs = np.concatenate([inputs, factor * features], axis=1)
    fit = ridge(inputs, y, weights, groups, penalties=PENALTIES)
    beside = np.zeros((features.shape[1], y.shape[1]))
    if factor:
        beside = factor * fit.kernel[width:]
    return KernelRidge(centers, scales, whiten @ fit.kernel[:width], fit.bias, beside)


def _learned_scales(
    x: np.ndarray,
    y: np.ndarray,
    centers: np.ndarray,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
) -> tuple[float, np.ndarray]:
    """The error of rows left out, and the scales with which it is least."""
    relevance = alike = inverse_deviations(x, weights)
    best = (math.inf, alike)
    factors: tuple[float, ...] = WIDTHS
    for number in range(ROUNDS + 1):
        median = median_distance(centers * relevance)
        tried = []
        for factor in factors:
            scales = relevance * math.sqrt(factor) / median
            fit, kernel = _fitted(x, y, centers, scales, weights, groups)
            tried.append((fit.error, factor, scales, kernel))
        error, factor, scales, kernel = min(tried, key=lambda one: one[0])
        best = min(best, (error, scales), key=lambda one: one[0])
        if number < ROUNDS:
            slopes = _mean_squared_slopes(x, centers, scales, kernel, weights)
            relevance = alike * _relative(slopes, alike)
            factors = (factor / STEP, factor, factor * STEP)
    return best


def _strength(
    kernels: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
    features: np.ndarray,
    error: float,
) -> float:
    """Factor of the features beside the kernels; 0 where they lower no error.

    Args:
        kernels: As `_whitened` gives them.
        error: That of rows left out without the features.
    """
    found = 0.0
    mean = np.average(features, axis=0, weights=weights)
    variances = np.average((features - mean) ** 2, axis=0, weights=weights)
    size = float(np.sqrt(variances.sum()))
    if size == 0:
        return found
    for strength in STRENGTHS:
        factor = strength / size  # as kernels, whose variance is at most 1
        inputs = np.concatenate([kernels, factor * features], axis=1)
        fit = ridge(inputs, y, weights, groups, penalties=PENALTIES)
        if fit.error >= error:
            break
        error, found = fit.error, factor
    return found


def _fitted(
    x: np.ndarray,
    y: np.ndarray,
    centers: np.ndarray,
    scales: np.ndarray,
    weights: np.ndarray | None,
    groups: np.ndarray | None,
) -> tuple[Fit, np.ndarray]:
    """Ridge regression in the space of the centers' kernels, and their weights."""
    inputs, whiten = _whitened(x, centers, scales)
    fit = ridge(inputs, y, weights, groups, penalties=PENALTIES)
    return fit, whiten @ fit.kernel


def _whitened(
    x: np.ndarray, centers: np.ndarray, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows in the space of the centers' kernels, and the matrix to it."""
    among = _matern(squared_distances(centers * scales, centers * scales))[0]
    values, vectors = np.linalg.eigh(among)
    kept = values > ROUNDING * values[-1]
    whiten = vectors[:, kept] / np.sqrt(values[kept])
    likeness = _matern(squared_distances(x * scales, centers * scales))[0]
    return likeness @ whiten, whiten


def _mean_squared_slopes(
    x: np.ndarray,
    centers: np.ndarray,
    scales: np.ndarray,
    kernel: np.ndarray,
    weights: np.ndarray | None,
) -> np.ndarray:
    """Mean square of the function's derivatives along each column, over the rows."""
    slopes = _matern(squared_distances(x * scales, centers * scales))[1]
    total = np.zeros(x.shape[1])
    for output in kernel.T:
        each = slopes * output
        along = each @ centers - x * np.sum(each, axis=1)[:, None]
        total += np.average((along * scales**2) ** 2, axis=0, weights=weights)
    return total


def _relative(slopes: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Weights of the columns, at most 1: roots of the slopes, in standard units."""
    found = np.sqrt(slopes) / np.where(alike > 0, alike, 1)
    largest = found.max()
    if not largest > 0:
        return np.ones(len(slopes))
    return np.maximum(np.sqrt(found / largest), LEAST_WEIGHT)


def _matern(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel "matern32", and minus its slope over the distance."""
    distance = np.sqrt(3 * squared)
    decay = np.exp(-distance)
    return (1 + distance) * decay, 3 * decay
