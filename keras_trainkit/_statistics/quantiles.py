from collections.abc import Sequence

import numpy as np

from keras_trainkit._checks import check_count, check_number

PENDING_VALUES = 2**21  # 16 MiB wait before they are split into columns


class Quantiles:
    """Quantiles of each feature: exact at first, then within a known rank error.

    Up to `limit` values per feature are all kept, and `quantile` equals
    `np.nanquantile` of all data at once, whatever the order and the portions. Beyond
    that, memory stays at `limit` values per feature: the fullest level is sorted, every
    second value is dropped, and the others count twice. One such step moves the rank of
    a value by at most the weight of a dropped one. `rank_error` is the sum of these
    bounds, so it holds for any data in any order: below 1e-4 for 1000 times `limit`
    values.

    Args:
        limit: Int >= 64. Values kept per feature, 8 bytes each.

    Source: Manku, Rajagopalan and Lindsay, 1998, doi:10.1145/276304.276342 (merging
    by dropping every second value). There buffers are equal and fixed beforehand;
    here one limit holds for all levels, and the bound is counted while it runs.
    """

    def __init__(self, limit: int = 1_000_000):
        check_count(
            "limit", limit, "is the number of values kept per feature", at_least=64
        )
        self.limit = limit
        self._columns: list[_Column] = []
        self._pending: list[np.ndarray] = []

    @property
    def rank_error(self) -> np.ndarray:
        """Bound on the error of a rank, as a share of the count, `(features,)`."""
        return np.array([column.rank_error for column in self._split()])

    def update(self, rows: np.ndarray) -> None:
        """Takes in `(rows, features)`; NaN is skipped."""
        self._pending.append(np.array(rows, "float64"))
        if sum(block.size for block in self._pending) > PENDING_VALUES:
            self._split()

    def merge(self, other: "Quantiles") -> None:
        """Takes in what `other` has seen; its rank error comes with it."""
        theirs = other._split()
        if not self._split():
            self._columns = [_Column(self.limit) for _ in theirs]
        for column, their in zip(self._columns, theirs, strict=True):
            column.moved += their.moved
            for level, values in enumerate(their.levels):
                column.add(values, level)

    def quantile(self, q: float | Sequence[float]) -> np.ndarray:
        """Values at the shares `q` of the sorted data, interpolated linearly.

        Args:
            q: Float or sequence of floats in [0, 1].

        Returns:
            `(features,)` for a float, else `(len(q), features)`; NaN for a feature
            without a value.
        """
        for share in np.ravel(q):
            check_number(
                "q",
                float(share),
                "is a share of the sorted values",
                at_least=0,
                at_most=1,
            )
        found = [column.quantile(np.asarray(q, "float64")) for column in self._split()]
        return np.stack(found, axis=-1)

    def distinct(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per feature the values kept, each once and rising, and how many each is."""
        return [column.distinct() for column in self._split()]

    def _split(self) -> list["_Column"]:
        if self._pending:
            rows = np.concatenate(self._pending)
            self._pending = []
            if not self._columns:
                self._columns = [_Column(self.limit) for _ in range(rows.shape[1])]
            for column, values in zip(self._columns, rows.T, strict=True):
                column.add(values[~np.isnan(values)], level=0)
        return self._columns


class _Column:
    """One feature. A value of `levels[h]` stands for `2**h` values seen."""

    def __init__(self, limit: int):
        self.limit = limit
        self.levels = [np.empty(0)]
        self.moved = 0
        self._first = 0

    @property
    def count(self) -> int:
        return sum(len(values) << level for level, values in enumerate(self.levels))

    @property
    def rank_error(self) -> float:
        heaviest = 1 << len(self.levels) - 1  # ranks that one kept value stands for
        return (self.moved + heaviest - 1) / max(self.count, 1)

    def add(self, values: np.ndarray, level: int) -> None:
        while len(self.levels) <= level:
            self.levels.append(np.empty(0))
        self.levels[level] = np.concatenate([self.levels[level], values])
        while sum(map(len, self.levels)) > self.limit:
            self._halve(int(np.argmax([len(values) for values in self.levels])))

    def _halve(self, level: int) -> None:
        values = np.sort(self.levels[level])
        paired = len(values) // 2 * 2
        self.levels[level] = values[paired:]
        self.moved += 1 << level
        kept = values[self._first : paired : 2]
        self._first = 1 - self._first  # so that the errors of two steps cancel
        self.add(kept, level + 1)

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        values, which = np.unique(np.concatenate(self.levels), return_inverse=True)
        return values, np.bincount(which, self._weights(), len(values)).astype("int64")

    def quantile(self, q: np.ndarray) -> np.ndarray:
        values = np.concatenate(self.levels)
        if not len(values):
            return np.full(q.shape, np.nan)
        order = np.argsort(values)
        values, ends = values[order], np.cumsum(self._weights()[order])
        position = q * (ends[-1] - 1)
        below = np.floor(position)
        low = values[np.searchsorted(ends, below, side="right")]
        high = values[np.searchsorted(ends, np.ceil(position), side="right")]
        return _between(low, high, position - below)

    def _weights(self) -> np.ndarray:
        sizes = [len(level) for level in self.levels]
        return np.repeat(1 << np.arange(len(sizes)), sizes)


def _between(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Numbers on the line from low to high, also where their difference overflows."""
    with np.errstate(over="ignore"):
        width = high - low
    halves = low * (1 - share) + high * share
    return np.where(np.isfinite(width), low + width * share, halves)
