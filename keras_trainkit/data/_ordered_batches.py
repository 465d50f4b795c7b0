import math
import threading
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_count
from keras_trainkit._train_state.running_fit import name_of_fit, tries_batches

_COUNTING = threading.Lock()


class OrderedBatches(keras.utils.PyDataset):
    """Batches of rows whose order depends on the number of the epoch.

    Counts the epochs: on to the next when all batches were read between
    `on_epoch_begin` and `on_epoch_end`. With `steps_per_epoch` these two end a part of
    an epoch, and TensorFlow reads ahead in a thread of its own, beyond the part's end
    and beyond the epoch's: there the next epoch begins with the batch that comes after
    the last. Subclasses give `_batch(index)`.

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
        self._thread_of_fit: int | None = None
        self._fit: str | None = None

    def __len__(self) -> int:
        return math.ceil(self.num_rows / self.batch_size)

    def __getitem__(self, index: int) -> tuple:
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: {index}.")
        counts = self._in_epoch or self._is_read_ahead()
        if counts:
            self._go_on_after_the_last()
        batch = self._batch(index)
        self._given[index] |= counts
        return batch

    def _batch(self, index: int) -> tuple[Any, ...]:
        """Inputs, then targets and weights as far as there are any."""
        raise NotImplementedError

    def on_epoch_begin(self) -> None:
        """Counts what is read from now on, unless a model is only built with it.

        Replicas of `tf.distribute` may read all batches ahead even then.
        """
        self._in_epoch = not tries_batches()
        before, self._fit = self._fit, name_of_fit()
        if self._fit is None or self._fit != before:
            self._given[:] = False  # of a pass that came to no end
        self._thread_of_fit = threading.get_ident() if self._in_epoch else None

    def on_epoch_end(self) -> None:
        """Goes on to the next order, unless Keras only tried a batch or two."""
        self._in_epoch = False
        self._go_on_after_the_last()

    def get_state(self) -> dict[str, int]:
        """Number of the order, for `callbacks.TrainState`."""
        return {"epoch": self.epoch}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on with the order of which `get_state` has told."""
        check_count("epoch", state["epoch"], "is in the state", at_least=0)
        self.epoch = state["epoch"]
        self._given[:] = False

    def _is_read_ahead(self) -> bool:
        return self._thread_of_fit not in (None, threading.get_ident())

    def _go_on_after_the_last(self) -> None:
        with _COUNTING:
            if self._given.all():
                self.epoch += 1
                self._given[:] = False
