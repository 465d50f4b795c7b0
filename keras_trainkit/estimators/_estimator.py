"""The base of all estimators: from rows to a trained model."""

import abc
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._row_labels import check_row_orders
from keras_trainkit._types import Model
from keras_trainkit.estimators._arguments import check_precision
from keras_trainkit.estimators._file_estimator import FileEstimator
from keras_trainkit.estimators._outputs import rows_at_once
from keras_trainkit.estimators._parts import Part, Rows, parts_of
from keras_trainkit.estimators._random_state import new_seed, seeded
from keras_trainkit.estimators._recipe import choice, folds_for
from keras_trainkit.estimators._resumed_fit import (
    check_same_recipe,
    own_folder,
    seed_begun_with,
)
from keras_trainkit.estimators._search_folder import RESUMED, check_directory
from keras_trainkit.estimators._targets import read_target, read_weights
from keras_trainkit.estimators._time_limit import now
from keras_trainkit.estimators._training import Goal, Trained, finite_history, train
from keras_trainkit.estimators._validation_rows import (
    DEFAULT_SHARE,
    check_groups_to_leave_out,
    entries_of,
    folds_of,
    free_rows,
    group_numbers,
    training_and_validation,
)

Recipe = dict[str, dict[str, Any]]  # of `choice`
Splits = list[tuple[np.ndarray, np.ndarray]]  # row numbers: training, validation


