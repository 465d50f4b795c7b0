from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._types import Model
from keras_trainkit.estimators._conformal import conformal_quantile
from keras_trainkit.estimators._saved_folder import loaded_classes, saved_classes
from keras_trainkit.estimators._table_estimator import TableEstimator
from keras_trainkit.estimators._table_training import Goal
from keras_trainkit.estimators._targets import read_classes, weights_of_classes
from keras_trainkit.layers import TemperatureScaling
from keras_trainkit.layers._classes import plain_classes

ROUNDING = 1e-6  # of a probability; a batch of another size may round otherwise


class TableClassifier(ClassifierMixin, TableEstimator):
    """Classifies the rows of a table as it comes: numbers, texts, dates and gaps.

    A scikit-learn estimator around `layers.TableEncoder`, `models.mlp` with members
    and embedded numbers, `optimizers.AdamW` and
    `callbacks.CooldownOnPlateau`. Nothing is hidden: the same parts in a script, with
    the values of `recipe_`, give the same weights, bit for bit.

    Rows kept for validation choose the best epoch, correct the probabilities
    (`layers.TemperatureScaling`) and size the sets of `predict_set`. Where rows are
    few, all are: in folds, each left out by one of several networks. The mean of these
    is less sure of itself than each, so it is made surer only.

    Args:
        preset: "default", or "fast": one network of one member.
        members: Int >= 1. Members of a network. None, here and below: by the recipe,
            see `recipe_`.
        hidden_units: Tuple of ints >= 1. Units per hidden layer, or None.
        dropout: Float in [0, 1), or None.
        numeric_embedding: Bool. A vector for each number, whose slope changes at
            quantiles of the training rows. Or None.
        epochs: Int >= 1, the most. Or None.
        batch_size: Int >= 1. Rows per step, or None.
        learning_rate: Float > 0. The rate that is held until the validation loss gets
            no better, and then falls. None: by the recipe, or the `optimizer`'s own.
        weight_decay: Float >= 0. Of the recipe's optimizer, or None.
        label_smoothing: Float in [0, 1). Share of a label given to all classes alike,
            or None.
        class_weight: None, "balanced", so that every class counts as much as the
            others, or a dict of classes to weights of at least 0, 1 for those that it
            leaves out. Counts in training and in the choice of the best epoch.
        validation: Float in (0, 1), share of the rows, int >= 1, number of rows, or
            row numbers, kept from training. The rows are drawn class by class, see also
            `fit`. None: by the recipe, 0.2 or folds.
        folds: Int >= 2. Networks of `members` each, which leave out another part of
            the rows each, so that all rows are trained on; `model_` is their
            `models.ensemble`. None: by the recipe, 5 up to 5,000 rows.
        scaling: As in `layers.TableEncoder`, like the four that follow.
        kinds: Dict of column to kind, or None.
        categories: "auto", or a list of columns.
        missing_values: "auto", a list of texts, or a dict of column to list.
        max_categories: Int >= 1. Levels per column with a code of their own.
        optimizer: Optimizer of Keras or its name, in place of the recipe's.
        loss: Loss of Keras or its name, in place of the recipe's. Labels are 0 and 1
            for two classes, one-hot for more; the model gives logits.
        metrics: List of metrics of Keras, in place of accuracy; the first chooses the
            best epoch, if Keras knows which way it gets better.
        keras_callbacks: List of callbacks of Keras, beside those of the recipe. With
            folds each sees one `fit` after the other.
        random_state: Int >= 0, for a training that can be repeated; a NumPy
            `RandomState`; or None.
        verbose: As in Keras' `fit`. Unless 0, says what was found in the columns.

    Attributes, after `fit` or `load`:
        classes_: `(classes,)`. The classes, sorted, of the type of `y`.
        n_features_in_: Int. Columns of the table.
        feature_names_in_: `(columns,)` of texts, where the table has names.
        model_: `keras.Model` from encoded columns to logits.
        calibrated_model_: The same with corrected probabilities, which predicts.
        encoder_: `layers.TableEncoder`.
        temperature_: Float, by which logits are divided; at most 1 with folds. 1 where
            the validation rows cannot tell one: too easy, too few, or no better than
            chance.
        history_: Dict of name to one value per epoch. With folds one training after
            the other, its number as "fold".
        recipe_: Dict of name to `{"value": ..., "reason": ...}`: what was chosen.
        conformity_scores_: `(validation rows,)`. 1 less the probability of the truth,
            from small to large.

    Example:

    ```python
    frame = pd.DataFrame({"age": [20, 30, 40, 50] * 9, "town": ["Ulm", "Bonn"] * 18})
    y = ["yes", "no"] * 18
    classifier = TableClassifier(epochs=5, random_state=0)
    classifier.fit(frame, y)
    classifier.predict(frame[:2])  # ["yes", "no"]
    classifier.predict_proba(frame[:2])  # (2, 2), columns as in classes_
    classifier.save("towns")
    same = TableClassifier.load("towns")
    ```

    Source: the recipe is that of docs/figures/tables.md; members after Gorishniy et
    al., 2024, arXiv:2410.24210.
    """

    _scoring = "accuracy"
    classes_: np.ndarray
    temperature_: float

    def __init__(
        self,
        *,
        preset: str = "default",
        members: int | None = None,
        hidden_units: Sequence[int] | None = None,
        dropout: float | None = None,
        numeric_embedding: bool | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        label_smoothing: float | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        validation: float | Sequence[int] | None = None,
        folds: int | None = None,
        scaling: str | None = "robust",
        kinds: dict[str, str] | None = None,
        categories: str | Sequence[str] = "auto",
        missing_values: str | Sequence[str] | dict[str, Sequence[str]] = "auto",
        max_categories: int = 256,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        loss: str | keras.losses.Loss | None = None,
        metrics: Sequence | None = None,
        keras_callbacks: Sequence[keras.callbacks.Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = 0,
    ):
        self.preset = preset
        self.members = members
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.numeric_embedding = numeric_embedding
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.validation = validation
        self.folds = folds
        self.scaling = scaling
        self.kinds = kinds
        self.categories = categories
        self.missing_values = missing_values
        self.max_categories = max_categories
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.keras_callbacks = keras_callbacks
        self.random_state = random_state
        self.verbose = verbose

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row.

        Args:
            X: Table with the columns of the training rows, in any order.

        Returns:
            `(rows,)`, entries of `classes_`.

        Raises:
            ValueError: Other columns; without names where names were learned.
        """
        outputs = self._outputs(self._known_columns(X))
        codes = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(1)
        return self.classes_[codes.astype(int)]

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """The probability of each class, in the order of `classes_`.

        Args:
            X: As in `predict`.

        Returns:
            float32 `(rows, classes)`, whose rows sum to 1.
        """
        return _probabilities(self._outputs(self._known_columns(X)))

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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

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

    def _weights(
        self,
        learned: dict[str, Any],
        y: np.ndarray,
        weights: np.ndarray | None,
        splits: list[tuple[np.ndarray, np.ndarray]],
    ) -> np.ndarray | None:
        classes = learned["classes_"]
        _check_every_class(classes, y, splits)
        training = np.unique(np.concatenate([part for part, _ in splits]))
        by_class = weights_of_classes(self.class_weight, classes, y[training])
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


def _check_every_class(
    classes: np.ndarray, y: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]
) -> None:
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
