"""The base of the estimators of tables: all but what a class or a number is."""

import abc
import contextlib
import functools
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._checks import check_count, check_seed
from keras_trainkit._tables.kinds import missing_words
from keras_trainkit._types import Model
from keras_trainkit.estimators._arguments import check_arguments
from keras_trainkit.estimators._frames import Table, read_table
from keras_trainkit.estimators._random_state import new_seed, seeded
from keras_trainkit.estimators._saved_folder import (
    loaded,
    packed,
    read_folder,
    saved,
    unpacked,
    write_folder,
)
from keras_trainkit.estimators._table_parts import encoded_parts
from keras_trainkit.estimators._table_recipe import choice, chosen, folds_for
from keras_trainkit.estimators._table_training import (
    PREDICTED_AT_ONCE,
    Goal,
    finite_history,
    train,
)
from keras_trainkit.estimators._targets import (
    read_target,
    read_weights,
)
from keras_trainkit.estimators._typical_row import typical_row
from keras_trainkit.estimators._validation_rows import (
    DEFAULT_SHARE,
    entries_of,
    folds_of,
    free_rows,
    group_numbers,
    training_and_validation,
)
from keras_trainkit.estimators.feature_importances import (
    FeatureImportances,
    importances_of,
)
from keras_trainkit.layers import TableEncoder


