"""Encoded rows on disk, shuffled there, and the order in which an epoch reads them.

`RowPacker` makes one array of the arrays of a chunk, `store_rows` writes it to a
`RowFile`, and `RowOrder` tells which rows of the file a batch is made of.
"""

import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import BlockBuffer, as_numpy
from keras_trainkit._resolution import check_finite

BLOCK_BYTES = 2**24

Span = tuple[int, int]  # first row, and the row after the last


class RowPacker:
    """Packs several arrays into one structured array with an element for each row.

    All chunks must have arrays of the types and shapes of the first one.
    """

    def __init__(self) -> None:
        self._dtype: np.dtype | None = None
        self._structure: Any = None

    def pack(self, inputs: Any, targets: list[np.ndarray], rows: int) -> np.ndarray:
        """Structured array `(rows,)` of inputs and targets.

        Args:
            inputs: Array, or dict, tuple or list of arrays, `(rows, ...)` each.
            targets: List of arrays `(rows,)`.
            rows: Int, how many there must be.
        """
        arrays = [_checked_array(leaf, rows) for leaf in keras.tree.flatten(inputs)]
        arrays += targets
        dtype = np.dtype(
            [(f"f{i}", a.dtype, a.shape[1:]) for i, a in enumerate(arrays)]
        )
        if self._dtype is None:
            self._dtype = dtype
            self._structure = keras.tree.map_structure(lambda leaf: 0, inputs)
        self._check_same(inputs, dtype)
        packed = np.empty(rows, dtype)
        for number, array in enumerate(arrays):
            packed[f"f{number}"] = array
        return packed

    def unpack(self, packed: np.ndarray) -> tuple[Any, list[np.ndarray]]:
        """`(inputs, targets)` as they were packed."""
        names = packed.dtype.names or ()
        arrays = [np.ascontiguousarray(packed[name]) for name in names]
        count = len(keras.tree.flatten(self._structure))
        inputs = keras.tree.pack_sequence_as(self._structure, arrays[:count])
        return inputs, arrays[count:]

    def _check_same(self, inputs: Any, dtype: np.dtype) -> None:
        try:
            keras.tree.assert_same_structure(self._structure, inputs)
            is_same = dtype == self._dtype
        except (TypeError, ValueError):
            is_same = False
        if not is_same:
            raise ValueError(
                "`encoder` turns each chunk into arrays and must give the same ones, "
                f"of the same types and shapes, for all. Received: {dtype} after "
                f"{self._dtype}."
            )


def _checked_array(leaf: Any, rows: int) -> np.ndarray:
    array = as_numpy(leaf)
    if array.dtype.kind not in "biuf" or array.shape[:1] != (rows,):
        raise ValueError(
            "`encoder` turns each chunk into arrays and must give numbers, an entry "
            f"for each of its {rows} rows. "
            f"Received: {array.dtype} of the shape {array.shape}."
        )
    dtype = keras.config.floatx() if array.dtype == "float64" else array.dtype.name
    purpose = "`encoder` turns each chunk into arrays and"
    check_finite(array, purpose, dtype)
    if array.dtype == "float64":  # as `fit` does with arrays
        array = array.astype(dtype)
    return array


class RowFile:
    """Rows in a file without a name, which lasts as long as the object.

    Args:
        dtype: Type of one row.
        directory: Folder for the file; None: the system's for temporary files.
    """

    def __init__(self, dtype: np.dtype, directory: str | PathLike[str] | None):
        self.dtype = dtype
        self.rows = 0
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def append(self, rows: np.ndarray) -> None:
        """Writes rows at the end."""
        self._file.write(rows.view("uint8").data)
        self.rows += len(rows)

    def read(self, spans: list[Span]) -> np.ndarray:
        """The rows of each span, one span after the other."""
        size = self.dtype.itemsize
        rows = sum(stop - start for start, stop in spans)
        buffer: Any = np.empty(rows * size, "uint8")
        filled = 0
        with self._lock:
            for start, stop in spans:
                self._file.seek(start * size)
                wanted = (stop - start) * size
                self._file.readinto(buffer[filled : filled + wanted])
                filled += wanted
        return buffer.view(self.dtype)


