"""In which order an epoch goes through the rows of a file."""

from typing import Any

import numpy as np


class RowOrder:
    """Deals runs of rows that lie together, so that reading them stays cheap.

    Args:
        rows: Int, how many there are.
        run: Int, rows that stay together; the last run may be shorter.
        seeds: `numpy.random.SeedSequence`, or None for the order of the file.
    """

    def __init__(self, rows, run, seeds):
        self.run = run
        self._edges = np.append(np.arange(0, rows, run), rows)
        self._seeds = seeds
        self._latest: tuple[Any, Any, Any] = None, None, None

    def spans(self, epoch, start, stop):
        """Where in the file the rows from `start` to `stop` of this epoch lie."""
        if self._seeds is None:
            return [(start, stop)]
        runs, begins = self._dealt(epoch)
        spans, place = [], int(np.searchsorted(begins, start, "right")) - 1
        while start < stop:
            end = min(int(begins[place + 1]), stop)
            row = int(runs[place]) * self.run + start - int(begins[place])
            spans.append((row, row + end - start))
            start, place = end, place + 1
        return spans

    def _dealt(self, epoch):
        """Numbers of the runs in their order, and where each begins."""
        known, runs, begins = self._latest
        if known != epoch:
            seeds = np.random.SeedSequence(self._seeds.entropy, spawn_key=(epoch,))
            sizes = np.diff(self._edges)
            runs = np.random.default_rng(seeds).permutation(len(sizes))
            begins = np.append(0, np.cumsum(sizes[runs]))
            self._latest = epoch, runs, begins
        return runs, begins
