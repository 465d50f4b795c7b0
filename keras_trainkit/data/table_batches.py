import math
from collections.abc import Callable, Mapping

import keras
import numpy as np

from keras_trainkit._checks import check_count, check_flag, check_seed
from keras_trainkit.data._records import Records
from keras_trainkit.data._row_file import stored
from keras_trainkit.data._row_order import RowOrder
from keras_trainkit.data._table_chunks import chunks_of, divided
from keras_trainkit.data._target_column import TargetColumn, weights_of


class TableBatches(keras.utils.PyDataset):
    """Batches of a table that need not fit into memory, for `fit`, on every backend.

    The chunks are read once: encoded and written to a file without a name, which goes
    with the object. From then on batches come from that file, so an epoch costs
    neither parsing nor encoding, the number of batches is known, and rows are shuffled
    over the whole table, however it is sorted. Memory: one chunk and what the encoder
    makes of it, about 50 MB, and up to 1 byte per row for the order. Disk: twice the
    encoded rows while reading, then once.

    Each epoch deals the rows into other batches, by `seed` and `epoch` alone; the last
    batch holds what is left. `fit` draws the order of whole batches once more, by
    Python's random numbers, unless it is told `shuffle=False`.

    | for                              | give                                        |
    | -------------------------------- | ------------------------------------------- |
    | `fit`                            | the training rows                           |
    | `validation_data`, `evaluate`    | others, with `shuffle=False`                |
    | `predict`                        | `shuffle=False`: answers in the table's     |
    |                                  | order; a `target` is left out of account    |
    | `adapt` of layers                | `(x["numeric"] for x, _ in batches)`        |
    | a resumed `fit`                  | `batches.epoch = initial_epoch` before it   |

    Args:
        table: Iterable of chunks (`pandas.read_csv(path, chunksize=100_000)`, a
            generator), each a DataFrame or a dict of column names to arrays; or one
            table. Chunks without rows are skipped.
        encoder: Function of a chunk without target and weights that gives an array
            `(rows, ...)`, or a dict, tuple or list of them: an adapted
            `layers.TableEncoder`.
        target: Name of the column to predict, without missing values; whole numbers
            (integers, booleans, decimals without a point, throughout) become int32,
            others Keras' float type. None: inputs alone.
        labels: Dict of each entry of the target to its number,
            `{"no": 0, "yes": 1}`. None for a target of numbers.
        sample_weight: Name of a column of numbers of at least 0; None for no weights.
        batch_size: Int >= 1. Rows per batch.
        shuffle: False leaves the rows in the table's order.
        seed: Int >= 0 of the order, or None for another at every construction. The
            order does not depend on how the table is cut into chunks.
        directory: Folder for the file, on a disk with room for it. None: the system's
            for temporary files, which on some systems is in memory.

    Attributes:
        epoch: Int. Which order comes next; goes up by 1 when `fit` has had all batches.
        num_rows: Int. Rows of the table.

    Raises:
        ValueError: No rows, a column that is not there, missing targets, entries
            without label, an encoder whose arrays change or do not fit the rows.

    Example:

    ```python
    batches = keras_trainkit.data.TableBatches(
        pd.read_csv("train.csv", chunksize=100_000), encoder, "price", batch_size=512
    )
    model.fit(batches, epochs=5, callbacks=[callbacks.OneCycle(0.01)])
    ```

    Source: `keras.utils.PyDataset`, which asks for batches by number and so cannot
    read a stream. To keep reads long, batches are dealt from runs of
    `batch_size // 16` rows that stay together; on disk the rows are shuffled singly.
    """

    def __init__(
        self,
        table,
        encoder: Callable,
        target: str | None = None,
        *,
        labels: Mapping | None = None,
        sample_weight: str | None = None,
        batch_size: int = 256,
        shuffle: bool = True,
        seed: int | None = 0,
        directory=None,
    ):
        super().__init__()
        check_count("batch_size", batch_size, "is the number of rows per batch")
        check_flag("shuffle", shuffle, "draws the order of the rows")
        check_seed("seed", seed)
        _check_encoder(encoder)
        _check_names(target, labels, sample_weight)
        self.batch_size = batch_size
        self.epoch = 0
        seeds = np.random.SeedSequence(seed) if shuffle else None
        self._names = {"target": target, "sample_weight": sample_weight}
        self._target = TargetColumn(labels)
        self._records = Records()
        pieces = self._pieces(table, encoder)
        self._file = stored(pieces, seeds, directory)
        if self._file is None:
            raise ValueError(
                "`table` is what batches are made of and must have at least one row. "
                "Received: none."
            )
        self.num_rows = self._file.rows
        run = max(1, batch_size // 16)
        self._order = RowOrder(self.num_rows, run, seeds)
        self._given = np.zeros(len(self), bool)
        self._in_epoch = False

    def __len__(self):
        return math.ceil(self.num_rows / self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: {index}.")
        self._given[index] |= self._in_epoch
        start = index * self.batch_size
        stop = min(start + self.batch_size, self.num_rows)
        spans = self._order.spans(self.epoch, start, stop)
        inputs, others = self._records.unpack(self._file.read(spans))
        if others:
            others[0] = others[0].astype(self._target.dtype)
        return inputs, *others

    def on_epoch_begin(self):
        self._in_epoch = True

    def on_epoch_end(self):
        """Goes on to the next order, unless Keras only looked at a batch or two."""
        self._in_epoch = False
        if self._given.all():
            self.epoch += 1
            self._given[:] = False

    def _pieces(self, table, encoder):
        for chunk in chunks_of(table):
            inputs, columns, rows = divided(chunk, self._names)
            if not rows:
                continue
            others = []
            if columns["target"] is not None:
                others.append(self._target.read(columns["target"], rows))
            if columns["sample_weight"] is not None:
                others.append(weights_of(columns["sample_weight"], rows))
            yield self._records.pack(encoder(inputs), others, rows)


def _check_encoder(encoder):
    if not callable(encoder):
        raise ValueError(
            "`encoder` turns a chunk of the table into arrays and must be a function, "
            "such as an adapted `layers.TableEncoder`. "
            f"Received: encoder={encoder!r}."
        )


def _check_names(target, labels, sample_weight):
    for argument, name in (("target", target), ("sample_weight", sample_weight)):
        if name is not None and (not isinstance(name, str) or not name):
            raise ValueError(
                f"`{argument}` names a column of the table and must be a string or "
                f"None. Received: {argument}={name!r}."
            )
    if target is None and (labels is not None or sample_weight is not None):
        raise ValueError(
            "`labels` and `sample_weight` belong to a target and must be None without "
            f"one. Received: labels={labels!r}, sample_weight={sample_weight!r}."
        )
    if target is not None and target == sample_weight:
        raise ValueError(
            "`sample_weight` weighs the rows in the loss and must be another column "
            f"than the target. Received: sample_weight={sample_weight!r}."
        )
