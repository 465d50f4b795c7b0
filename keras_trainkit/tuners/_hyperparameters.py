"""KerasTuner's container of hyperparameters, filled by whoever is asked."""

from collections.abc import Callable

import keras_tuner
from keras_tuner.engine.hyperparameters import Fixed


class AskingHyperParameters(keras_tuner.HyperParameters):
    """`HyperParameters` whose active entries ask for their value when first used.

    But for those of `given`, nothing is drawn in advance: `build(hp)` decides by its
    own course which entries exist, and an entry under a condition that does not hold
    is never asked for.

    Args:
        ask: Function of a definition that returns its value.
        given: `HyperParameters` whose definitions go before those of `build`. None
            for none.
        tune_new_entries: Bool. Ask for entries that `given` lacks; False takes their
            default.
        allow_new_entries: Bool. False makes such entries an error.
    """

    def __init__(
        self,
        ask: Callable,
        given: keras_tuner.HyperParameters | None = None,
        tune_new_entries=True,
        allow_new_entries=True,
    ):
        super().__init__()
        self._ask = ask
        self._tune_new_entries = tune_new_entries
        self._allow_new_entries = allow_new_entries
        if given is not None:
            self.merge(given)
            self.values.clear()  # those were defaults; conditions hang on real values

    def ask_given(self):
        """Asks for the active entries of `given`, so that `hp.get` finds them."""
        for hp in list(self.space):
            self._retrieve(hp)

    def _retrieve(self, hyperparameter):
        """Every kind of entry comes through here, in KerasTuner 1.4.8.

        A value that stands in `values` is what the base class then returns.
        """
        hp = self._definition(hyperparameter)
        if self.is_active(hp) and hp.name not in self.values:
            self.values[hp.name] = self._value_of(hp)
        return super()._retrieve(hyperparameter)

    def _definition(self, wanted):
        for hp in self.space:
            if hp.name == wanted.name and hp.conditions == wanted.conditions:
                return hp
        return wanted

    def _value_of(self, hp):
        is_new = hp not in self.space
        if is_new and not self._allow_new_entries:
            raise RuntimeError(
                "`allow_new_entries` decides whether the hypermodel may use entries "
                "that `hyperparameters` lacks, and it is False. "
                f"Received: the new entry {hp}."
            )
        if isinstance(hp, Fixed) or (is_new and not self._tune_new_entries):
            return hp.default
        return self._ask(hp)
