"""The space of a hypermodel, found by building it before the first trial."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras_tuner
from keras_tuner.errors import FailedTrialError

from keras_trainkit.tuners._fit_checks import has_own_fit
from keras_trainkit.tuners._model_checks import check_model, watched_builds
from keras_trainkit.tuners._search import Tuner


class SpaceExploration:
    """Builds a hypermodel until its whole space is known, and looks at the models.

    A model that every trial would fail with is noted, and refused by `check_models`: to
    show a space takes no model that can be trained.

    Args:
        tuner: `Tuner`, to whose oracle the space is given.
        build_all: KerasTuner's function of nothing that builds the hypermodel until
            every entry has shown, and gives the oracle what it has asked for.
        replaced: Dict of `loss` and `metrics` that every model gets; None keeps its
            own. Or None where models are not looked at.
    """

    def __init__(
        self,
        tuner: Tuner,
        build_all: Callable[[], None],
        replaced: dict[str, Any] | None,
    ):
        self._tuner = tuner
        self._build_all = build_all
        self._replaced = replaced
        self._found_first: keras_tuner.HyperParameters | None = None
        self._misfit: ValueError | None = None

    def begin(self) -> None:
        """Gives the oracle the space as far as it is known before the data are.

        Building may need what `prepare` learns from the data. Until then the space is
        what the hypermodel declares.
        """
        oracle, hypermodel = self._tuner.oracle, self._tuner.hypermodel
        oracle.load_space()
        if oracle.study.space() is not None or hypermodel is None:
            return
        prepares = hasattr(hypermodel, "prepare")
        if prepares and getattr(hypermodel, "prepared", None) is None:
            space = oracle.get_space()
            hypermodel.declare_hyperparameters(space)
            oracle.update_space(space)
        else:
            self._found_first = self._explore()

    def space(self) -> keras_tuner.HyperParameters:
        """The whole space, of a hypermodel that is prepared for the data.

        Raises:
            ValueError: See `check_models`.
        """
        space = self._found_first or self.explore_anew()
        self.check_models()
        return space

    def explore_anew(self) -> keras_tuner.HyperParameters:
        """The whole space, of the hypermodel as it is now."""
        self._tuner.oracle.forget_space()
        return self._explore()

    def check_models(self) -> None:
        """Raises what was noted when the hypermodel was built the last time."""
        if self._misfit is not None:
            raise self._misfit

    def _explore(self) -> keras_tuner.HyperParameters:
        # The defaults may be a configuration that the hypermodel refuses.
        self._misfit = None
        with self._watched_builds(), contextlib.suppress(FailedTrialError):
            self._build_all()
        return self._tuner.oracle.get_space()

    def _watched_builds(self) -> contextlib.AbstractContextManager[None]:
        hypermodel = self._tuner.hypermodel
        if self._replaced is None or has_own_fit(hypermodel):
            return contextlib.nullcontext()
        return watched_builds(hypermodel, self._note_misfit)

    def _note_misfit(self, model: Any) -> None:
        try:
            check_model(model, **(self._replaced or {}))
        except ValueError as error:
            self._misfit = self._misfit or error
