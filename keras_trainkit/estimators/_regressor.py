"""The part that all estimators of numbers share, whatever they read."""

from typing import Any

import keras
import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._types import Model
from keras_trainkit.estimators._conformal import ROUNDING, conformal_quantile
from keras_trainkit.estimators._estimator import Estimator
from keras_trainkit.estimators._targets import check_resolution, read_numbers
from keras_trainkit.estimators._training import Goal


class Regressor(RegressorMixin, Estimator):
    """Gives a number, or several, to each row, and intervals."""

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The predictions, in the units of the targets.

        Args:
            X: Rows as `fit` takes them: of a table with the same columns, in any order.

        Returns:
            float32 `(rows,)`, or `(rows, outputs)` where `y` had two axes.

        Raises:
            ValueError: Rows of another kind than those of `fit`, such as a table with
                other columns, or without names where names were learned.
        """
        return self._shaped(self._outputs(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """R²: the share of the variance of `y` that `predict` accounts for.

        Args:
            X: As in `predict`.
            y: What is true of the rows, `(rows,)` or `(rows, outputs)`, none missing.
            sample_weight: `(rows,)`, at least 0, or None: all rows count the same.

        Returns:
            1 at best; 0 for the mean of `y`, below 0 for worse.

        Raises:
            ValueError: As `fit`, for what it would refuse of the three.
        """
        return float(super().score(*self._scored(X, y, sample_weight)))

    def predict_interval(
        self,
        X: Any,  # noqa: N803
        coverage: float = 0.9,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends of an interval for each row, in which the truth lies so often.

        All intervals of an output are equally wide: as far to both sides of the
        prediction as a share `coverage` of the validation rows was off at most (with
        folds: of all rows, each as the network says that left it out).

        The promise is for rows drawn as the validation rows were, for each output by
        itself, and not exact: the best epoch was chosen by these rows, so that
        intervals are slightly too narrow, the less the more there are; the mean of the
        networks of folds is nearer to the truth than each, so that intervals are
        rather too wide.

        Args:
            X: As in `predict`.
            coverage: Float in (0, 1). Share of rows whose interval holds the truth.

        Returns:
            Tuple of lower and upper ends, each of the shape of `predict`.

        Raises:
            ValueError: Too few validation rows for this coverage; 0.9 needs 9.

        Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, 2018, arXiv:1604.04173,
        algorithm 2.
        """
        check_is_fitted(self)
        width = conformal_quantile(self.conformity_scores_, coverage)
        outputs = self._outputs(X).astype("float64")
        width = width + ROUNDING * np.abs(outputs)
        return self._shaped(outputs - width), self._shaped(outputs + width)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _shaped(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 0] if self._one_axis else outputs

    def _learn_target(
        self, y: np.ndarray, rows: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        numbers = read_numbers(y)
        check_resolution(y.reshape(numbers.shape)[rows])
        return {"_one_axis": y.ndim == 1}, numbers

    def _known_target(self, y: np.ndarray) -> np.ndarray:
        numbers = read_numbers(y)
        if numbers.shape[1] != self.conformity_scores_.shape[1]:
            outputs = self.conformity_scores_.shape[1]
            raise ValueError(
                f"`y` is what is true of the rows and must be {outputs} numbers for "
                f"each. Received: y of shape {y.shape}."
            )
        return numbers

    def _scored_target(self, y: np.ndarray) -> np.ndarray:
        numbers = self._known_target(y)
        return numbers[:, 0] if self._one_axis else numbers

    def _goal(self, learned: dict[str, Any]) -> Goal:
        return self._goal_of("regression", None)

    def _after_training(
        self, outputs: np.ndarray, y: np.ndarray, validated: list[int]
    ) -> None:
        off = np.abs(y - outputs)
        self.conformity_scores_ = np.sort(off, axis=0)

    def _served_model(self) -> Model:
        return self.model_

    def _served_with(self, coverage: float | None) -> tuple[Model, dict[str, Any]]:
        if coverage is None:
            return self.model_, {}
        width = conformal_quantile(self.conformity_scores_, coverage)
        outputs = {"predictions": self.model_.output}
        for name, sign in (("lower", -1), ("upper", 1)):
            end = keras.layers.Rescaling(1.0, (sign * width).tolist(), name=name)
            outputs[name] = end(self.model_.output)
        return keras.Model(self.model_.input, outputs, name="with_interval"), {}

    def _learned(self) -> dict[str, Any]:
        scores = self.conformity_scores_.astype("float64").tolist()
        return {"one_axis": self._one_axis, "conformity_scores": scores}

    @classmethod
    def _restored(cls, learned: dict[str, Any], model: Model) -> dict[str, Any]:
        scores = np.array(learned["conformity_scores"], "float64")
        scores = scores.reshape(len(scores), model.output_shape[-1])
        is_ascending = np.all(np.diff(scores, axis=0) >= 0)  # False of NaN
        if not (len(scores) and is_ascending and scores.min() >= 0):
            raise ValueError("conformity scores that are not numbers from 0 on, rising")
        if not np.isfinite(scores).all():
            raise ValueError("conformity scores that are infinite")
        one_axis = learned["one_axis"]
        if type(one_axis) is not bool or (one_axis and scores.shape[1] > 1):
            raise ValueError(f"one_axis={one_axis!r} of {scores.shape[1]} outputs")
        return {"_one_axis": one_axis, "conformity_scores_": scores}
