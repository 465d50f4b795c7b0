"""Where a feature's values lie and how far they spread, from its statistics.

Extremes, quantiles and moments are those of `keras_trainkit._statistics`; a spread of
0 means a constant feature.
"""

import numpy as np


def median_and_spread(extremes, quantiles):
    """Median and `q75 - q25`; `max - min` where the quartiles are equal."""
    quarter, median, three_quarters = quantiles.quantile([0.25, 0.5, 0.75])
    with np.errstate(over="ignore"):  # refused as too wide for float32
        spread = three_quarters - quarter
        spread = np.where(spread == 0, extremes.highest - extremes.lowest, spread)
    return median, spread


def mean_and_deviation(extremes, moments):
    """Mean and standard deviation, the latter divided by n."""
    constant = extremes.lowest == extremes.highest  # the mean of equals may round
    center = np.where(constant, extremes.lowest, moments.mean)
    return center, np.where(constant, 0.0, moments.deviation)
