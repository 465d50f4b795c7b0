"""Statistics of the numbers of one column, whatever portions they come in."""

from typing import Any

import numpy as np

from keras_trainkit._arrays import BlockBuffer
from keras_trainkit._statistics import DistinctShare, Extremes, Moments, Quantiles
from keras_trainkit._statistics.centers import mean_and_deviation, median_and_spread

BLOCK = 2**16  # values that enter the statistics together
QUANTILE_VALUES = 2**18  # kept per column, 2 MiB


class NumberStatistics:
    """Statistics of the numbers of one column, fed in blocks of equal length."""

    def __init__(self, with_moments: bool):
        self._buffer = BlockBuffer(BLOCK)
        self._extremes = Extremes()
        self._quantiles = Quantiles(QUANTILE_VALUES)
        self._moments = Moments() if with_moments else None
        self._distinct: DistinctShare | None = (
            DistinctShare()
        )  # None: some are not whole

    def update(self, values: np.ndarray) -> None:
        for block in self._buffer.add(values):
            self._take(block)

    def fields(self, scaling: str | None) -> dict[str, Any]:
        """Fields of the column state, after the last update."""
        self._take(self._buffer.take_rest())
        center, spread = np.zeros(1), np.ones(1)
        if scaling == "robust":
            center, spread = median_and_spread(self._extremes, self._quantiles)
        elif self._moments is not None and scaling == "standard":
            center, spread = mean_and_deviation(self._extremes, self._moments)
        return {
            "fill": float(self._quantiles.quantile(0.5)[0]),
            "center": float(center[0]),
            "spread": float(min(spread[0], np.finfo("float64").max)),
            "lowest": float(self._extremes.lowest[0]),
            "highest": float(self._extremes.highest[0]),
        }

    def distinct_whole_share(self) -> float:
        """Share of different numbers; 0 if one of them is not whole."""
        return self._distinct.share if self._distinct else 0.0

    def _take(self, values: np.ndarray) -> None:
        if self._distinct and (values != np.floor(values)).any():
            self._distinct = None
        if self._distinct:
            self._distinct.update(values)
        rows = values[:, np.newaxis]
        block = Quantiles(QUANTILE_VALUES)
        block.update(rows)
        self._quantiles.merge(block)  # leaves nothing waiting, unlike `update`
        self._extremes.update(rows)
        if self._moments is not None:
            self._moments.update(rows)
