"""The space of a search: what building shows, and what only trials have shown."""

import contextlib

import keras_tuner
from keras_tuner.errors import FailedTrialError

from keras_trainkit.tuners._hyperparameters import AskingHyperParameters


class SearchSpace(keras_tuner.Tuner):
    """The part of `StudyTuner` that knows its space, which the study holds."""

    def search_space_summary(self, extended=False):
        """Prints the hyperparameters; see KerasTuner."""
        if not self.oracle.get_space().space:
            self._explore()
        super().search_space_summary(extended)

    def _populate_initial_space(self):
        """The space as far as it is known before `search`; called by the constructor.

        Building may need what `prepare` learns from the data. Until then the space is
        what the hypermodel declares.
        """
        self._load_space()
        if self._record.space() is not None or self.hypermodel is None:
            return
        prepares = hasattr(self.hypermodel, "prepare")
        if prepares and getattr(self.hypermodel, "prepared", None) is None:
            space = self.oracle.get_space()
            self.hypermodel.declare_hyperparameters(space)
            self.oracle.update_space(space)
        else:
            self._explored = self._build_all()

    def _explore(self):
        self.oracle.hyperparameters = (
            keras_tuner.HyperParameters() if self._given is None else self._given.copy()
        )
        return self._build_all()

    def _build_all(self):
        # The defaults may be a configuration that the hypermodel refuses.
        with contextlib.suppress(FailedTrialError):
            super()._populate_initial_space()
        return self.oracle.get_space()

    def _load_space(self):
        space = self._record.space()
        if space is not None:
            self.oracle.hyperparameters = space

    def _learn_space(self, hyperparameters):
        if not self.oracle.allow_new_entries:
            return
        known = len(self.oracle.hyperparameters.space)
        self.oracle.update_space(hyperparameters)
        new = self.oracle.get_space().get_config()["space"][known:]
        self._record.add_to_space(new)

    def _asking_hyperparameters(self, asking):
        return AskingHyperParameters(
            asking,
            self._given,
            self.oracle.tune_new_entries,
            self.oracle.allow_new_entries,
        )

    def _ask_ahead(self, hyperparameters):
        """Draws what is known before the model is built, as KerasTuner does."""
        hyperparameters.ask_given()
        if self.hypermodel is not None:
            self.hypermodel.declare_hyperparameters(hyperparameters)


def own_space(given, may_grow):
    """The definitions of the caller, who keeps theirs as they are where new ones come.

    Args:
        given: `keras_tuner.HyperParameters` or None.
        may_grow: Bool. Whether definitions of the hypermodel are added.
    """
    return given.copy() if given is not None and may_grow else given
