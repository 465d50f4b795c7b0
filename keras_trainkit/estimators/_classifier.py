"""The part that all estimators of classes share, whatever they read."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._types import Model
from keras_trainkit.estimators._conformal import ROUNDING, conformal_quantile
from keras_trainkit.estimators._estimator import Estimator, Splits, trained_rows
from keras_trainkit.estimators._saved_folder import loaded_classes, saved_classes
from keras_trainkit.estimators._targets import read_classes, weights_of_classes
from keras_trainkit.estimators._training import Goal
from keras_trainkit.layers import TemperatureScaling
from keras_trainkit.layers._classes import plain_classes


class Classifier(ClassifierMixin, Estimator):
    """Gives a class to each row, its probability, and sets of classes."""

    classes_: np.ndarray
    temperature_: float
    class_weight: str | Mapping[Any, float] | None

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row.

        Args:
            X: Rows as `fit` takes them: of a table with the same columns, in any order.

        Returns:
            `(rows,)`, entries of `classes_`.

        Raises:
            ValueError: Rows of another kind than those of `fit`, such as a table with
                other columns, or without names where names were learned.
        """
        outputs = self._outputs(X)
        codes = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(1)
        return self.classes_[codes.astype(int)]

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """The probability of each class, in the order of `classes_`.

        Args:
            X: As in `predict`.

        Returns:
            float32 `(rows, classes)`, whose rows sum to 1.
        """
        return _probabilities(self._outputs(X))

    def predict_set(self, X: Any, coverage: float = 0.9) -> np.ndarray:  # noqa: N803
        """The classes that a row may be of: the true one is among them so often.

        A class is in the set of a row if it is no less probable there than the true
        class is in a share `coverage` of the validation rows (with folds: of all rows,
        each as the network says that left it out). A set of several classes
        says that the row is in doubt, an empty one that it is like none of them.

        The promise is for rows drawn as the validation rows were, and not exact: the
        best epoch was chosen by these, so that sets are slightly too small, the less
        the more there are; the mean of the networks of folds is nearer to the truth
        than each, so that sets are rather too large.

        Args:
            X: As in `predict`.
            coverage: Float in (0, 1). Share of rows whose set holds the true class.

        Returns:
            Bools `(rows, classes)`.

        Raises:
            ValueError: Too few validation rows for this coverage; 0.9 needs 9.

        Source: Sadinle, Lei and Wasserman, 2019, arXiv:1609.00451, least ambiguous
        sets.
        """
        check_is_fitted(self)
        limit = conformal_quantile(self.conformity_scores_, coverage)
        return 1 - self.predict_proba(X) <= limit + ROUNDING

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "temperature_" in state:
            self.calibrated_model_ = _calibrated(self.model_, self.temperature_)

    def _learn_target(
        self, y: np.ndarray, rows: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        classes, found = read_classes(y[rows])
        plain_classes(classes, "classification")
        codes = np.zeros(len(y), int)
        codes[rows] = found
        return {"classes_": classes}, codes

    def _known_target(self, y: np.ndarray) -> np.ndarray:
        known = {name: code for code, name in enumerate(self.classes_.tolist())}
        unknown = [name for name in np.unique(y).tolist() if name not in known]
        if y.ndim != 1 or unknown:
            found = f"{unknown}" if unknown else f"y of shape {y.shape}"
            raise ValueError(
                "`y` is what is true of the rows and must be a class of `classes_` for "
                f"each. Received: {found}."
            )
        return np.array([known[name] for name in y.tolist()])

    def _weights(
        self,
        learned: dict[str, Any],
        y: np.ndarray,
        weights: np.ndarray | None,
        splits: Splits,
    ) -> np.ndarray | None:
        classes = learned["classes_"]
        _check_every_class(classes, y, splits)
        training = y[trained_rows(splits)]
        by_class = weights_of_classes(self.class_weight, classes, training)
        if by_class is None:
            return weights
        return by_class[y] if weights is None else weights * by_class[y]

    def _goal(self, learned: dict[str, Any]) -> Goal:
        classes = learned["classes_"].tolist()
        return self._goal_of(
            "binary" if len(classes) == 2 else "classification", classes
        )

    def _after_training(self, outputs: np.ndarray, y: np.ndarray) -> None:
        temperature, reason = _temperature(outputs, y)
        if self.recipe_["folds"]["value"] is not None and temperature > 1:
            why = "single networks, but their mean is less sure of itself"
            temperature, reason = 1.0, f"{temperature:.3g} fits {why}"
        self.temperature_ = temperature
        self.recipe_["temperature"] = {"value": temperature, "reason": reason}
        self.calibrated_model_ = _calibrated(self.model_, temperature)
        found = _probabilities(outputs / np.float32(temperature))
        self.conformity_scores_ = np.sort(1 - found[np.arange(len(y)), y])

    def _served_model(self) -> Model:
        return self.calibrated_model_

    def _served_with(self, coverage: float | None) -> tuple[Model, dict[str, Any]]:
        if coverage is None:
            return self.calibrated_model_, {}
        limit = float(conformal_quantile(self.conformity_scores_, coverage))
        return self.calibrated_model_, {
            "min_probability": max(0.0, 1 - limit - ROUNDING)
        }

    def _learned(self) -> dict[str, Any]:
        return {
            "classes": saved_classes(self.classes_),
            "temperature": self.temperature_,
            "conformity_scores": self.conformity_scores_.astype("float64").tolist(),
        }

    @classmethod
    def _restored(cls, learned: dict[str, Any], model: Model) -> dict[str, Any]:
        classes = loaded_classes(learned["classes"])
        if getattr(model, "classes", None) != tuple(classes.tolist()):
            raise ValueError("classes that are not those of the model")
        temperature = float(learned["temperature"])
        if not 0 < temperature < np.inf:
            raise ValueError(f"the temperature {temperature}")
        scores = np.array(learned["conformity_scores"], "float32")
        return {
            "classes_": classes,
            "temperature_": temperature,
            "conformity_scores_": scores.reshape(len(scores)),
        }


def _check_every_class(classes: np.ndarray, y: np.ndarray, splits: Splits) -> None:
    """Refuses splits whose training rows lack a class."""
    for training, _ in splits:
        untrained = np.setdiff1d(np.arange(len(classes)), y[training])
        if len(untrained):
            name = "validation" if len(splits) == 1 else "folds"
            raise ValueError(
                f"`{name}` chooses the rows that are kept from training and must leave "
                f"some of each class. Received: none of {classes[untrained].tolist()}."
            )


def _probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))


def _temperature(logits: np.ndarray, codes: np.ndarray) -> tuple[float, str]:
    """The temperature, and the reason for it."""
    scaling = TemperatureScaling()
    try:
        scaling.adapt(logits, codes)
    except ValueError:
        why = "the validation rows are too easy, too few, or no better than chance"
        return 1.0, f"{why}, to find another"
    found = float(keras.ops.convert_to_numpy(scaling.temperature))
    return found, "makes the validation rows most probable"


def _calibrated(model: Model, temperature: float) -> Model:
    if temperature == 1:
        return model
    scaling = TemperatureScaling(name="calibrated")
    scaling.build()
    scaling.temperature.assign(temperature)
    return keras.Model(model.input, scaling(model.output), name="calibrated")
