"""The base of all estimators: from rows to a trained model, and to files of it."""

import abc
import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._checks import check_seed
from keras_trainkit._types import Layer, Model
from keras_trainkit.estimators._parts import Part, Rows, parts_of
from keras_trainkit.estimators._random_state import new_seed, seeded
from keras_trainkit.estimators._recipe import choice, folds_for
from keras_trainkit.estimators._resumed_fit import (
    check_same_recipe,
    own_folder,
    seed_begun_with,
)
from keras_trainkit.estimators._saved_folder import (
    loaded,
    packed,
    read_folder,
    saved,
    unpacked,
    write_folder,
)
from keras_trainkit.estimators._search_folder import RESUMED, check_directory
from keras_trainkit.estimators._targets import (
    check_row_order,
    read_target,
    read_weights,
)
from keras_trainkit.estimators._time_limit import now
from keras_trainkit.estimators._training import (
    PREDICTED_AT_ONCE,
    Goal,
    Trained,
    finite_history,
    train,
)
from keras_trainkit.estimators._validation_rows import (
    DEFAULT_SHARE,
    entries_of,
    folds_of,
    free_rows,
    group_numbers,
    training_and_validation,
)

_PLACES = ("directory",)  # no file of anybody else says where this one writes
_LATER_NUMBERS = {"min_epoch_steps": choice(1, "saved before there was such a number")}
Recipe = dict[str, dict[str, Any]]  # of `choice`
Splits = list[tuple[np.ndarray, np.ndarray]]  # row numbers: training, validation


@dataclasses.dataclass(frozen=True)
class Data:
    """The data that `fit` was given, after they were read, and the time.

    Args:
        source: As `_read` gave it.
        y: As `read_target` gave it.
        sample_weight: As it was given.
        groups: Numbers of the groups of rows that count, or None.
        order: Times of the rows that count, "rows" or None.
        validated: Numbers of the validation rows, in the order of the parts.
        began: Seconds of `now` at the beginning of `fit`.
    """

    source: Any
    y: np.ndarray
    sample_weight: Any
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


