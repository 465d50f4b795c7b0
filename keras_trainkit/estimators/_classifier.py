"""The part that all estimators of classes share, whatever they read."""

import reprlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._types import Model
from keras_trainkit.estimators._conformal import (
    ROUNDING,
    class_sets,
    conformal_quantile,
)
from keras_trainkit.estimators._estimator import Estimator, Splits, trained_rows
from keras_trainkit.estimators._outputs import rows_at_once
from keras_trainkit.estimators._saved_folder import loaded_classes, saved_classes
from keras_trainkit.estimators._targets import read_classes, weights_of_classes
from keras_trainkit.estimators._training import Goal
from keras_trainkit.layers import TemperatureScaling


class Classifier(ClassifierMixin, Estimator):
    """Gives a class to each row, its probability, and sets of classes."""

    classes_: np.ndarray
    temperature_: float
    _validated: list[int]  # rows of each part, in the order of `conformity_scores_`
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

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """The share of the rows of which `predict` gives the class.

        Args:
            X: As in `predict`.
            y: The class of each row, `(rows,)`, none missing.
            sample_weight: `(rows,)`, at least 0, or None: all rows count the same.

        Returns:
            0 to 1.

        Raises:
            ValueError: As `fit`, for what it would refuse of the three.
        """
        return float(super().score(*self._scored(X, y, sample_weight)))

    def predict_set(self, X: Any, coverage: float = 0.9) -> np.ndarray:  # noqa: N803
        """The classes that a row may be of: the true one is among them so often.

        A class is in the set of a row if it is no less probable there than the true
        class is in a share `coverage` of the validation rows. With folds these are all
        rows, and each network compares with those that it has left out, while `predict`
        follows the mean of all. A set of several classes says that the row is in doubt,
        an empty one that it is like none of them.

        The promise is for rows drawn as the validation rows were, and not exact: the
        best epoch was chosen by these, so that sets are slightly too small, the less
        the more there are; with folds they may hold a little more or less.

        Args:
            X: As in `predict`.
            coverage: Float in (0, 1). Share of rows whose set holds the true class.

        Returns:
            Bools `(rows, classes)`.

        Raises:
            ValueError: Too few validation rows for this coverage; 0.9 needs 9.

        Source: Sadinle, Lei and Wasserman, 2019, arXiv:1609.00451, least ambiguous
        sets; with folds Vovk, 2015, arXiv:1208.0806, cross-conformal predictors.
        """
        check_is_fitted(self)
        if len(self._validated) > 1:
            sets, x = self._class_sets(coverage), self._encoded(X)
            return sets.predict(x, batch_size=rows_at_once(x), verbose=0)
        limit = conformal_quantile(self.conformity_scores_, coverage)
        return 1 - self.predict_proba(X) <= limit + ROUNDING

    def _class_sets(self, coverage: float) -> Model:
        ends = np.cumsum(self._validated)[:-1]
        scores = np.split(self.conformity_scores_, ends)
        return class_sets(self.model_, self.temperature_, scores, coverage)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "temperature_" in state:
            self.calibrated_model_ = _calibrated(self.model_, self.temperature_)

    def _learn_target(
        self, y: np.ndarray, rows: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        classes, found = read_classes(y[rows])
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

    def _scored_target(self, y: np.ndarray) -> np.ndarray:
        """Classes that were not learned are wrong answers, but of the same type."""
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        types = {isinstance(name, str) for name in [*self.classes_, *y.ravel()]}
        is_whole = y.dtype.kind != "f" or bool((y == np.round(y)).all())
        if y.ndim != 1 or y.dtype.kind == "O" or len(types) > 1 or not is_whole:
            found = f"y of shape {y.shape}, such as {y.flat[0]!r}"
            raise ValueError(
                "`y` is what is true of the rows and must be a class for each, of the "
                f"type of `classes_`, {reprlib.repr(self.classes_.tolist())}. "
                f"Received: {found}."
            )
        return y

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

    def _after_training(
        self, outputs: np.ndarray, y: np.ndarray, validated: list[int]
    ) -> None:
        temperature, reason = _temperature(outputs, y)
        if self.recipe_["folds"]["value"] is not None and temperature > 1:
            why = "single networks, but their mean is less sure of itself"
            temperature, reason = 1.0, f"{temperature:.3g} fits {why}"
        self.temperature_ = temperature
        self.recipe_["temperature"] = {"value": temperature, "reason": reason}
        self.calibrated_model_ = _calibrated(self.model_, temperature)
        found = _probabilities(outputs / np.float32(temperature))
        scores = 1 - found[np.arange(len(y)), y]
        of_parts = np.split(scores, np.cumsum(validated)[:-1])
        self.conformity_scores_ = np.concatenate([np.sort(part) for part in of_parts])
        self._validated = validated

    def _served_model(self) -> Model:
        return self.calibrated_model_

    def _served_with(self, coverage: float | None) -> tuple[Model, dict[str, Any]]:
        if coverage is None:
            return self.calibrated_model_, {}
        if len(self._validated) > 1:
            return self.calibrated_model_, {"class_sets": self._class_sets(coverage)}
        limit = float(conformal_quantile(self.conformity_scores_, coverage))
        return self.calibrated_model_, {
            "min_probability": max(0.0, 1 - limit - ROUNDING)
        }

    def _learned(self) -> dict[str, Any]:
        return {
            "classes": saved_classes(self.classes_),
            "temperature": self.temperature_,
            "conformity_scores": self.conformity_scores_.astype("float64").tolist(),
            "validated_rows": self._validated,
        }

    @classmethod
    def _restored(cls, learned: dict[str, Any], model: Model) -> dict[str, Any]:
        classes = loaded_classes(learned["classes"])
        if getattr(model, "classes", None) != tuple(classes.tolist()):
            raise ValueError("classes that are not those of the model")
        temperature = learned["temperature"]
        if type(temperature) not in (int, float) or not 1e-6 < temperature < 1e6:
            raise ValueError(f"the temperature {temperature!r}")
        scores = np.array(learned["conformity_scores"], "float32")
        if not np.all((scores > -1e-3) & (scores < 1 + 1e-3)):  # but for rounding
            raise ValueError("conformity scores that are not numbers from 0 to 1")
        validated = _checked_parts(learned["validated_rows"], scores, model)
        return {
            "classes_": classes,
            "temperature_": temperature,
            "conformity_scores_": scores.reshape(len(scores)),
            "_validated": validated,
        }


def _check_every_class(classes: np.ndarray, y: np.ndarray, splits: Splits) -> None:
    """Refuses splits whose training rows lack a class."""
    for training, _ in splits:
        untrained = np.setdiff1d(np.arange(len(classes)), y[training])
        single = untrained[np.bincount(y, minlength=len(classes))[untrained] == 1]
        if len(single):
            names = reprlib.repr(classes[single].tolist())
            raise ValueError(
                "`y` is what is learned to be predicted and must have two rows of each "
                "class, of which one may be validated (leave such rows out, or give "
                f"them a class in common). Received: one row each of {names}."
            )
        if len(untrained):
            name = "validation" if len(splits) == 1 else "folds"
            raise ValueError(
                f"`{name}` chooses the rows that are kept from training and must leave "
                f"some of each class. Received: none of {classes[untrained].tolist()}."
            )


def _checked_parts(parts: Any, scores: np.ndarray, model: Model) -> list[int]:
    """Rows of each part, from a file that may be edited."""
    networks = sum(layer.name.startswith("network_") for layer in model.layers)
    found = [int(rows) for rows in parts]
    fit = len(found) == 1 or (len(found) > 1 and networks % len(found) == 0 < networks)
    if not fit or min(found) < 1 or sum(found) != len(scores):
        raise ValueError(f"parts of {found} rows, for {len(scores)} conformity scores")
    if not all(
        np.all(np.diff(p) >= 0) for p in np.split(scores, np.cumsum(found)[:-1])
    ):
        raise ValueError("conformity scores that do not ascend")
    return found


def _probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))


def _temperature(logits: np.ndarray, codes: np.ndarray) -> tuple[float, str]:
    """The temperature, and the reason for it."""
    scaling = TemperatureScaling()
    scaling.adapt(logits, codes, prior_stddev=1.0)
    found = float(keras.ops.convert_to_numpy(scaling.temperature))
    return found, "makes the validation rows most probable; of few rows it is near 1"


def _calibrated(model: Model, temperature: float) -> Model:
    if temperature == 1:
        return model
    scaling = TemperatureScaling(name="calibrated")
    scaling.build()
    scaling.temperature.assign(temperature)
    return keras.Model(model.input, scaling(model.output), name="calibrated")