class TableEstimator(BaseEstimator, abc.ABC):
    """Fits the recipe for tables; scikit-learn's interface around a Keras model."""

    _scoring: ClassVar[str]  # scikit-learn's name of what `score` gives

    def fit(
        self,
        X: Any,  # noqa: N803 (scikit-learn's name, here and below)
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        order: Any = None,
    ) -> Self:
        """Trains on a table, afresh at every call.

        Args:
            X: DataFrame of pandas, polars or pyarrow, dict of columns, or array
                `(rows, columns)`. Columns are known by name afterwards, in any order;
                those of an array, or of names that are no texts, by position (`x0`,
                `x1`, ...).
            y: What is to be predicted, none of it missing: a class or a number for
                each row, `(rows,)`, or several numbers, `(rows, outputs)`.
            sample_weight: `(rows,)`, at least 0. How much a row counts in training and
                in the choice of the best epoch. Rows of weight 0 are left out.
            groups: `(rows,)`. Rows of a group are all trained on, or all validated; all
                in one fold.
            order: Times of the rows `(rows,)`, or "rows": the last are validated, and
                there are no folds.

        Returns:
            The estimator itself.

        Raises:
            ValueError: For an argument, here or in the constructor, out of range.
        """
        check_arguments(self.get_params(deep=False))
        self._encoder([])  # checks its arguments
        table = read_table(X, type(self).__name__)
        y = read_target(y, table.rows, type(self).__name__)
        weights = read_weights(sample_weight, table.rows)
        rows = np.arange(table.rows) if weights is None else np.flatnonzero(weights)
        learned, y = self._learn_target(y, rows)
        seed = new_seed(self.random_state)
        groups = group_numbers(entries_of("groups", groups, table.rows, rows))
        if not isinstance(order, str):
            order = entries_of("order", order, table.rows, rows)
        folds, splits = self._splits(rows, y, groups, order, seed)
        weights = self._weights(learned, y, weights, splits)
        training = np.unique(np.concatenate([part for part, _ in splits]))
        empty = self._columns_without_value(table.take(training))
        used = table.without(empty)
        goal = self._goal(learned)
        recipe = chosen(
            len(splits[0][0]),
            len(used.columns),
            goal.task,
            self.preset,
            self._given(),
            folds["value"],
        )
        encoder = self._encoder(empty)
        with seeded(seed):
            encoder.adapt(used.take(training).columns)
            if self.verbose:
                print(encoder.summary())
            parts, seen = encoded_parts(encoder, used, y, weights, splits)
            trained = train(recipe, encoder, parts, seen, goal, seed)
        epochs = finite_history(trained.histories, recipe["learning_rate"]["value"])
        learned |= _names_as_attributes(list(table.columns), table.named)
        learned |= {"encoder_": encoder, "model_": trained.model, "history_": epochs}
        validated = np.concatenate([part for _, part in splits])
        learned["recipe_"] = {
            **recipe,
            "folds": folds,
            "training_rows": choice(
                len(splits[0][0]), "not validated, of the first fold"
            ),
            "validation_rows": choice(len(validated), "`validation`, or all folds"),
            "columns_left_out": choice(empty, "without a value in training rows"),
            "seed": choice(seed, "by `random_state`"),
        }
        self.__dict__.pop("feature_names_in_", None)  # of an earlier table
        for name, value in learned.items():
            setattr(self, name, value)
        self._after_training(trained.outputs, y[validated])
        return self

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """The estimator of a folder that `save` wrote.

        Nothing in the folder is code, and none is run; a folder from elsewhere that
        does not hold what it should is refused.

        Args:
            path: The folder.

        Raises:
            ValueError: Not such a folder, or one of another class.
        """
        model, encoder, fields = read_folder(path, cls.__name__)
        try:
            estimator = cls(**{k: loaded(v) for k, v in fields["arguments"].items()})
            names = [str(name) for name in fields["columns"]]
            recipe = loaded(fields["recipe"])
            left_out = list(recipe["columns_left_out"]["value"])
            if set(names) != {*encoder.column_names, *left_out}:
                raise ValueError(f"columns {names}, encoder of {encoder.column_names}")
            check_seed("seed", recipe["seed"]["value"])
            state = {
                "model_": model,
                "encoder_": encoder,
                "history_": dict(fields["history"]),
                "recipe_": recipe,
                **_names_as_attributes(names, bool(fields["named"])),
                **cls._restored(fields["learned"], model),
            }
            estimator.__setstate__({**vars(estimator), **state})
        except Exception as error:  # of whatever an edited file brings about
            raise ValueError(
                "`path` is the folder of a saved estimator and must hold what `save` "
                f"wrote. Received: {os.fspath(path)!r}, {type(error).__name__}: {error}"
                "."
            ) from error
        return estimator

    def save(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes a folder that `load` reads, which appears complete or not at all.

        It holds `model.keras`, `encoder.keras` and `estimator.json`, no pickle and no
        code. Arguments that are objects (an optimizer, callbacks, a random state) are
        not kept: they matter for training alone, and are the constructor's defaults
        after loading. The loaded model is not compiled.

        Args:
            path: The folder, which must not be there yet.

        Returns:
            The path.

        Raises:
            ValueError: The folder is there already.
        """
        check_is_fitted(self)
        fields = {
            "estimator": type(self).__name__,
            "arguments": dict(self._plain_arguments()),
            "columns": self._column_names,
            "named": hasattr(self, "feature_names_in_"),
            "learned": self._learned(),
            "recipe": saved(self.recipe_),
            "history": self.history_,
        }
        return write_folder(path, self.model_, self.encoder_, fields)

    def export(
        self,
        directory: str | os.PathLike,
        examples: Any = None,
        *,
        coverage: float | None = None,
        version: int | None = None,
        new_signature: bool = False,
    ) -> pathlib.Path:
        """Writes a checked SavedModel that takes the columns as they are.

        See `serving.export`, which is called with the encoder in front. Needs
        TensorFlow.

        | estimator  | answers                 | with `coverage` also               |
        | ---------- | ----------------------- | ---------------------------------- |
        | classifier | `probabilities`,        | `set`, as `predict_set`            |
        |            | `classes`, `label`      |                                    |
        | regressor  | `predictions`           | `lower`, `upper`, as               |
        |            |                         | `predict_interval`                 |

        Args:
            directory: Folder of the versions of the served model.
            examples: Rows as `predict` takes them, kept with the model in plain text.
                None: a row that no table holds, of medians and most frequent levels.
            coverage: Float in (0, 1), or None. The share of rows that set or interval
                are to hold.
            version: As in `serving.export`.
            new_signature: As in `serving.export`.

        Returns:
            The path of the version.
        """
        from keras_trainkit.serving import export  # brings TensorFlow

        check_is_fitted(self)
        rows = typical_row(self.encoder_)
        if examples is not None:
            rows = self._known_columns(examples).columns
        model, arguments = self._served_with(coverage)
        return export(
            model,
            directory,
            rows,
            preprocessing=self.encoder_,
            version=version,
            new_signature=new_signature,
            **arguments,
        )

    def feature_importances(
        self, X: Any, y: Any, repeats: int = 5, *, scoring: str | None = None
    ) -> FeatureImportances:
        """Loss of score when the values of a column are shuffled, for each column.

        Args:
            X: Rows that were not trained on, as in `predict`.
            y: What is true of them.
            repeats: Int >= 1. How often each column is shuffled.
            scoring: Name of a score of scikit-learn; None for that of `score`.

        Returns:
            `FeatureImportances`, by the columns of the table as it came.
        """
        check_is_fitted(self)
        check_count("repeats", repeats, "is how often each column is shuffled")
        table = self._known_table(X)
        y = read_target(y, table.rows, type(self).__name__)
        seed = self.recipe_["seed"]["value"]
        scoring = scoring or self._scoring
        return importances_of(self, table, y, scoring, repeats, seed)

    def _splits(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray | None,
        order: Any,
        seed: int,
    ) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]]]:
        """The choice of folds, and row numbers of training and validation for each."""
        codes = y if y.ndim == 1 else None
        free, _ = free_rows(rows, codes, groups, order)
        units, what = len(free), "rows"
        if groups is not None:
            units, what = len(np.unique(groups[np.isin(rows, free)])), "groups"
        given = (self.preset, self.folds, self.validation, order)
        folds = folds_for(len(rows), units, what, *given)
        if folds["value"] is not None:
            return folds, folds_of(folds["value"], rows, codes, groups, seed)
        share = DEFAULT_SHARE if self.validation is None else self.validation
        rest = (len(y), codes, groups, order, seed)
        return folds, [training_and_validation(share, rows, *rest)]

    def _outputs(self, table: Table) -> np.ndarray:
        """Outputs of the model: logits, or values in the units of the targets."""
        x = self.encoder_(table.columns)
        return self._served_model().predict(x, batch_size=PREDICTED_AT_ONCE, verbose=0)

    def _known_columns(self, X: Any) -> Table:  # noqa: N803
        """The columns that the encoder takes."""
        return self._known_table(X).without(self.recipe_["columns_left_out"]["value"])

    def _known_table(self, X: Any) -> Table:  # noqa: N803
        """The table with the columns of the training table, in their order."""
        check_is_fitted(self)
        owner, named = type(self).__name__, hasattr(self, "feature_names_in_")
        return read_table(X, owner).ordered_as(self._column_names, named, owner)

    def _columns_without_value(self, table: Table) -> list[str]:
        words = functools.partial(missing_words, self.missing_values)
        empty = table.without_value(words)
        if len(empty) == len(table.columns):
            raise ValueError(
                "`X` is the table, a row per sample, and must have a column with a "
                "value in the training rows. Received: missing values alone."
            )
        if empty:
            warnings.warn(
                f"Left out, without a value in the training rows: {', '.join(empty)}.",
                stacklevel=3,
            )
        return empty

    def _encoder(self, empty: list[str]) -> TableEncoder:
        categories, kinds = self.categories, self.kinds
        if categories != "auto":
            categories = [name for name in categories if name not in empty]
        if kinds is not None:
            kinds = {name: kind for name, kind in kinds.items() if name not in empty}
        return TableEncoder(
            categories=categories,
            max_categories=self.max_categories,
            scaling=self.scaling,
            kinds=kinds,
            missing_values=self.missing_values,
        )

    def _given(self) -> dict[str, Any]:
        names = (
            *("members", "hidden_units", "dropout", "numeric_embedding", "epochs"),
            *("batch_size", "learning_rate", "weight_decay", "label_smoothing"),
        )
        given = {name: _plain(getattr(self, name, None)) for name in names}
        return {**given, "optimizer": self.optimizer, "loss": self.loss}

    def _goal_of(self, task: str, classes: list | None) -> Goal:
        return Goal(
            task,
            classes,
            self.optimizer,
            self.loss,
            self.metrics,
            self.keras_callbacks or (),
            self.verbose,
        )

    def _plain_arguments(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.get_params(deep=False).items():
            with contextlib.suppress(TypeError):  # objects
                yield name, saved(value)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state = {k: v for k, v in state.items() if k != "calibrated_model_"}
        if "model_" in state:
            state["model_"] = packed(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("model_"), bytes):
            state = {**state, "model_": unpacked(state["model_"])}
        super().__setstate__(state)

    @abc.abstractmethod
    def _learn_target(
        self, y: np.ndarray, rows: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Attributes to keep, and codes `(rows,)` or numbers `(rows, outputs)`.

        Args:
            rows: Those that count, by number.
        """

    def _weights(
        self,
        learned: dict[str, Any],
        y: np.ndarray,
        weights: np.ndarray | None,
        splits: list[tuple[np.ndarray, np.ndarray]],
    ) -> np.ndarray | None:
        """Weight of each row: as given, for a classifier times that of its class."""
        return weights

    @abc.abstractmethod
    def _goal(self, learned: dict[str, Any]) -> Goal:
        """The task, and what `compile` is given."""

    @abc.abstractmethod
    def _after_training(self, outputs: np.ndarray, y: np.ndarray) -> None:
        """Learns from what the training gave for the validation rows."""

    @abc.abstractmethod
    def _served_model(self) -> Model:
        """The model that predicts."""

    @abc.abstractmethod
    def _served_with(self, coverage: float | None) -> tuple[Model, dict[str, Any]]:
        """The model that `serving.export` is given, and further arguments of it."""

    @abc.abstractmethod
    def _learned(self) -> dict[str, Any]:
        """Plain values for a file, of which `_restored` makes attributes."""

    @classmethod
    @abc.abstractmethod
    def _restored(cls, learned: dict[str, Any], model: Model) -> dict[str, Any]:
        """Attributes by name, from a file that may be edited."""


def _names_as_attributes(names: list[str], named: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"_column_names": names, "n_features_in_": len(names)}
    if named:
        found["feature_names_in_"] = np.array(names, dtype=object)
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
