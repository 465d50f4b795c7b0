from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from typing import Any

import numpy as np

from keras_trainkit._checks import check_count, check_flag, check_seed
from keras_trainkit._libraries import names_of
from keras_trainkit._row_labels import check_columns_in_order
from keras_trainkit._tables.columns import chunks_of
from keras_trainkit._tables.objects import PURPOSE
from keras_trainkit.data._ordered_batches import OrderedBatches
from keras_trainkit.data._row_store import RowFile, RowOrder, RowPacker, store_rows
from keras_trainkit.data._target_column import TargetColumn, weights_of


class TableBatches(OrderedBatches):
    """Batches of a table that need not fit into memory, for `fit`, on every backend.

    The chunks are read once: encoded and written to a file without a name, which is
    deleted with the object. From then on batches come from that file, so an epoch costs
    neither parsing nor encoding, the number of batches is known, and rows are shuffled
    over the whole table, however it is sorted. Memory: one chunk and its encoded
    arrays, about 50 MB, and up to 1 byte per row for the order. Disk: twice the encoded
    rows while reading, then once.

    Each epoch puts the rows into other batches, which `seed` and `epoch` alone decide;
    the last batch holds the rows that are left. `fit` shuffles the order of whole
    batches once more, by Python's random numbers, unless `shuffle=False` is passed to
    it.

    | for                              | give                                        |
    | -------------------------------- | ------------------------------------------- |
    | `fit`                            | the training rows                           |
    | `validation_data`, `evaluate`    | others, with `shuffle=False`                |
    | `predict`                        | `shuffle=False`: predictions in the table's |
    |                                  | order; a `target` is ignored                |
    | `adapt` of layers                | `(x["numeric"] for x, _ in batches)`        |
    | a resumed `fit`                  | `callbacks.TrainState`, or                  |
    |                                  | `batches.epoch = initial_epoch` before it   |

    Args:
        table: Iterable of chunks (`pandas.read_csv(path, chunksize=100_000)`, a
            generator), each a DataFrame, a table or a batch of rows of pyarrow, or a
            dict of column names to arrays; or one of these. Chunks without rows are
            skipped.
        encoder: Function of a chunk without target and weights that gives an array
            `(rows, ...)`, or a dict, tuple or list of them: an adapted
            `layers.TableEncoder`.
        target: Name of the column to predict, without missing values. If all its
            values are whole numbers (integers, booleans, decimals without a point) they
            become int32, else Keras' float type. None: inputs alone.
        labels: Dict of each entry of the target to its number,
            `{"no": 0, "yes": 1}`. None for a target of numbers.
        sample_weight: Name of a column of numbers of at least 0; None for no weights.
        batch_size: Int >= 1. Rows per batch.
        shuffle: False leaves the rows in the table's order.
        seed: Int >= 0 that decides the order, or None for another order in every
            object. The order does not depend on how the table is cut into chunks.
        directory: Folder for the file, on a disk with room for it. None: the system's
            for temporary files, which on some systems is in memory.

    Attributes:
        epoch: Int. Number of the next order; raised by 1 when all batches were read.
        num_rows: Int. Rows of the table.

    Raises:
        ValueError: No rows, a column that is not there, targets or weights that are
            missing, infinite or too large for their type, targets whose differences
            are lost in it, entries without label, an encoder whose arrays change, are
            infinite or do not fit the rows.

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
        table: Any,
        encoder: Callable,
        target: str | None = None,
        *,
        labels: Mapping | None = None,
        sample_weight: str | None = None,
        batch_size: int = 256,
        shuffle: bool = True,
        seed: int | None = 0,
        directory: str | PathLike[str] | None = None,
    ):
        check_count("batch_size", batch_size, "is the number of rows per batch")
        check_flag("shuffle", shuffle, "draws the order of the rows")
        check_seed("seed", seed)
        _check_encoder(encoder)
        _check_names(target, labels, sample_weight)
        seeds = np.random.SeedSequence(seed) if shuffle else None
        self._names = {"target": target, "sample_weight": sample_weight}
        self._target = TargetColumn(labels)
        self._packer = RowPacker()
        self._file = _stored(self._pieces(table, encoder), seeds, directory)
        self._target.check_spread()
        run = max(1, batch_size // 16)
        self._order = RowOrder(self._file.rows, run, seeds)
        super().__init__(self._file.rows, batch_size)

    def _batch(self, index: int) -> tuple[Any, ...]:
        start = index * self.batch_size
        stop = min(start + self.batch_size, self.num_rows)
        spans = self._order.spans(self.epoch, start, stop)
        inputs, others = self._packer.unpack(self._file.read(spans))
        if others:
            others[0] = others[0].astype(self._target.dtype)
        return inputs, *others

    def _pieces(self, table: Any, encoder: Callable) -> Iterator[np.ndarray]:
        for chunk in chunks_of(table):
            inputs, columns, rows = _divided(chunk, self._names)
            if not rows:
                continue
            others = []
            if columns["target"] is not None:
                others.append(self._target.read(columns["target"], rows))
            if columns["sample_weight"] is not None:
                others.append(weights_of(columns["sample_weight"], rows))
            yield self._packer.pack(encoder(inputs), others, rows)


def _stored(
    pieces: Iterator[np.ndarray],
    seeds: np.random.SeedSequence | None,
    directory: str | PathLike[str] | None,
) -> RowFile:
    file = store_rows(pieces, seeds, directory)
    if file is None:
        raise ValueError(
            "`table` is what batches are made of and must have at least one row. "
            "Received: none."
        )
    return file


def _divided(
    chunk: Any, names: Mapping[str, str | None]
) -> tuple[Any, dict[str, Any], int]:
    """The chunk without the columns `names`, these columns, and the number of rows.

    Args:
        names: Dict of argument to the column that it names, None for no column.
    """
    columns = list(chunk) if isinstance(chunk, Mapping) else names_of(chunk)
    for argument, name in names.items():
        if name is not None and name not in columns:
            raise ValueError(
                f"`{argument}` names a column of the table and must be one of "
                f"{columns}. Received: {argument}={name!r}."
            )
    kept = [name for name in columns if name not in names.values()]
    if isinstance(chunk, Mapping):
        check_columns_in_order(chunk, PURPOSE)
        inputs = {name: chunk[name] for name in kept}
    else:
        inputs = chunk.select(kept) if hasattr(chunk, "select") else chunk[kept]
    taken = {a: None if name is None else chunk[name] for a, name in names.items()}
    rows = len(chunk[columns[0]]) if columns else 0
    return inputs, taken, rows


def _check_encoder(encoder: Any) -> None:
    if not callable(encoder):
        raise ValueError(
            "`encoder` turns a chunk of the table into arrays and must be a function, "
            "such as an adapted `layers.TableEncoder`. "
            f"Received: encoder={encoder!r}."
        )


def _check_names(target: Any, labels: Any, sample_weight: Any) -> None:
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
