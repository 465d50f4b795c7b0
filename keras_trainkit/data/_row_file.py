"""Records on disk, shuffled there, so that any of them can be read again.

Rows come in blocks of equal size. To shuffle, each block is permuted as it comes, and
then every piece of the result gets an equal share of each block, permuted again: rows
from all over the table lie side by side, and memory is a few blocks whatever the table.
"""

import tempfile
import threading
import weakref
from typing import Any

import numpy as np

from keras_trainkit._arrays import BlockBuffer

BLOCK_BYTES = 2**24


class RowFile:
    """A file without a name that lasts as long as the object."""

    def __init__(self, dtype, directory):
        self.dtype = dtype
        self.rows = 0
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def append(self, records):
        self._file.write(records.view("uint8").data)
        self.rows += len(records)

    def read(self, spans):
        """The records of each span (start, stop), one span after the other."""
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


def stored(pieces, seeds, directory):
    """All records of the iterable `pieces` in a file, None if there are none.

    Args:
        seeds: `numpy.random.SeedSequence` of their order; None leaves it as it is.
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


def _blocks(pieces):
    buffer = None
    for piece in pieces:
        if buffer is None:
            buffer = BlockBuffer(max(1, BLOCK_BYTES // piece.dtype.itemsize))
        yield from buffer.add(piece)
    if buffer is not None and buffer.num_rows:
        yield buffer.take_rest()


def _mixed(file, sizes, random, directory):
    mixed = RowFile(file.dtype, directory)
    starts, count = np.cumsum(sizes) - sizes, len(sizes)
    lag = np.arange(count)  # so that all pieces have the size of a block
    for number in range(count):
        begins = starts + (sizes * number + lag) // count
        ends = starts + (sizes * (number + 1) + lag) // count
        piece = file.read(list(zip(begins.tolist(), ends.tolist(), strict=True)))
        random.shuffle(piece)
        mixed.append(piece)
    return mixed
