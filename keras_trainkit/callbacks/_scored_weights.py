import numpy as np

from keras_trainkit._optimizer_access import averages_weights
from keras_trainkit._types import Model


class ScoredWeights:
    """The weights to which the monitored value of an epoch belongs.

    `keras.callbacks.SwapEMAWeights` puts averaged weights into the model: for the
    validation alone, or (`swap_on_epoch=True`) when an epoch ends. When
    `EarlyStopping` gets a value, the model may hold other weights than those that made
    it: validated weights are copied while they are validated, and of trained weights
    it is checked that they were.

    Args:
        monitor: String. Key of the epoch's logs.
    """

    def __init__(self, monitor: str):
        self.monitor = monitor
        self._is_validated = monitor.startswith("val_")
        self._validated: list[np.ndarray] | None = None
        self.is_checked = False

    def before_validation(self, model: Model) -> None:
        """Copies the weights of the first batch, if a value belongs to them."""
        may_be_swapped = self._is_validated and _averages_weights(model)
        if may_be_swapped and self._validated is None:
            self._validated = model.get_weights()

    def take_validated(self) -> list[np.ndarray] | None:
        """Returns the copy and forgets it; None where the model's own weights count."""
        validated, self._validated = self._validated, None
        return validated

    def check_trained(self, model: Model, kept: list[np.ndarray]) -> None:
        """Refuses, once, to keep weights that are not those of the next batch."""
        if self.is_checked:
            return
        self.is_checked = True
        if self._is_validated or not _averages_weights(model):
            return
        if all(map(np.array_equal, model.get_weights(), kept)):
            return
        raise ValueError(
            "`monitor` scores the weights that EarlyStopping keeps, and beside "
            "SwapEMAWeights(swap_on_epoch=True) it must be a key of validation, which "
            "begins with 'val_', or EarlyStopping must come first in `callbacks`: here "
            "averaged weights are in the model when an epoch ends. "
            f"Received: monitor={self.monitor!r}."
        )


def _averages_weights(model: Model) -> bool:
    optimizer = getattr(model, "optimizer", None)  # none in a loop of one's own
    return averages_weights(optimizer)
