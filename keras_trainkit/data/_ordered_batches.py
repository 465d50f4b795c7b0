import math
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_count
from keras_trainkit._train_state.running_fit import tries_batches


class OrderedBatches(keras.utils.PyDataset):
    """Batches of rows whose order depends on the number of the epoch.

    Counts the epochs: on to the next when all batches were read between
    `on_epoch_begin` and `on_epoch_end`. Subclasses give `_batch(index)`.

    Args:
        num_rows: Int >= 1. Rows of all batches.
        batch_size: Int >= 1. Rows of each batch but one, which has what is left.
    """

    def __init__(self, num_rows: int, batch_size: int):
        super().__init__()
        self.num_rows = num_rows
        self.batch_size = batch_size
        self.epoch = 0
        self._given = np.zeros(len(self), bool)
        self._in_epoch = False

    def __len__(self) -> int:
        return math.ceil(self.num_rows / self.batch_size)

    def __getitem__(self, index: int) -> tuple:
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: {index}.")
        self._given[index] |= self._in_epoch
        return self._batch(index)

    def _batch(self, index: int) -> tuple[Any, ...]:
        """Inputs, then targets and weights as far as there are any."""
        raise NotImplementedError

    def on_epoch_begin(self) -> None:
        """Counts what is read from now on, unless a model is only built with it.

        Replicas of `tf.distribute` may read all batches ahead even then.
        """
        self._in_epoch = not tries_batches()

    def on_epoch_end(self) -> None:
        """Goes on to the next order, unless Keras only tried a batch or two."""
        self._in_epoch = False
        if self._given.all():
            self.epoch += 1
            self._given[:] = False

    def get_state(self) -> dict[str, int]:
        """Number of the order, for `callbacks.TrainState`."""
        return {"epoch": self.epoch}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on with the order of which `get_state` has told."""
        check_count("epoch", state["epoch"], "is in the state", at_least=0)
        self.epoch = state["epoch"]
        self._given[:] = False
