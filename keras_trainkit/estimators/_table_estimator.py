"""The base of the estimators of tables: all but what a class or a number is."""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._checks import check_count, check_flag
from keras_trainkit._row_labels import check_row_order
from keras_trainkit._tables.kinds import missing_words
from keras_trainkit._types import Layer, Model
from keras_trainkit._warnings import warn_user
from keras_trainkit.estimators._arguments import check_table_arguments
from keras_trainkit.estimators._estimator import (
    Data,
    Estimator,
    Plan,
    Recipe,
    Splits,
    trained_rows,
)
from keras_trainkit.estimators._frames import Table, read_table
from keras_trainkit.estimators._kernel_part import fitted_machines, with_machines
from keras_trainkit.estimators._leaderboard import Row, as_table, check_search, tested
from keras_trainkit.estimators._parts import Part, Rows
from keras_trainkit.estimators._random_state import new_seed
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._scoring import (
    check_classes,
    predictions_of,
    scoring_for,
)
from keras_trainkit.estimators._search_folder import (
    check_directory,
    seed_in,
)
from keras_trainkit.estimators._table_network import (
    fit_together,
    table_machine,
    table_network,
)
from keras_trainkit.estimators._table_recipe import (
    FEW_ROWS,
    NO_NUMBERS,
    chosen,
    kernel_weight,
)
from keras_trainkit.estimators._targets import read_target
from keras_trainkit.estimators._training import Goal, Trained, train
from keras_trainkit.estimators._typical_row import typical_row
from keras_trainkit.estimators.feature_importances import (
    FeatureImportances,
    importances_of,
)
from keras_trainkit.layers import TableEncoder