def store_rows(
    pieces: Iterable[np.ndarray],
    seeds: np.random.SeedSequence | None,
    directory: str | PathLike[str] | None,
) -> RowFile | None:
    """Writes all rows to a file and shuffles them there; None if there are none.

    Each block of rows is shuffled as it comes. Then the file is written once more in
    pieces of a block's size, each with an equal share of every block, shuffled again:
    rows from all over the table lie side by side, in the memory of a few blocks.

    Args:
        pieces: Packed rows.
        seeds: Seeds of the order; None leaves it as it is.
    """
    random = None if seeds is None else np.random.default_rng(seeds)
    file, sizes = None, []
    for block in _blocks(pieces):
        file = RowFile(block.dtype, directory) if file is None else file
        if random is not None:
            random.shuffle(block)
        file.append(block)
        sizes.append(len(block))
    if file is None or random is None:
        return file
    return _mixed(file, np.array(sizes), random, directory)


def _blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    buffer = None
    for piece in pieces:
        if buffer is None:
            buffer = BlockBuffer(max(1, BLOCK_BYTES // piece.dtype.itemsize))
        yield from buffer.add(piece)
    if buffer is not None and buffer.num_rows:
        yield buffer.take_rest()


def _mixed(
    file: RowFile,
    sizes: np.ndarray,
    random: np.random.Generator,
    directory: str | PathLike[str] | None,
) -> RowFile:
    """A file whose pieces have an equal share of each block of `file`."""
    mixed = RowFile(file.dtype, directory)
    starts, count = np.cumsum(sizes) - sizes, len(sizes)
    lag = np.arange(count)  # rounds differently per block: pieces of equal size
    for number in range(count):
        begins = starts + (sizes * number + lag) // count
        ends = starts + (sizes * (number + 1) + lag) // count
        piece = file.read(list(zip(begins.tolist(), ends.tolist(), strict=True)))
        random.shuffle(piece)
        mixed.append(piece)
    return mixed


class RowOrder:
    """Order of an epoch: runs of neighbouring rows, dealt anew by seed and epoch.

    Rows of a run are read at once, so a batch takes few reads.

    Args:
        rows: Int. Rows of the file.
        run: Int. Rows per run; the last run may be shorter.
        seeds: Seeds of the order, or None for the order of the file.
    """

    def __init__(self, rows: int, run: int, seeds: np.random.SeedSequence | None):
        self.run = run
        self._edges = np.append(np.arange(0, rows, run), rows)
        self._seeds = seeds
        nothing = np.empty(0, int)
        # One tuple, since threads may ask for batches at the same time.
        self._deal: tuple[int | None, np.ndarray, np.ndarray] = None, nothing, nothing

    def spans(self, epoch: int, start: int, stop: int) -> list[Span]:
        """Spans of the file that hold the rows `start` to `stop` of an epoch."""
        if self._seeds is None:
            return [(start, stop)]
        runs, starts = self._dealt(self._seeds, epoch)
        spans, index = [], int(np.searchsorted(starts, start, "right")) - 1
        while start < stop:
            end = min(int(starts[index + 1]), stop)
            row = int(runs[index]) * self.run + start - int(starts[index])
            spans.append((row, row + end - start))
            start, index = end, index + 1
        return spans

    def _dealt(
        self, seeds: np.random.SeedSequence, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the runs in their order, and the row at which each starts."""
        dealt_epoch, runs, starts = self._deal
        if dealt_epoch != epoch:
            own = np.random.SeedSequence(seeds.entropy, spawn_key=(epoch,))
            sizes = np.diff(self._edges)
            runs = np.random.default_rng(own).permutation(len(sizes))
            starts = np.append(0, np.cumsum(sizes[runs]))
            self._deal = epoch, runs, starts
        return runs, starts