class Estimator(BaseEstimator, abc.ABC):
    """Fits a recipe; scikit-learn's interface around a Keras model."""

    _few_rows: ClassVar[int]  # up to so many are trained on in folds
    _steps_at_once: ClassVar[int] = Goal.steps_at_once
    _layers: ClassVar[tuple[str, ...]] = ()  # attributes with a file of their own

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
        files, fields = read_folder(path, cls.__name__, _files_of(cls._layers))
        try:
            given = {k: loaded(v) for k, v in fields["arguments"].items()}
            estimator = cls(**{k: given[k] for k in given if k not in _PLACES})
            cls._check_arguments(estimator)
            model, *layers = files
            recipe = {**_LATER_NUMBERS, **loaded(fields["recipe"])}
            check_seed("seed", recipe["seed"]["value"])
            state = {
                "model_": model,
                "history_": _checked_history(fields["history"]),
                "recipe_": recipe,
                **cls._restored_input(fields, recipe, model, *layers),
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

        It holds `model.keras` and `estimator.json`, for tables `encoder.keras` too; no
        pickle and no code. Arguments that are objects (an optimizer, callbacks, a
        random state) are not kept: they matter for training alone, and are the
        constructor's defaults after loading. The loaded model is not compiled.

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
            **self._input_fields(),
            "learned": self._learned(),
            "recipe": saved(self.recipe_),
            "history": self.history_,
        }
        layers = [getattr(self, f"{name}_") for name in self._layers]
        names = _files_of(self._layers)
        files = dict(zip(names, [self.model_, *layers], strict=True))
        return write_folder(path, files, fields)

    def export(
        self,
        directory: str | os.PathLike,
        examples: Any = None,
        *,
        coverage: float | None = None,
        version: int | None = None,
        new_signature: bool = False,
    ) -> pathlib.Path:
        """Writes a checked SavedModel that takes rows as they come.

        See `serving.export`, which is called. Needs TensorFlow.

        | estimator  | answers                 | with `coverage` also               |
        | ---------- | ----------------------- | ---------------------------------- |
        | classifier | `probabilities`,        | `set`, as `predict_set`            |
        |            | `classes`, `label`      |                                    |
        | regressor  | `predictions`           | `lower`, `upper`, as               |
        |            |                         | `predict_interval`                 |

        Args:
            directory: Folder of the versions of the served model.
            examples: Rows as `predict` takes them, kept with the model in plain text.
                None: a row that nobody gave, of typical values.
            coverage: Float in (0, 1), or None. The share of rows that set or interval
                are to hold.
            version: As in `serving.export`.
            new_signature: As in `serving.export`.

        Returns:
            The path of the version.
        """
        from keras_trainkit.serving import export  # brings TensorFlow

        check_is_fitted(self)
        model, arguments = self._served_with(coverage)
        return export(
            model,
            directory,
            self._served_rows(examples),
            preprocessing=self._preprocessing(),
            version=version,
            new_signature=new_signature,
            **arguments,
        )

    def report(
        self,
        path: str | os.PathLike,
        X: Any = None,  # noqa: N803
        y: Any = None,
        *,
        title: str | None = None,
        mute: Iterable[str] = (),
    ) -> pathlib.Path:
        """Writes what is known of the fitted estimator as a page, and as a JSON.

        Findings on the training, curves, recipe with its reasons, leaderboard of a
        search, model and versions; with `X` and `y` also confusion and calibration or
        residuals, importances of the columns of a table, and a summary of the data. Of
        several networks the curves are the first one's. See `analysis.report`.

        Args:
            path: Page to write, `.html`; the JSON has the same name with `.json`.
            X: Rows that were not trained on, as `predict` takes them.
            y: Their answers.
            title: String at the top; None: the name of the class.
            mute: Codes of findings to leave out.

        Returns:
            The path of the page.

        Raises:
            ValueError: Another suffix, `X` without `y`, an answer that is no class.
        """
        from keras_trainkit.estimators._report import report_of

        return report_of(self, path, X, y, title, mute)

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
        folder = check_directory(resume, RESUMED)
        source = self._read(X)
        for name, values in (("y", y), ("sample_weight", sample_weight)):
            check_row_order(name, values, X)
        y = given = read_target(y, source.rows, type(self).__name__)
        weights = read_weights(sample_weight, source.rows)
        rows = np.arange(source.rows) if weights is None else np.flatnonzero(weights)
        learned, y = self._learn_target(y, rows)
        begun = seed_begun_with(folder, self.random_state)
        seed = self._seed() if begun is None else begun
        groups = group_numbers(entries_of("groups", groups, source.rows, rows))
        if not isinstance(order, str):
            order = entries_of("order", order, source.rows, rows)
        folds, splits = self._splits(rows, y, groups, order, seed)
        weights = self._weights(learned, y, weights, splits)
        goal = self._goal(learned)
        validated = np.concatenate([part for _, part in splits])
        data = Data(source, given, sample_weight, groups, order, validated, began)
        with own_folder(folder, self, seed, data), seeded(seed):
            plan = self._plan(source, splits, goal, folds["value"])
            check_same_recipe(folder, seed, plan.recipe)
            parts, seen = parts_of(plan.encoded, y, weights, splits)
            build = functools.partial(plan.network, seen)
            trained, recipe = self._train(
                plan.recipe, build, parts, goal, seed, data, folder
            )
        rate = recipe["learning_rate"]["value"]
        learned |= plan.attributes | {"model_": trained.model}
        histories, trials = trained.histories, trained.trials
        learned["history_"] = finite_history(histories, rate, trials)
        learned["recipe_"] = {
            **recipe,
            "folds": folds,
            "training_rows": choice(
                len(splits[0][0]), "not validated, of the first fold"
            ),
            "validation_rows": choice(len(validated), "`validation`, or all folds"),
            **plan.notes,
            "seed": choice(seed, "by `random_state`"),
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
        recipe: Recipe,
        build: Callable[[dict[str, Any]], Model],
        parts: Sequence[Part],
        goal: Goal,
        seed: int,
        data: Data,
        folder: pathlib.Path | None,
    ) -> tuple[Trained, Recipe]:
        """The trained model, and the recipe by which it came about."""
        return train(recipe, build, parts, goal, seed, folder), recipe

    def _splits(
        self,
        rows: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray | None,
        order: Any,
        seed: int,
    ) -> tuple[dict[str, Any], Splits]:
        """The choice of folds, and row numbers of training and validation for each."""
        codes = y if y.ndim == 1 else None
        free, _ = free_rows(rows, codes, groups, order)
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
            few_rows=self._few_rows,
        )
        if folds["value"] is not None:
            return folds, folds_of(folds["value"], rows, codes, groups, seed)
        share = DEFAULT_SHARE if self.validation is None else self.validation
        rest = (len(y), codes, groups, order, seed)
        return folds, [training_and_validation(share, rows, *rest)]

    def _outputs(self, X: Any) -> np.ndarray:  # noqa: N803
        """Outputs of the model: logits, or values in the units of the targets."""
        check_is_fitted(self)
        x = self._encoded(X)
        return self._served_model().predict(x, batch_size=PREDICTED_AT_ONCE, verbose=0)

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

    def _plain_arguments(self) -> Iterator[tuple[str, Any]]:
        for name, value in self.get_params(deep=False).items():
            if name not in _PLACES:
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
    def _check_arguments(self) -> None:
        """Refuses arguments of the constructor that are out of range."""

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
    def _served_rows(self, examples: Any) -> Any:
        """Rows for `serving.export`; of None a typical one."""

    @abc.abstractmethod
    def _preprocessing(self) -> Layer | None:
        """The layer that stands before the model where it is served, or None."""

    @abc.abstractmethod
    def _input_fields(self) -> dict[str, Any]:
        """Plain values for a file, of which `_restored_input` makes attributes."""

    @classmethod
    @abc.abstractmethod
    def _restored_input(
        cls,
        fields: dict[str, Any],
        recipe: dict[str, Any],
        model: Model,
        *layers: Layer,
    ) -> dict[str, Any]:
        """Attributes by name, from files that may be edited."""

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


def trained_rows(splits: Splits) -> np.ndarray:
    """Numbers of the rows that any network is trained on, ascending."""
    return np.unique(np.concatenate([part for part, _ in splits]))


def _checked_history(history: Any) -> dict[str, list]:
    """Values per epoch by name, from a file that may be edited."""
    if not isinstance(history, dict) or not all(
        isinstance(values, list) for values in history.values()
    ):
        raise ValueError("a history without lists of values")
    return dict(history)


def _files_of(layers: tuple[str, ...]) -> list[str]:
    return [f"{name}.keras" for name in ("model", *layers)]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
