"""Files of an estimator: its folder, its pickle, the served model and the page."""

import abc
import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._checks import check_seed
from keras_trainkit._types import Layer, Model
from keras_trainkit.estimators._recipe import choice
from keras_trainkit.estimators._saved_folder import (
    loaded,
    packed,
    read_folder,
    saved,
    unpacked,
    write_folder,
)

_PLACES = ("directory",)  # no file of anybody else says where this one writes
_EARLIER = "saved before there was such a number"


class FileEstimator(BaseEstimator, abc.ABC):
    """Writes a fitted estimator, and reads it again.

    What is kept of the fit is in `model_`, `history_` and `recipe_`, in the attributes
    of `_layers`, and in what `_learned` and `_input_fields` give.
    """

    _layers: ClassVar[tuple[str, ...]] = ()  # attributes with a file of their own
    _later_numbers: ClassVar[dict[str, Any]] = {"min_epoch_steps": 1}  # of the recipe
    model_: Model
    history_: dict[str, list]
    recipe_: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """The estimator of a folder that `save` wrote.

        Nothing in the folder is code, and none is run; a folder from elsewhere that
        does not hold what it should is refused, and so are files of two folders.

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
            recipe = loaded(fields["recipe"])
            for name, value in cls._later_numbers.items():
                recipe.setdefault(name, choice(value, _EARLIER))
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
    def _served_rows(self, examples: Any) -> Any:
        """Rows for `serving.export`; of None a typical one."""

    @abc.abstractmethod
    def _preprocessing(self) -> Layer | None:
        """The layer that stands before the model where it is served, or None."""

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


def _checked_history(history: Any) -> dict[str, list]:
    """Values per epoch by name, from a file that may be edited."""
    if not isinstance(history, dict) or not all(
        isinstance(values, list) for values in history.values()
    ):
        raise ValueError("a history without lists of values")
    return dict(history)


def _files_of(layers: tuple[str, ...]) -> list[str]:
    return [f"{name}.keras" for name in ("model", *layers)]