class TableEstimator(Estimator):
    """Fits the recipe for tables; scikit-learn's interface around a Keras model."""

    _scoring: ClassVar[str]  # scikit-learn's name of what `score` gives
    _few_rows = FEW_ROWS
    trials: int | None
    time_limit: float | None
    numeric_embedding: bool | None
    kernel_weight: float | None
    scoring: str | None
    directory: str | os.PathLike | None
    _layers = ("encoder",)

    def fit(
        self,
        X: Any,  # noqa: N803 (scikit-learn's name, here and below)
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        order: Any = None,
        resume: str | os.PathLike | None = None,
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
            resume: Folder in which the training is kept, new or empty at first: after
                a kill the same call goes on from there, and ends with the same bits.
                See docs/resume.md. None: nothing is kept.

        Returns:
            The estimator itself.

        Raises:
            ValueError: For an argument, here or in the constructor, out of range;
                `resume` holds a fit of other data or arguments, or one that another
                process is at.
        """
        if resume is not None and self._searches():
            raise ValueError(
                "`resume` is the folder of a single fit and must be None with `trials` "
                "or `time_limit`: a search goes on in its `directory`. "
                f"Received: resume={resume!r}."
            )
        return self._fit(X, y, sample_weight, groups, order, resume)

    def feature_importances(
        self, X: Any, y: Any, repeats: int = 5, *, scoring: str | None = None
    ) -> FeatureImportances:
        """Loss of score when the values of a column are shuffled, for each column.

        Args:
            X: Rows that were not trained on, as in `predict`.
            y: What is true of them.
            repeats: Int >= 1. How often each column is shuffled.
            scoring: Name of a score of scikit-learn, or one that the constructor takes;
                None for that of `score`.

        Returns:
            `FeatureImportances`, by the columns of the table as it came.
        """
        check_is_fitted(self)
        check_count("repeats", repeats, "is how often each column is shuffled")
        table = self._known_table(X)
        check_row_order("y", y, X)
        y = read_target(y, table.rows, type(self).__name__)
        self._known_target(y)
        seed = self.recipe_["seed"]["value"]
        scoring = scoring or self._scoring
        return importances_of(self, table, y, scoring, repeats, seed)

    def leaderboard(self, X: Any = None, y: Any = None) -> Any:  # noqa: N803
        """The trials of the search and their ensemble, best first.

        | column                    | meaning                                          |
        | ------------------------- | ------------------------------------------------ |
        | `model`                   | "recipe", "trial_0001", ..., "ensemble"          |
        | `score_test`              | on the rows given here                           |
        | `score_val`               | on the validation rows; with folds on all rows,  |
        |                           | each by the network that left it out             |
        | `eval_metric`             | name of the score, as `scoring`                  |
        | `pred_time_test`,         | seconds to predict these rows; those of the      |
        | `pred_time_val`           | ensemble with its networks'                      |
        | `fit_time`                | seconds of training, likewise                    |
        | `..._marginal`            | the same without those of its networks           |
        | `stack_level`             | 2 for the ensemble, 1 for others                 |
        | `can_infer`               | whether `model_` holds it; others have no        |
        |                           | `score_test`                                     |
        | `fit_order`               | number of the trial, from 1                      |
        | `weight`                  | share in the ensemble, 0 if it is not in it      |

        Scores are higher where they are better, so losses and errors are negative. A
        log loss is of probabilities without the `temperature_` of `predict_proba`. The
        `sample_weight` of `fit` counts in `score_val` alone, `class_weight` in neither.
        `pred_time_val` includes the time to compile.
        The score of the ensemble on the validation rows is a little too good, for it
        was chosen by them. Trials that were ended or failed are not listed.

        Args:
            X: Rows that were not trained on, as in `predict`, or None.
            y: What is true of them, or None.

        Returns:
            DataFrame of pandas, or a list of dicts where pandas is not installed.

        Raises:
            ValueError: No search was made, or only one of `X` and `y` is given.

        Source: `TabularPredictor.leaderboard` of AutoGluon 1.x, which has no `weight`
        and orders its columns likewise.
        """
        check_is_fitted(self)
        if "leaderboard" not in self.recipe_:
            raise ValueError(
                "`leaderboard` lists the trials of a search and must be called after "
                "`fit` with `trials` or `time_limit`. Received: an estimator fitted "
                "without them."
            )
        rows = self.recipe_["leaderboard"]["value"]
        if X is None and y is None:
            return as_table(rows, "score_val")
        if X is None or y is None:
            given = "`X` without `y`" if y is None else "`y` without `X`"
            raise ValueError(
                "`X` and `y` are rows to score the models on and must be given both, "
                f"or neither. Received: {given}."
            )
        return as_table(self._tested(rows, X, y), "score_test")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _check_arguments(self) -> None:
        check_table_arguments(self.get_params(deep=False))
        self._encoder([])  # checks its arguments

    def _read(self, X: Any) -> Table:  # noqa: N803
        return read_table(X, type(self).__name__)

    def _plan(
        self, source: Table, splits: Splits, goal: Goal, folds: int | None
    ) -> Plan:
        trained = trained_rows(splits)
        training = source.take(trained)
        empty = self._columns_without_value(training)
        used = source.without(empty)
        rows, columns = len(splits[0][0]), len(used.columns)
        recipe = chosen(rows, columns, goal.task, self.preset, self._given(), folds)
        encoder = self._encoder(empty)
        encoder.adapt(training.without(empty).columns)
        validated = np.concatenate([part for _, part in splits])
        used.take(np.setdiff1d(validated, trained)).check_finite()
        if self.numeric_embedding is None and not encoder.numeric_shape[0]:
            recipe["numeric_embedding"] = choice(False, NO_NUMBERS)
        if self.verbose:
            print(encoder.summary())
        return Plan(
            recipe,
            lambda rows: encoder(used.take(rows).columns),
            functools.partial(table_network, encoder, goal),
            {
                "encoder_": encoder,
                **_names_as_attributes(list(source.columns), source.named),
            },
            {"columns_left_out": choice(empty, "without a value in training rows")},
        )

    def _seed(self) -> int:
        if self._searches() and not isinstance(self.random_state, int | np.integer):
            begun = seed_in(check_directory(self.directory))
            if begun is not None:
                return begun
        return new_seed(self.random_state)

    def _searches(self) -> bool:
        return self.trials is not None or self.time_limit is not None

    def _train(
        self,
        plan: Plan,
        seen: Rows,
        parts: Sequence[Part],
        goal: Goal,
        seed: int,
        data: Data,
        folder: pathlib.Path | None,
    ) -> tuple[Trained, Recipe]:
        encoder = plan.attributes["encoder_"]
        share = kernel_weight(encoder, parts, self._given())
        machines = None
        if share["value"] != 0:
            machine = functools.partial(table_machine, encoder, goal, seen, seed)
            machines = fitted_machines(machine, parts, goal, seed)
        build = functools.partial(plan.network, seen)
        if self._searches():
            # Brings KerasTuner and Optuna.
            from keras_trainkit.estimators._recipe_search import search_around

            rest = (parts, goal, seed, data, self, machines, share)
            return search_around(plan.recipe, build, *rest)
        trained = train(plan.recipe, build, parts, goal, seed, folder)
        values = {name: entry["value"] for name, entry in plan.recipe.items()}
        trained, share = with_machines(trained, machines, share, parts, goal, values)
        return trained, {**plan.recipe, "kernel_weight": share}

    def _tested(self, rows: list[Row], X: Any, y: Any) -> list[Row]:  # noqa: N803
        """The rows of the leaderboard, with scores on these rows."""
        table = self._known_table(X)
        check_row_order("y", y, X)
        truth = self._known_target(read_target(y, table.rows, type(self).__name__))
        goal = self._goal(dict(vars(self)))
        scoring = scoring_for(self.recipe_["scoring"]["value"], goal.task, 1)
        check_classes(scoring, truth)

        def score(outputs: np.ndarray) -> float:
            return scoring.score(truth, predictions_of(outputs, goal.task), None)

        names = [entry["model"] for entry in self.recipe_["models"]["value"]]
        folds = self.recipe_["folds"]["value"] or 1
        return tested(rows, names, self.model_, folds, self._encoded(table), score)

    def _encoded(self, X: Any) -> dict[str, np.ndarray]:  # noqa: N803
        return self.encoder_(self._known_columns(X).columns)

    def _served_rows(self, examples: Any) -> dict[str, Any]:
        if examples is None:
            return typical_row(self.encoder_)
        return self._known_columns(examples).columns

    def _preprocessing(self) -> Layer:
        return self.encoder_

    def _input_fields(self) -> dict[str, Any]:
        named = hasattr(self, "feature_names_in_")
        return {"columns": self._column_names, "named": named}

    @classmethod
    def _restored_input(
        cls,
        fields: dict[str, Any],
        recipe: dict[str, Any],
        model: Model,
        *layers: Layer,
    ) -> dict[str, Any]:
        (encoder,) = layers
        if not fit_together(model, encoder):
            raise ValueError("other files than a model with its encoder")
        names = [str(name) for name in fields["columns"]]
        left_out = list(recipe["columns_left_out"]["value"])
        if set(names) != {*encoder.column_names, *left_out}:
            raise ValueError(f"columns {names}, encoder of {encoder.column_names}")
        check_search(recipe, model)
        check_flag("named", fields["named"], "tells whether the columns have names")
        return {
            "encoder_": encoder,
            **_names_as_attributes(names, fields["named"]),
        }

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
            warn_user(
                f"Left out, without a value in the training rows: {', '.join(empty)}.",
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


def _names_as_attributes(names: list[str], named: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"_column_names": names, "n_features_in_": len(names)}
    if named:
        found["feature_names_in_"] = np.array(names, dtype=object)
    return found