@dataclasses.dataclass(frozen=True)
class Data:
    """The data that `fit` was given, after they were read, and the time.

    Args:
        source: As `_read` gave it.
        y: As `read_target` gave it.
        sample_weight: As it was given.
        rows: Numbers of the rows that count, ascending.
        groups: Numbers of the groups of rows that count, or None.
        order: Times of the rows that count, "rows" or None.
        validated: Numbers of the validation rows, in the order of the parts.
        began: Seconds of `now` at the beginning of `fit`.
    """

    source: Any
    y: np.ndarray
    sample_weight: Any
    rows: np.ndarray
    groups: np.ndarray | None
    order: Any
    validated: np.ndarray
    began: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training before its rows are encoded.

    Args:
        recipe: Dict of name to `choice`.
        encoded: Function of row numbers: what the network takes for them.
        network: Function of all rows that are trained on, and of the values of the
            recipe: a new model, not compiled.
        attributes: What the estimator keeps, by name.
        notes: Further entries of `recipe_`.
    """

    recipe: Recipe
    encoded: Callable[[np.ndarray], Any]
    network: Callable[[Rows, Mapping[str, Any]], Model]
    attributes: dict[str, Any]
    notes: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


class Estimator(FileEstimator):
    """Fits a recipe; scikit-learn's interface around a Keras model."""

    _few_rows: ClassVar[int]  # up to so many are trained on in folds
    _steps_at_once: ClassVar[int] = Goal.steps_at_once

    def _fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any,
        groups: Any,
        order: Any,
        resume: Any,
    ) -> Self:
        began = now()
        self._check_arguments()
        check_precision()
        folder = check_directory(resume, RESUMED)
        source = self._read(X)
        check_row_orders(
            X, y=y, sample_weight=sample_weight, groups=groups, order=order
        )
        y = given = read_target(y, source.rows, type(self).__name__)
        weights = read_weights(sample_weight, source.rows)
        rows = np.arange(source.rows) if weights is None else np.flatnonzero(weights)
        learned, y = self._learn_target(y, rows)
        begun = seed_begun_with(folder, self.random_state)
        seed = self._seed() if begun is None else begun
        groups = group_numbers(entries_of("groups", groups, source.rows, rows))
        if not isinstance(order, str):
            order = entries_of("order", order, source.rows, rows)
        folds, splits = self._splits(source, rows, y, groups, order, seed)
        weights = self._weights(learned, y, weights, splits)
        goal = self._goal(learned)
        validated = np.concatenate([part for _, part in splits])
        data = Data(source, given, sample_weight, rows, groups, order, validated, began)
        with own_folder(folder, self, seed, data), seeded(seed):
            plan = self._plan(source, splits, goal, folds["value"])
            check_same_recipe(folder, seed, plan.recipe)
            of_rows = _by_row(groups, rows, source.rows)
            parts, seen = parts_of(plan.encoded, y, weights, splits, of_rows)
            trained, recipe = self._train(plan, seen, parts, goal, seed, data, folder)
        learned |= plan.attributes | {
            "model_": trained.model,
            "history_": _history_of(trained, recipe),
            "recipe_": {
                **recipe,
                **_choices_of_rows(folds, splits),
                **plan.notes,
                "seed": choice(seed, "by `random_state`"),
            },
        }
        self.__dict__.pop("feature_names_in_", None)  # of an earlier table
        for name, value in learned.items():
            setattr(self, name, value)
        parts_of_rows = [len(part) for _, part in splits]
        self._after_training(trained.outputs, y[validated], parts_of_rows)
        return self

    def _seed(self) -> int:
        return new_seed(self.random_state)

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
        """The trained model, and the recipe by which it came about.

        Args:
            seen: All rows that are trained on.
        """
        build = functools.partial(plan.network, seen)
        return train(plan.recipe, build, parts, goal, seed, folder), plan.recipe

    def _splits(
        self,
        source: Any,
        rows: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray | None,
        order: Any,
        seed: int,
    ) -> tuple[dict[str, Any], Splits]:
        """The choice of folds, and row numbers of training and validation for each."""
        codes = y if y.ndim == 1 else None
        free, _ = free_rows(rows, codes, groups, order)
        if order is None and self._leaves_out_each(source, rows):
            check_groups_to_leave_out(groups)
            why = "each row, or group, is left out, without a fit for each"
            return choice(None, why), [(rows, free)]
        units, what = len(free), "rows"
        if groups is not None:
            units, what = len(np.unique(groups[np.isin(rows, free)])), "groups"
        folds = folds_for(
            len(rows),
            units,
            what,
            preset=self.preset,
            folds=self.folds,
            validation=self.validation,
            order=order,
            few_rows=self._rows_in_folds(source),
        )
        if folds["value"] is not None:
            return folds, folds_of(folds["value"], rows, codes, groups, seed)
        share = DEFAULT_SHARE if self.validation is None else self.validation
        rest = (len(y), codes, groups, order, seed)
        return folds, [training_and_validation(share, rows, *rest)]

    def _leaves_out_each(self, source: Any, rows: np.ndarray) -> bool:
        """True for models that tell each row by all others, without a fit for each."""
        return False

    def _rows_in_folds(self, source: Any) -> int:
        """Rows up to which the recipe trains in folds; 0 where it never does."""
        return self._few_rows

    def _outputs(self, X: Any) -> np.ndarray:  # noqa: N803
        """Outputs of the model: logits, or values in the units of the targets."""
        check_is_fitted(self)
        x = self._encoded(X)
        return self._served_model().predict(x, batch_size=rows_at_once(x), verbose=0)

    def _scored(self, X: Any, y: Any, sample_weight: Any) -> tuple:  # noqa: N803
        """Arguments of `score` of scikit-learn, checked as `fit` does."""
        check_is_fitted(self)
        check_row_orders(X, y=y, sample_weight=sample_weight)
        source = self._read(X)
        y = self._scored_target(read_target(y, source.rows, type(self).__name__))
        return source, y, read_weights(sample_weight, source.rows)

    def _goal_of(self, task: str, classes: list | None) -> Goal:
        return Goal(
            task,
            classes,
            self.optimizer,
            self.loss,
            self.metrics,
            self.keras_callbacks or (),
            self.verbose,
            self._steps_at_once,
        )

    def _given(self) -> dict[str, Any]:
        """The constructor's arguments by name, for the recipe."""
        return {k: _plain(v) for k, v in self.get_params(deep=False).items()}

    @abc.abstractmethod
    def _read(self, X: Any) -> Any:  # noqa: N803
        """The rows that `fit` was given, checked; `rows` is their number."""

    @abc.abstractmethod
    def _plan(self, source: Any, splits: Splits, goal: Goal, folds: int | None) -> Plan:
        """The recipe for what `_read` gave, and all that its training needs."""

    @abc.abstractmethod
    def _encoded(self, X: Any) -> Any:  # noqa: N803
        """Inputs of the model, of rows as `predict` takes them."""

    @abc.abstractmethod
    def _learn_target(
        self, y: np.ndarray, rows: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Attributes to keep, and codes `(rows,)` or numbers `(rows, outputs)`.

        Args:
            rows: Those that count, by number.
        """

    @abc.abstractmethod
    def _known_target(self, y: np.ndarray) -> np.ndarray:
        """Codes or numbers of what is true of other rows, as `_learn_target` gives."""

    @abc.abstractmethod
    def _scored_target(self, y: np.ndarray) -> np.ndarray:
        """The truth of rows to score, of the type and shape that was learned."""

    def _weights(
        self,
        learned: dict[str, Any],
        y: np.ndarray,
        weights: np.ndarray | None,
        splits: Splits,
    ) -> np.ndarray | None:
        """Weight of each row: as given, for a classifier times that of its class."""
        return weights

    @abc.abstractmethod
    def _goal(self, learned: dict[str, Any]) -> Goal:
        """The task, and what `compile` is given."""

    @abc.abstractmethod
    def _after_training(
        self, outputs: np.ndarray, y: np.ndarray, validated: list[int]
    ) -> None:
        """Learns from what the training gave for the validation rows.

        Args:
            validated: Number of rows of each fold; of all, where there are none.
        """

    @abc.abstractmethod
    def _served_model(self) -> Model:
        """The model that predicts."""


def _by_row(
    groups: np.ndarray | None, rows: np.ndarray, count: int
) -> np.ndarray | None:
    """The groups of these rows, in an entry for each of all rows."""
    if groups is None:
        return None
    found = np.full(count, -1)
    found[rows] = groups
    return found


def _history_of(trained: Trained, recipe: Recipe) -> dict[str, list]:
    """All histories as one; empty for a model that is fitted in closed form."""
    if not trained.histories:
        return {}
    rate = recipe["learning_rate"]["value"]
    return finite_history(trained.histories, rate, trained.trials)


def trained_rows(splits: Splits) -> np.ndarray:
    """Numbers of the rows that any network is trained on, ascending."""
    return np.unique(np.concatenate([part for part, _ in splits]))


def _choices_of_rows(folds: dict[str, Any], splits: Splits) -> Recipe:
    """Entries of the recipe on which rows train, and which validate."""
    training = len(splits[0][0])
    validation = sum(len(part) for _, part in splits)
    if np.isin(splits[0][1], splits[0][0]).any():
        why = "each is told by what is fitted to the others, but for classes of one row"
        return {
            "folds": folds,
            "training_rows": choice(training, "all"),
            "validation_rows": choice(validation, why),
        }
    return {
        "folds": folds,
        "training_rows": choice(training, "not validated, of the first fold"),
        "validation_rows": choice(validation, "`validation`, or all folds"),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
