"""Center and spread of each feature, from its statistics; spread 0 if constant."""

import numpy as np

from keras_trainkit._statistics.extremes import Extremes
from keras_trainkit._statistics.moments import Moments
from keras_trainkit._statistics.quantiles import Quantiles


def median_and_spread(
    extremes: Extremes, quantiles: Quantiles
) -> tuple[np.ndarray, np.ndarray]:
    """Median and `q75 - q25`; `max - min` where the quartiles are equal."""
    quarter, median, three_quarters = quantiles.quantile([0.25, 0.5, 0.75])
    with np.errstate(over="ignore"):  # the caller refuses it as too wide
        spread = three_quarters - quarter
        spread = np.where(spread == 0, extremes.highest - extremes.lowest, spread)
    return median, spread


def mean_and_deviation(
    extremes: Extremes, moments: Moments
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, the latter divided by n."""
    constant = extremes.lowest == extremes.highest  # their mean may round
    center = np.where(constant, extremes.lowest, moments.mean)
    return center, np.where(constant, 0.0, moments.deviation)
