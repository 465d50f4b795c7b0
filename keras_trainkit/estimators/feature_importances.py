import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer, get_scorer_names

from keras_trainkit.analysis._figures import check_path, new_figure, save
from keras_trainkit.estimators._frames import Table, taken
from keras_trainkit.estimators._scoring import check_classes, scoring_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BARS = 40
_PURPOSE = "is what a shuffled column costs"
_OTHERS = ", or a name of scikit-learn's (`sklearn.metrics.get_scorer_names()`)"


@dataclasses.dataclass(frozen=True)
class FeatureImportances:
    """Loss of score of a model when the values of one column are shuffled.

    Given by `feature_importances` of an estimator. Columns that say the same share
    their importance: each can stand in for the other, so both look unimportant.

    Attributes:
        names: Tuple of the names of the columns, in the order of the table.
        mean: `(columns,)`. Score lost, the mean over the repeats; below 0 by chance.
        std: `(columns,)`. Standard deviation over the repeats.
        score: Float. Score without shuffling.
        metric: String. Name of the score, of which more is better.

    Example:

    >>> found = FeatureImportances(
    ...     ("age", "town"), np.array([0.2, 0.0]), np.array([0.02, 0.01]), 0.9, "r2"
    ... )
    >>> found.plot("importances.png")
    >>> found.names[found.mean.argmax()]
    'age'

    Source: Breiman, 2001, doi:10.1023/A:1010933404324, by
    `sklearn.inspection.permutation_importance`.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    score: float
    metric: str

    @property
    def verdict(self) -> str:
        """A sentence: the columns that cost most, and how many cost nothing."""
        matters = self.mean > self.std
        order = np.argsort(-self.mean, kind="stable")
        order = order[matters[order]][:3]
        if not len(order):
            return (
                f"{self.metric} is {self.score:.4g}; shuffled, no column of "
                f"{len(self.names)} takes away more than one deviation."
            )
        most = ", ".join(f"{self.names[at]} ({self.mean[at]:.3g})" for at in order)
        return (
            f"{self.metric} is {self.score:.4g}; most is lost without {most}. "
            f"{int((~matters).sum())} of {len(self.names)} columns lose no more than "
            "one deviation."
        )

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws a bar for each column, the largest first, with one deviation.

        Args:
            path: File to write; `.png`, `.pdf` or `.svg`. The 40 largest bars are
                drawn.

        Raises:
            ValueError: For another suffix.
        """
        check_path(path)
        save(self._draw(), path)

    def _draw(self) -> "Figure":
        order = np.argsort(-self.mean, kind="stable")[:_MOST_BARS]
        figure, (axes,) = new_figure()
        figure.set_size_inches(7.0, 1.6 + 0.3 * len(order))
        heights = np.arange(len(order))[::-1]
        axes.barh(heights, self.mean[order], xerr=self.std[order], height=0.7)
        axes.set_yticks(heights, [self.names[number] for number in order])
        axes.grid(axis="y", visible=False)
        axes.tick_params(left=False)
        axes.set(
            ylim=(-0.6, len(order) - 0.4),
            xlabel=f"{self.metric} lost, of {self.score:.4g}",
            title="Importance of the columns",
        )
        return figure


def importances_of(
    estimator: Any, table: Table, y: Any, scoring: str, repeats: int, seed: int
) -> FeatureImportances:
    """Shuffles one column after the other, by scikit-learn's own function.

    That function shuffles arrays, so it is given the row number of every value; rows
    are put together from the table as they are scored, whatever its columns hold.
    """
    scorer = _scorer(estimator, scoring)
    numbers = np.tile(np.arange(table.rows)[:, None], (1, len(table.columns)))

    def score(fitted: Any, rows: np.ndarray, target: Any) -> float:
        columns = zip(table.columns.items(), rows.T, strict=True)
        shuffled = {name: taken(column, row) for (name, column), row in columns}
        return float(scorer(fitted, Table(shuffled, len(rows), table.named), target))

    found = permutation_importance(
        estimator, numbers, y, scoring=score, n_repeats=repeats, random_state=seed
    )
    return FeatureImportances(
        names=tuple(table.columns),
        mean=found.importances_mean,
        std=found.importances_std,
        score=score(estimator, numbers, y),
        metric=scoring,
    )


def _scorer(estimator: Any, scoring: str) -> Any:
    """Scikit-learn's function of an estimator, rows and answers, or one of the kit."""
    # Its "f1" knows no classes but 0 and 1.
    if scoring in get_scorer_names() and scoring != "f1":
        return _of_scikit_learn(scoring)
    regression = not is_classifier(estimator)
    task = estimator._goal(dict(vars(estimator))).task
    measure = scoring_for(scoring, task, 1, _PURPOSE, _OTHERS)

    def score(fitted: Any, table: Table, target: np.ndarray) -> float:
        truth = fitted._known_target(target)
        check_classes(measure, truth)
        found = fitted.predict(table) if regression else fitted.predict_proba(table)
        return measure.score(truth, np.reshape(found, (len(truth), -1)), None)

    return score


def _of_scikit_learn(scoring: str) -> Any:
    """Its function; what it says of answers that it cannot score follows our words."""
    scorer = get_scorer(scoring)

    def score(fitted: Any, table: Table, target: np.ndarray) -> float:
        must = (
            f"`scoring` {_PURPOSE} and must be one that scikit-learn computes for "
            f"such answers. Received: scoring={scoring!r}, "
        )
        try:
            found = scorer(fitted, table, target)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{must}where it says: {error}") from error
        if np.isnan(found):
            raise ValueError(f"{must}which is NaN for these {table.rows} rows.")
        return found

    return score
