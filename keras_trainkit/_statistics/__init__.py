"""Statistics of data that comes in batches, per feature, in float64 with NumPy.

`rows_of` reads what a user passes to `adapt`. Each statistic takes in its rows, in any
order and any portions, by `update(rows)`; NaN counts as missing. `centers` makes a
center and a spread of statistics. `DistinctShare` takes one column without NaN.
"""

from keras_trainkit._statistics.covariance import Covariance
from keras_trainkit._statistics.distinct_share import DistinctShare
from keras_trainkit._statistics.extremes import Extremes
from keras_trainkit._statistics.moments import Moments
from keras_trainkit._statistics.quantiles import Quantiles
from keras_trainkit._statistics.rows import rows_of

__all__ = ["Covariance", "DistinctShare", "Extremes", "Moments", "Quantiles", "rows_of"]
