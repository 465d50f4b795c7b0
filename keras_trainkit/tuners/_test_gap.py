"""How much better a search looks on its validation rows than on rows it never saw."""

import math
import statistics
import warnings

from keras_trainkit.tuners._fold_data import row_count, rows
from keras_trainkit.tuners._slots import RESULT

_PARTS = 10
_STANDARD_ERRORS = 2


def warn_of_gap(best, metrics, evaluate, data, objective):
    """Warns when the best trial's score is better than on test rows by its spread.

    Args:
        best: Optuna's trial.
        metrics: Dict of the test rows.
        evaluate: Function of x and y that returns such a dict.
        data: `(x, y)`, the test rows.
        objective: KerasTuner's objective.
    """
    test = _value(metrics, objective)
    if test is None:  # it came from a `fit` that computes it in its own way
        return
    spread = best.user_attrs[RESULT]["spread"]
    if spread is None:
        spread = _spread_by_chance(evaluate, data, objective)
    gap = (test - best.value) * (-1 if objective.direction == "max" else 1)
    if spread is None or gap <= spread:
        return
    warnings.warn(
        f"The search has fitted its validation rows: {objective.name} of the best "
        f"trial was {best.value:.5g} there and is {test:.5g} on rows that the search "
        f"has not seen, worse by {gap:.2g}, where its spread is {spread:.2g}. Report "
        "the latter; `folds`, `executions_per_trial` and more validation rows help.",
        stacklevel=3,
    )


def _value(metrics, objective):
    """The objective among metrics of `evaluate`, which lack the prefix `val_`."""
    for logs in ({f"val_{name}": v for name, v in metrics.items()}, metrics):
        if objective.has_value(logs):
            return float(objective.get_value(logs))
    return None


def _spread_by_chance(evaluate, data, objective):
    """Standard errors of the test score, by parts of the rows; None for a data set."""
    x, y = data
    if y is None or row_count(x) < 2 * _PARTS:
        return None
    numbers = range(row_count(x))
    found = []
    for first in range(_PARTS):
        part = list(numbers[first::_PARTS])
        found.append(_value(evaluate(rows(x, part), rows(y, part)), objective))
    return _STANDARD_ERRORS * statistics.stdev(found) / math.sqrt(_PARTS)
