"""Counts of the different texts of a column, until their notation is known."""

import collections
from collections.abc import Iterator

import numpy as np

from keras_trainkit._tables.notation import Notation, compiled, words_pattern


class TextCounts:
    """Rows of each different text, and the values of texts in a notation.

    Texts are counted until `finish`; the caller then sets `notation`, and may read the
    values of the texts that were counted and of those that come later.

    Args:
        missing_words: Texts that count as missing.
        max_different: Int. Most different texts that are counted.

    Attributes:
        rows: Int. Texts so far.
        missing: Int. Those that count as missing; known after `finish`.
        counts: Counter of the others; empty once their values were read.
        is_finished: Bool. True after `finish`.
        notation: Notation of the texts; None if it is not known, or there is none.
        stray: Counter of the texts not in the notation that came after `finish`.
    """

    def __init__(self, missing_words: list[str], max_different: int):
        self._is_missing = compiled(words_pattern(("", *missing_words))).fullmatch
        self._max_different = max_different
        self.rows = self.missing = 0
        self.counts: collections.Counter[str] = collections.Counter()
        self.is_finished = False
        self.notation: Notation | None = None
        self.stray: collections.Counter[str] = collections.Counter()

    @property
    def is_full(self) -> bool:
        """True if there are too many different texts to count more."""
        return len(self.counts) > self._max_different

    def count(self, texts: np.ndarray) -> np.ndarray:
        """Counts texts until there are too many; returns those that are left."""
        self.rows += len(texts)
        if self.is_finished:
            return texts
        if len(self.counts) + len(texts) <= self._max_different:
            self.counts.update(texts.tolist())
            return texts[:0]
        for index, text in enumerate(texts.tolist()):
            self.counts[text] += 1
            if self.is_full:
                return texts[index + 1 :]
        return texts[:0]

    def finish(self) -> None:
        """Ends the counting, and takes the missing texts out of the counts."""
        self.is_finished = True
        for text in [text for text in self.counts if self._is_missing(text)]:
            self.missing += self.counts.pop(text)

    def read_counted(self, notation: Notation, block: int) -> Iterator[np.ndarray]:
        """Yields the values of what was counted, in alphabetical order of the texts.

        Args:
            block: Int. Rows that come together.
        """
        texts = sorted(self.counts)
        values = notation.values(np.array(texts, object))
        ends = np.cumsum([self.counts[text] for text in texts])
        self.counts.clear()
        for start in range(0, int(ends[-1]), block):
            rows = np.arange(start, min(start + block, ends[-1]))
            found = values[np.searchsorted(ends, rows, side="right")]
            present = found[~np.isnan(found)]
            self.missing += len(found) - len(present)
            yield present

    def read(self, texts: np.ndarray, notation: Notation) -> np.ndarray:
        """Values of texts that came after `finish`; the stray ones are left out."""
        values = notation.values(texts)
        unread = np.isnan(values)
        self.missing += int(unread.sum())
        self.stray.update(text for text in texts[unread] if not self._is_missing(text))
        return values[~unread]
