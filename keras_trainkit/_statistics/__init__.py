"""Statistics of data that arrives in batches, per feature, float64 on the host.

`rows_of` reads what a user passes to `adapt`; the others take its rows in any order
and any portions: `update(rows)`, `merge(other)`. NaN counts as absent.
"""

from keras_trainkit._statistics.covariance import Covariance
from keras_trainkit._statistics.distinct_share import DistinctShare
from keras_trainkit._statistics.extremes import Extremes
from keras_trainkit._statistics.moments import Moments
from keras_trainkit._statistics.quantiles import Quantiles
from keras_trainkit._statistics.rows import rows_of

__all__ = ["Covariance", "DistinctShare", "Extremes", "Moments", "Quantiles", "rows_of"]
